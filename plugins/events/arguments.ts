import { ModuleError, type Message, type Outgoing } from '../../src/index.ts';

/**
 * The arguments of an event as fields of its message: none is no content, one is the content, and several are a list, of which
 * `meta.args` says that it is one.
 */
export function toFields(args: readonly unknown[]): Partial<Outgoing> {
  if (args.length === 0) return {};
  // As in JSON, where a list has no place for undefined either.
  if (args.length === 1) return { content: args[0] ?? null };
  return { content: args, meta: { args: args.length } };
}

/** The arguments that a message carries. @throws INVALID_MESSAGE where `meta.args` and the content contradict each other */
export function toArguments(message: Message): unknown[] {
  const { meta } = message;
  const content: unknown = message.content;
  const count = meta && Object.hasOwn(meta, 'args') ? meta.args : undefined;
  // Without content, the fields beside the envelope's own are the payload: none at all are no argument.
  const isEmpty = content === undefined || (content === message.fields && Object.keys(message.fields).length === 0);
  if (count === undefined) return isEmpty ? [] : [content];
  if (count === 0 && isEmpty) return [];
  if (Array.isArray(content) && content.length === count) return content as unknown[];
  throw new ModuleError('INVALID_MESSAGE', { reason: '"meta.args" must be the length of the list in "content"' });
}

/** What is sent with an event, and the function that hears of its acknowledgement, where the last argument is one. */
export function splitArguments(args: readonly unknown[]): [args: readonly unknown[], answered: ((...answer: unknown[]) => unknown) | undefined] {
  const last = args.at(-1);
  return typeof last === 'function' ? [args.slice(0, -1), last as (...answer: unknown[]) => unknown] : [args, undefined];
}
