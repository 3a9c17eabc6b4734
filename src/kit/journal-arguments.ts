import type { AppendOptions, Journal, JournalRange, Position } from '../journal.ts';
import { rules } from '../runtime/check.ts';
import { demand, isText, NAME, optional, TTL } from './stored-arguments.ts';

const TEXT = rules.rule('a well-formed string', isText);
const OFFSET = rules.integer(0, Number.MAX_SAFE_INTEGER);
const SIZE = rules.integer(1, 100_000);
const LIMIT = rules.integer(1, 1_000);

function position(path: string, { epoch, offset, id }: Position): void {
  demand(`${path}.epoch`, epoch, NAME);
  demand(`${path}.offset`, offset, OFFSET);
  demand(`${path}.id`, id, TEXT);
}

/** Checks the arguments of a Journal, so that all journals accept the same ones. Each check throws OPTION_INVALID. */
export const journalArguments = Object.freeze({
  append(...[topic, { id, value }, options]: Parameters<Journal['append']>): void {
    demand('topic', topic, NAME);
    demand('id', id, NAME);
    demand('value', value, TEXT);
    const { size, ttl, idempotencyKey, seen }: AppendOptions = options;
    demand('size', size, SIZE);
    demand('ttl', ttl, TTL);
    optional('idempotencyKey', idempotencyKey, NAME);
    if (seen) position('seen', seen);
  },
  read(topic: string, { after, before, limit, reverse }: JournalRange): void {
    demand('topic', topic, NAME);
    optional('after', after, OFFSET);
    optional('before', before, OFFSET);
    demand('limit', limit, LIMIT);
    optional('reverse', reverse, rules.boolean);
  },
  positions(topics: readonly string[], seen?: ReadonlyMap<string, Position>): void {
    for (const [index, topic] of topics.entries()) demand(`topics[${index}]`, topic, NAME);
    for (const one of seen?.values() ?? []) position('seen', one);
  },
  redact(...[topic, given, tombstone]: Parameters<Journal['redact']>): void {
    demand('topic', topic, NAME);
    position('position', given);
    demand('tombstone', tombstone, TEXT);
  },
  drop(topic: string): void { demand('topic', topic, NAME); },
});
