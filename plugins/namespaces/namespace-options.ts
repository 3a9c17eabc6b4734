import { check, describe, ModuleError, rules } from '../../src/index.ts';
import type { NamespaceOptions } from './contracts.ts';

const MOST = 1_000_000;
const RULES = {
  auth: rules.group({ fields: { required: rules.boolean, roles: rules.list('names of roles') } }),
  rateLimit: rules.group({ fields: { messagesPerMinute: rules.integer(1, MOST), connectionsPerIP: rules.integer(1, MOST) } }),
  features: rules.list('names of features'),
  maxRooms: rules.integer(1, MOST),
};

/** Letters and digits of ASCII, so that no two names look alike; each part begins with one of them or `_`. */
const NAME = /^(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$/;
/** What the kernel lets a field `namespace` have. */
const LONGEST_NAME = 128;

/** @throws NAMESPACE_NAME_INVALID */
export function checkName(name: unknown): asserts name is string {
  if (typeof name === 'string' && name.length <= LONGEST_NAME && NAME.test(name)) return;
  throw new ModuleError('NAMESPACE_NAME_INVALID', { given: describe(name) }, {
    message: `a namespace's name is at most ${LONGEST_NAME} characters, each part "/" and then letters, digits, "_", "-" or ".", like "/chat"; given was ${describe(name)}`,
  });
}

/** A checked copy. @throws OPTION_INVALID, OPTION_UNKNOWN, whose paths begin with the namespace's name */
export function checkOptions(name: string, options: NamespaceOptions): NamespaceOptions { return check<NamespaceOptions>(options, RULES, name); }
