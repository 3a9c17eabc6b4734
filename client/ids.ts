// `crypto.randomUUID` exists in secure contexts only.
const random = (): string => Math.random().toString(36).slice(2, 10).padEnd(8, '0');
const prefix = random() + random();
let last = 0;

/** A new id of a message, unique across clients and reloads. */
export const newId = (): string => `${prefix}-${(++last).toString(36)}`;
