import {
  byType, canonical, check, isRecord, isThenable, lengthUpTo, ModuleError, rules, validationError,
  type Message, type MessageLayer, type ValidationIssue,
} from '../src/index.ts';
import { createSanitizer } from './validation/sanitizer.ts';

/** A problem as a Standard Schema library reports it. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
/** A value that passed, perhaps converted, or why it did not. */
export type SchemaResult =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };
/** A schema of any library that follows https://standardschema.dev: zod, valibot, arktype and others. */
export interface StandardSchema {
  readonly '~standard': { readonly validate: (value: unknown) => SchemaResult | Promise<SchemaResult> };
}

export interface ValidationOptions {
  /**
   * Maximum length of a message: the characters of its JSON without insignificant white space; of a binary message, the
   * bytes.
   * @default only `maxPayload` applies
   */
  readonly maxMessageLength?: number | undefined;
  /**
   * Maximum length of the payload: of a text, the characters as people count them; of anything else, the characters of
   * its JSON; of a binary message, the bytes.
   * @default only `maxPayload` applies
   */
  readonly maxContentLength?: number | undefined;
  /** The message types that are accepted, in any naming. All others are rejected, also built-in ones. @default all */
  readonly allowedTypes?: readonly string[] | undefined;
  /**
   * Escapes `& < > " ' / \` and the backtick in text from clients, and removes control characters except line feed
   * and tab. It is the last step, after all layers, lengths and filters.
   * @default false
   */
  readonly enableSanitization?: boolean | undefined;
  /**
   * Keys whose texts are not escaped, because they name something. `*Id` means every key that ends in `Id`.
   * @default ['id', '*Id', 'room', 'to', 'token', 'password']
   */
  readonly identifiers?: readonly string[] | undefined;
  /** The schema of the payload, by message type. The parsed value replaces the payload. @default {} */
  readonly schemas?: Readonly<Record<string, StandardSchema>> | undefined;
}

const IDENTIFIERS = ['id', '*Id', 'room', 'to', 'token', 'password'];
const isSchema = (value: any): boolean => typeof value?.['~standard']?.validate === 'function';
const RULES = {
  maxMessageLength: rules.integer(1, 2 ** 31 - 1),
  maxContentLength: rules.integer(1, 2 ** 31 - 1),
  allowedTypes: rules.list('message types'),
  enableSanitization: rules.boolean,
  identifiers: rules.list('keys, with "*" at most at the beginning', (key) => key.lastIndexOf('*') <= 0 && key !== '*'),
  schemas: rules.group({ each: rules.rule('a Standard Schema (an object with "~standard")', isSchema) }),
};

/** How much longer JSON can become when it is parsed and written again: `1e20`, four bytes, becomes 21 characters. */
const MAX_GROWTH = 6;
/** Keys of an issue's path. */
const MAX_KEYS = 64;

/**
 * Rejects messages that are too long, have a type that is not allowed, or do not match a schema, and escapes markup.
 * Each check is off until its option is given.
 *
 * @throws TYPE_NOT_ALLOWED, MESSAGE_TOO_LONG, VALIDATION_FAILED, TOO_DEEP
 * @example manager.use(validation({ maxMessageLength: 10_000, schemas: { chat: z.object({ text: z.string() }) } }));
 */
export function validation(options: ValidationOptions = {}): MessageLayer {
  const given = check(options, RULES, 'validation');
  const { maxMessageLength, maxContentLength, allowedTypes, enableSanitization = false, schemas = {} } = given;
  if (given.identifiers && !enableSanitization) {
    throw new ModuleError('OPTION_INVALID', {
      path: 'validation.identifiers', given: 'given alone', expected: 'used with enableSanitization: true',
    });
  }
  const allowed = allowedTypes && new Set(allowedTypes.map(canonical));
  const schemaOf = byType(schemas, 'validation.schemas');

  const accept = (message: Message, result: SchemaResult): void => {
    if (result.issues) throw validationError(result.issues.slice(0, 100).map(toIssue));
    message.payload = result.value;
  };

  return {
    type: 'message',
    name: 'validation',
    handler(message, _connection, next) {
      const type = canonical(message.type);
      if (allowed && !allowed.has(type)) throw new ModuleError('TYPE_NOT_ALLOWED', { type: message.type });
      // To measure a length, the message is written as JSON again: only if it may exceed a limit.
      const longest = message.size * MAX_GROWTH;
      if (maxMessageLength !== undefined && longest > maxMessageLength) {
        limit(bytesOf(message) ?? jsonLength(message), maxMessageLength, 'message');
      }
      if (maxContentLength !== undefined && longest > maxContentLength) {
        limit(bytesOf(message) ?? contentLength(message, maxContentLength), maxContentLength, 'content');
      }
      const result = schemaOf.get(type)?.['~standard'].validate(message.payload);
      if (result === undefined) return next();
      if (isThenable(result)) {
        return Promise.resolve(result).then((settled) => {
          accept(message, settled);
          return next();
        });
      }
      accept(message, result);
      return next();
    },
    ...(enableSanitization && { escape: createSanitizer(given.identifiers ?? IDENTIFIERS) }),
  };
}

function limit(length: number, max: number, of: string): void {
  if (length > max) throw new ModuleError('MESSAGE_TOO_LONG', { length, limit: max, of });
}

function bytesOf({ content }: Message): number | undefined {
  return content instanceof Uint8Array ? content.byteLength : undefined;
}

const jsonLength = (value: unknown): number => JSON.stringify(value ?? null).length;

/** Equal for fields beside the content and in it: `{ room, content: { text } }`, `{ content: { room, text } }`. */
function contentLength(message: Message, max: number): number {
  const { content, fields, payload } = message;
  if (typeof payload === 'string') return lengthUpTo(payload, max);
  if (payload === content) return jsonLength(payload);
  // Two objects in one: less two braces, plus a comma.
  return isRecord(content) ? jsonLength(content) + jsonLength(fields) - 1 : jsonLength({ ...fields, content });
}

function toIssue({ path = [], message }: SchemaIssue): ValidationIssue {
  const keys = path.slice(0, MAX_KEYS).map((key) => String(typeof key === 'object' ? key.key : key));
  return { path: keys.join('.'), message };
}

validation.validation = validation;
export { validation as default, validation as 'module.exports' };
