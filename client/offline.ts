import { indexedDbOutbox } from './indexed-db-outbox.ts';
import { persistence } from './persistence.ts';

export type { OutboxOptions } from './indexed-db-outbox.ts';
export type { Outbox } from './outbox.ts';
export type { OutboxChange, OutboxState } from './outbox-change.ts';
export type { OutboxMessage } from './outbox-message.ts';
export type { PersistenceOptions } from './persistence.ts';
export { indexedDbOutbox, persistence };

/** All exports as one object, which `require('websocket-module/client/offline')` returns. */
const offline = { indexedDbOutbox, persistence };

export { offline as default, offline as 'module.exports' };
