import { canonical, check, describe, ModuleError, rules } from '../../src/index.ts';
import type { NamespaceOptions } from './namespace-contracts.ts';

const COUNT = rules.integer(1, 1_000_000);
const RULES = {
  auth: rules.group({ fields: { required: rules.boolean, roles: rules.list('names of roles') } }),
  rateLimit: rules.group({ fields: { messagesPerMinute: COUNT, connectionsPerIP: COUNT } }),
  features: rules.list('names of features'),
  maxRooms: COUNT,
};

/** Letters and digits of ASCII, so that no two names look alike. Each part begins with one of them or with `_`. */
const NAME = /^(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$/;
/** The kernel's limit for the field `namespace`. */
const MAX_NAME_LENGTH = 128;
/** Types with which a client enters and leaves. */
const OWN_TYPES: ReadonlySet<string> = new Set(['connect', 'disconnect']);

/** @throws NAMESPACE_NAME_INVALID */
export function checkName(name: unknown): asserts name is string {
  if (typeof name === 'string' && name.length <= MAX_NAME_LENGTH && NAME.test(name)) return;
  throw new ModuleError('NAMESPACE_NAME_INVALID', { given: describe(name) });
}

/** A checked copy. @throws OPTION_INVALID, OPTION_UNKNOWN, whose paths begin with the namespace's name */
export function checkOptions(name: string, options: NamespaceOptions): NamespaceOptions {
  return check<NamespaceOptions>(options, RULES, name);
}

/** @throws HANDLER_INVALID */
export function checkHandler(type: unknown, handler: unknown): asserts type is string {
  const invalid = (message: string): ModuleError =>
    new ModuleError('HANDLER_INVALID', { type: describe(type), given: describe(handler) }, { message });
  if (typeof type !== 'string' || type === '') {
    throw invalid(`a message type must be a non-empty string, but is ${describe(type)}`);
  }
  if (OWN_TYPES.has(canonical(type))) {
    throw invalid(`messages of type "${type}" are the namespace's own; use admit() and on() instead of a handler`);
  }
  if (typeof handler !== 'function') {
    throw invalid(`the handler of "${type}" must be a function, but is ${describe(handler)}`);
  }
}

/** @throws OPTION_INVALID */
export function checkFunction(value: unknown, path: string): void {
  if (typeof value === 'function') return;
  throw new ModuleError('OPTION_INVALID', { path, given: describe(value), expected: 'a function' });
}
