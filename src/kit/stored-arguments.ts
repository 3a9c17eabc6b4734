import { ModuleError } from '../errors.ts';
import { rules, type Rule } from '../runtime/check.ts';
import { describe } from '../runtime/options.ts';

/**
 * Maximum milliseconds for which a store or a journal keeps something: 100 years. Redis stores deadlines as doubles;
 * up to this time they are exact.
 */
export const MAX_TTL = 100 * 365 * 86_400_000;

/** The rule for such a time. */
export const TTL = rules.integer(1, MAX_TTL);

export const isText = (value: unknown): value is string => typeof value === 'string' && value.isWellFormed();
// A lone surrogate cannot be encoded as UTF-8: two different names would become the same key in Redis.
export const NAME = rules.rule('a non-empty, well-formed string', (value) => isText(value) && value !== '');

/** @throws OPTION_INVALID */
export function demand(path: string, value: unknown, rule: Rule): void {
  if (rule.test(value)) return;
  throw new ModuleError('OPTION_INVALID', { path, given: describe(value), expected: rule.expected });
}

/** @throws OPTION_INVALID */
export function optional(path: string, value: unknown, rule: Rule): void {
  if (value !== undefined) demand(path, value, rule);
}
