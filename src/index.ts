export { encodeFrame, isBinary, type Binary } from './connection/frame.ts';
export * from './contracts.ts';
export * from './errors.ts';
export { gracefulShutdown, type ShutdownOptions } from './kit/graceful-shutdown.ts';
export * from './manager.ts';
export { withArgumentFields } from './messages/argument-fields.ts';
export { compose, isThenable } from './messages/compose.ts';
export { HandlerTable } from './messages/handler-table.ts';
export {
  canonical, closeCodes, reconnectPolicy, isRecord, json, Message, named, Refusal, stripEnvelope, toMessage,
  type Codec, type Naming, type Outgoing, type Route,
} from './protocol.ts';
export type { BuiltinMembers } from './plugins/absent-members.ts';
export { check, isOrigin, rules, type Defined, type Rule, type Rules, type WithoutUndefined } from './runtime/check.ts';
export * from './runtime/actor-key.ts';
export * from './runtime/customer-key.ts';
export * from './runtime/quota.ts';
export { isConnectionId, newId, newSessionId, nodeOf, timestamp } from './runtime/ids.ts';
export { clean } from './runtime/clean.ts';
export {
  DEFAULTS, describe, type AnyServer, type Options, type OutboxPolicy, type Settings,
} from './runtime/options.ts';
export { UndoList, type Labelled } from './runtime/scope.ts';
export { toUser } from './runtime/user.ts';
export { clientAddress, networks, plainAddress } from './upgrade/address.ts';

// The kit: helpers that only extensions use.
export * from './kit/ask-node.ts';
export * from './kit/bounded-table.ts';
export * from './kit/by-type.ts';
export * from './kit/display-name.ts';
export * from './kit/group-by.ts';
export * from './kit/held-seats.ts';
export * from './kit/in-turns.ts';
export * from './kit/journal-arguments.ts';
export * from './kit/journal-page.ts';
export * from './kit/list-budget.ts';
export * from './kit/local-share.ts';
export * from './kit/member-id.ts';
export * from './kit/memory-journal.ts';
export * from './kit/rate-meter.ts';
export * from './kit/rate-table.ts';
export * from './kit/share-entries.ts';
export * from './kit/shared-errors.ts';
export * from './kit/store-arguments.ts';
export { MAX_TTL } from './kit/stored-arguments.ts';
export * from './kit/text-length.ts';
export * from './kit/user-connections.ts';
export * from './kit/validation-error.ts';
export * from './kit/watchers.ts';
