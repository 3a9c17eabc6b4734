import { defineErrors, hasCode, type ErrorsOf } from '../errors.ts';

/** The codes that several extensions raise. A plugin defines the codes that it alone raises. */
export const sharedErrors = defineErrors('kit', {
  AUTH_REQUIRED: [() => 'authentication is required', { expose: true, status: 401, closeCode: 4001 }],
  TOKEN_INVALID: [
    (d: { reason: string }) => `the token is not valid: ${d.reason}`,
    { expose: true, status: 401, closeCode: 4001 },
  ],
  SELF_ACTION: [() => 'you cannot do this to yourself', { expose: true }],
  BANNED: [
    (d: { room?: string | undefined; user?: string | undefined }) =>
      (d.room === undefined ? 'you are banned' : `you are banned from room "${d.room}"`),
    { expose: true },
  ],
  FORBIDDEN: [
    (d: { needs?: string | undefined }) => (d.needs ? `this needs ${d.needs}` : 'this is not allowed'),
    { expose: true, status: 403, closeCode: 4003 },
  ],
  VALIDATION_FAILED: [
    (d: { issues: readonly { path: string; message: string }[] }) =>
      `the content is not valid: ${d.issues.map((issue) => `${issue.path}: ${issue.message}`).join('; ')}`,
    { expose: true },
  ],
  RATE_LIMITED: [
    (d: { retryAfter: number; scope: string }) => `too many messages; retry after ${d.retryAfter} ms`,
    { expose: true, status: 429, closeCode: 4129 },
  ],
  MESSAGE_TOO_LONG: [
    (d: { length: number; limit: number; of: string }) =>
      `the ${d.of} has ${d.length} characters; at most ${d.limit} are allowed`,
    { expose: true },
  ],
  TYPE_NOT_ALLOWED: [(d: { type: string }) => `messages of type "${d.type}" are not allowed`, { expose: true }],
  TOO_MANY_CONNECTIONS: [
    (d: { scope: string; limit: number }) => `too many connections from this ${d.scope}`,
    { expose: true, status: 429, closeCode: 4129 },
  ],
  TOO_MANY_ROOMS: [
    (d: { of: string; limit: number }) => `one ${d.of} may have at most ${d.limit} rooms`,
    { expose: true },
  ],
  ROOM_INVALID: [(d: { reason: string }) => `this cannot be the name of a room: it ${d.reason}`, { expose: true }],
  SERVER_OVERLOADED: [
    () => 'the server is overloaded; try again later',
    { expose: true, status: 503, closeCode: 4153 },
  ],
  STORE_UNAVAILABLE: [
    (_: { store: string; action: string }) => 'the shared state is unavailable; try again later',
    { expose: true, status: 503, closeCode: 4153 },
  ],
  STORE_DATA_LOST: [
    (_: { store: string }) => 'the store has lost data, and the nodes enter again what they hold; try again later',
    { expose: true, status: 503, closeCode: 4153 },
  ],
  STORE_CONFLICT: [
    (_: { key: string }) => 'this was changed at the same time; read it again and repeat the change',
    { expose: true, status: 409 },
  ],
  STORE_FULL: [(d: { set: string; limit: number }) => `set "${d.set}" is full (${d.limit} members)`, {}],
  JOURNAL_FULL: [
    (d: { of: 'topics' | 'bytes'; limit?: number | undefined }) =>
      `the history of all topics is full${d.limit === undefined ? '' : ` (${d.limit} ${d.of})`}`,
    { expose: true, status: 503, closeCode: 4153 },
  ],
  SERVER_ONLY: [(d: { type: string }) => `only the server sends messages of type "${d.type}"`, { expose: true }],
});

/** Whether a call failed because the shared store cannot be used at present, so that it may be repeated later. */
export const isStoreUnavailable = (error: unknown): boolean =>
  hasCode(error, 'STORE_UNAVAILABLE', 'LEASE_LOST');

declare module '../errors.ts' { interface Errors extends ErrorsOf<typeof sharedErrors> {} }
