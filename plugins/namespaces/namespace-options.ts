import { canonical, check, describe, ModuleError, rules } from '../../src/index.ts';
import type { NamespaceOptions } from './namespace-contracts.ts';

const COUNT = rules.integer(1, 1_000_000);
const RULES = {
  auth: rules.group({ fields: { required: rules.boolean, roles: rules.list('names of roles') } }),
  rateLimit: rules.group({ fields: { messagesPerMinute: COUNT, connectionsPerIP: COUNT } }),
  features: rules.list('names of features'),
  maxRooms: COUNT,
};

/** ASCII only, so that no two names look alike. Each part begins with a letter, a digit or `_`. */
const NAME = /^(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$/;
/** The kernel's limit for the field `namespace`. */
const MAX_NAME_LENGTH = 128;
/** Types by which clients enter and leave. */
const RESERVED_TYPES: ReadonlySet<string> = new Set(['connect', 'disconnect']);

/** @throws NAMESPACE_NAME_INVALID */
export function checkName(name: unknown): asserts name is string {
  if (typeof name === 'string' && name.length <= MAX_NAME_LENGTH && NAME.test(name)) return;
  throw new ModuleError('NAMESPACE_NAME_INVALID', { given: describe(name) });
}

/** Returns a checked copy. Paths in errors begin with the namespace's name. @throws OPTION_INVALID, OPTION_UNKNOWN */
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
  if (RESERVED_TYPES.has(canonical(type))) {
    throw invalid(`the type "${type}" is reserved in namespaces; use admit() or on() instead of a handler`);
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
