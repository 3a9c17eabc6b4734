export * from './upgrade/address.ts';
export * from './kit/by-type.ts';
export * from './kit/customer-key.ts';
import './kit/shared-errors.ts';
export { check, rules, type Rule, type Rules } from './runtime/check.ts';
export { compose, isThenable } from './messages/compose.ts';
export * from './contracts.ts';
export * from './errors.ts';
export { gracefulShutdown, type ShutdownOptions } from './graceful-shutdown.ts';
export { isConnectionId, newId, timestamp } from './runtime/ids.ts';
export { clean } from './runtime/log.ts';
export * from './manager.ts';
export { DEFAULTS, describe, type AnyServer, type Options, type OutboxPolicy, type Settings } from './runtime/options.ts';
export {
  canonical, closeCodes, comeback, isRecord, json, Message, named, Refusal, toMessage, type Codec, type Naming, type Outgoing, type Route,
} from './protocol.ts';
export { UndoList, type Labelled } from './runtime/scope.ts';
export { HandlerTable } from './messages/handler-table.ts';
