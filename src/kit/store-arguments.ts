import { ModuleError } from '../errors.ts';
import type { EnterOptions, Json, Store } from '../ports.ts';
import { rules } from '../runtime/check.ts';
import { describe } from '../runtime/options.ts';
import { demand, NAME, optional, TTL } from './stored-arguments.ts';

/** Maximum number of members on one page. */
const MAX_PAGE = 1_000;
/** Maximum bytes of a value as JSON. A larger one blocks the other calls of all nodes while it is carried. */
const MAX_VALUE_BYTES = 16_777_216;
const COUNT = rules.integer(1, 2 ** 31 - 1);
const PAGE = rules.integer(1, MAX_PAGE);
const NO_TTL = rules.rule('left out for a seat with a holder', (value) => value === undefined);

type Arguments<Name extends 'put' | 'delete' | 'leave' | 'members' | 'take'> = Parameters<Store[Name]>;

/** Checks the arguments of a Store, so that all stores accept the same ones. Each check throws OPTION_INVALID. */
export const storeArguments = Object.freeze({
  lease(node: string, ttl: number): void {
    demand('node', node, NAME);
    demand('ttl', ttl, rules.duration);
  },
  /** Keys of documents, or names of sets. */
  names(path: string, names: readonly string[]): void {
    for (const [index, name] of names.entries()) demand(`${path}[${index}]`, name, NAME);
  },
  put(...[key, , options]: Arguments<'put'>): void {
    demand('key', key, NAME);
    optional('if', options?.if, NAME);
    optional('ttl', options?.ttl, TTL);
  },
  delete(...[key, options]: Arguments<'delete'>): void {
    demand('key', key, NAME);
    optional('if', options?.if, NAME);
  },
  touch(keys: readonly string[], ttl: number): void {
    storeArguments.names('keys', keys);
    demand('ttl', ttl, TTL);
  },
  enter(set: string, member: string, { holder, max, ttl, replaces }: EnterOptions): void {
    demand('set', set, NAME);
    demand('member', member, NAME);
    optional('holder', holder, NAME);
    optional('max', max, COUNT);
    optional('replaces', replaces, NAME);
    optional('ttl', ttl, holder === undefined ? TTL : NO_TTL);
  },
  leave(...[set, member, options]: Arguments<'leave'>): void {
    demand('set', set, NAME);
    demand('member', member, NAME);
    optional('holder', options?.holder, NAME);
    optional('keepFor', options?.keepFor, TTL);
  },
  members(...[set, { cursor, limit }]: Arguments<'members'>): void {
    demand('set', set, NAME);
    optional('cursor', cursor, NAME);
    demand('limit', limit, PAGE);
  },
  held(cursor: string | undefined): void { optional('cursor', cursor, NAME); },
  take(...[key, { burst, per }, count]: Arguments<'take'>): void {
    demand('key', key, NAME);
    demand('burst', burst, COUNT);
    demand('per', per, TTL);
    demand('count', count, COUNT);
  },
  /** The value as JSON. @throws OPTION_INVALID if JSON cannot represent it, or needs more than 16 MiB */
  json(value: Json): string {
    let expected = 'a value that JSON can represent';
    let text: string | undefined;
    let cause: unknown;
    try {
      text = JSON.stringify(value);
    } catch (error) {
      // A circular value, or a bigint.
      cause = error;
    }
    if (text !== undefined) {
      if (Buffer.byteLength(text) <= MAX_VALUE_BYTES) return text;
      expected = `a value of up to ${MAX_VALUE_BYTES} bytes`;
    }
    throw new ModuleError('OPTION_INVALID', { path: 'value', given: describe(value), expected }, { cause });
  },
});
