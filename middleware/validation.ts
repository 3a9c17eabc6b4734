import escape from 'validator/lib/escape.js';
import { byType, canonical, check, isRecord, isThenable, ModuleError, rules, type Message, type MessageLayer } from '../src/index.ts';

/** A problem as a Standard Schema library tells it. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
/** A value that passed, perhaps converted, or why it did not. */
export type SchemaResult = { readonly value: unknown; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };
/** A schema of any library that follows https://standardschema.dev: zod, valibot, arktype and others. */
export interface StandardSchema {
  readonly '~standard': { readonly validate: (value: unknown) => SchemaResult | Promise<SchemaResult> };
}

export interface ValidationOptions {
  /** Characters that a message may have, as JSON without insignificant blanks; bytes of a binary one. @default only `maxPayload` limits it */
  readonly maxMessageLength?: number;
  /** Characters that its content may have, likewise. @default only `maxPayload` limits it */
  readonly maxContentLength?: number;
  /** The message types that may come, in any naming; others are refused, built-in ones too. @default all */
  readonly allowedTypes?: readonly string[];
  /** Escapes `& < > " ' / \` and the backtick in the strings of the content, and takes control characters out but for line feed and tab. @default false */
  readonly enableSanitization?: boolean;
  /** By message type, what its content must be; the parsed value replaces it. Asked before the content is sanitized. @default {} */
  readonly schemas?: Readonly<Record<string, StandardSchema>>;
}

const RULES = {
  maxMessageLength: rules.integer(1, 2 ** 31 - 1),
  maxContentLength: rules.integer(1, 2 ** 31 - 1),
  allowedTypes: rules.list('message types'),
  enableSanitization: rules.boolean,
  schemas: rules.group({ each: rules.rule('a Standard Schema (an object with "~standard")', (value) => typeof value?.['~standard']?.validate === 'function') }),
};

/** Issues of one message that its sender is told; a list of a thousand wrong items need not be answered by a thousand lines. */
const MOST_ISSUES = 20;
/** Characters of an issue's path and message: both may quote what the sender wrote. */
const LONGEST_TEXT = 200;
/** How much longer JSON can get by being read and written again: `1e20`, four bytes, becomes 21 characters. */
const MOST_GROWTH = 6;
/** How deep a value is sanitized. The kernel refuses messages long before; a schema may give anything. */
const DEEPEST = 64;

/**
 * Refuses messages that are too long, of a type that is not allowed, or not what a schema says, and makes text harmless.
 * Each check is off until its option is given.
 *
 * @throws TYPE_NOT_ALLOWED, MESSAGE_TOO_LONG, VALIDATION_FAILED, TOO_DEEP
 * @example manager.use(validation({ maxMessageLength: 10_000, schemas: { chat: z.object({ text: z.string() }) } }));
 */
export function validation(options: ValidationOptions = {}): MessageLayer {
  const { maxMessageLength, maxContentLength, allowedTypes, enableSanitization = false, schemas = {} } = check(options, RULES, 'validation');
  const allowed = allowedTypes && new Set(allowedTypes.map(canonical));
  const schemaOf = byType(schemas, 'validation.schemas');

  const accept = (message: Message, result: SchemaResult | undefined): void => {
    if (result?.issues) throw new ModuleError('VALIDATION_FAILED', { issues: result.issues.slice(0, MOST_ISSUES).map(shown) });
    if (result) message.content = result.value;
    if (enableSanitization) sanitizeMessage(message);
  };

  return {
    type: 'message',
    name: 'validation',
    handler(message, _connection, next) {
      const type = canonical(message.type);
      if (allowed && !allowed.has(type)) throw new ModuleError('TYPE_NOT_ALLOWED', { type: message.type });
      // Writing it as JSON again is what a length costs: it is measured only where there is a limit that it may exceed.
      const longest = message.size * MOST_GROWTH;
      if (maxMessageLength !== undefined && longest > maxMessageLength) limit(lengthOf(message, message), maxMessageLength, 'message');
      if (maxContentLength !== undefined && longest > maxContentLength) limit(lengthOf(message, message.content), maxContentLength, 'content');
      const result = schemaOf.get(type)?.['~standard'].validate(message.content);
      if (isThenable(result)) {
        return Promise.resolve(result).then((settled) => {
          accept(message, settled);
          return next();
        });
      }
      accept(message, result);
      return next();
    },
  };
}

function limit(length: number, most: number, of: string): void {
  if (length > most) throw new ModuleError('MESSAGE_TOO_LONG', { length, limit: most, of });
}

function lengthOf({ content }: Message, part: unknown): number {
  return content instanceof Uint8Array ? content.byteLength : JSON.stringify(part ?? null).length;
}

function shown({ path = [], message }: SchemaIssue): { path: string; message: string } {
  const keys = path.slice(0, DEEPEST).map((key) => String(typeof key === 'object' ? key.key : key));
  return { path: keys.join('.').slice(0, LONGEST_TEXT) || 'content', message: message.slice(0, LONGEST_TEXT) };
}

/** Sanitizes the content, and the fields beside the envelope's own, which may be the content. */
function sanitizeMessage(message: Message): void {
  const fields = message.fields as Record<string, unknown>;
  const isContent = message.content === fields;
  // Most messages are harmless: these are looked at, and not copied.
  if (!isHarmless(fields, DEEPEST)) for (const key of Object.keys(fields)) fields[key] = sanitize(fields[key], DEEPEST);
  if (!isContent && !isHarmless(message.content, DEEPEST)) message.content = sanitize(message.content, DEEPEST);
}

/** Whether sanitizing would change nothing. */
function isHarmless(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return !HARMFUL.test(value);
  if (typeof value !== 'object' || value === null) return true;
  if (depth === 0) return false;
  if (Array.isArray(value)) return value.every((item) => isHarmless(item, depth - 1));
  if (!isPlain(value)) return true;
  for (const key in value) if (!isHarmless((value as Record<string, unknown>)[key], depth - 1)) return false;
  return true;
}

/** A copy with every string made harmless. What is no plain object or list (a Date, bytes) stays as it is. */
function sanitize(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return harmless(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) throw new ModuleError('TOO_DEEP', { limit: DEEPEST });
  if (Array.isArray(value)) return value.map((item) => sanitize(item, depth - 1));
  if (!isPlain(value)) return value;
  // fromEntries makes fields of its own, whatever their names are: nothing is ever assigned to a prototype.
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sanitize(item, depth - 1)]));
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return isRecord(value) && (prototype === Object.prototype || prototype === null);
}

/* eslint-disable no-control-regex -- these are what must go */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const HARMFUL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f&<>"'/\\`]/;
/* eslint-enable no-control-regex */

function harmless(text: string): string {
  return HARMFUL.test(text) ? escape.default(text.replace(CONTROL, '')) : text;
}

validation.validation = validation;
export { validation as default, validation as 'module.exports' };
