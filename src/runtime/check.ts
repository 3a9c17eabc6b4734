import { ModuleError, nearestName } from '../errors.ts';

/** A rule for a value: a test, and the words for the error message. */
export interface Rule {
  readonly expected: string;
  /** Rules for the fields of an object. */
  readonly fields?: Readonly<Record<string, Rule>> | undefined;
  /** The rule for all fields of an object whose field names are free. */
  readonly each?: Rule | undefined;
  /** Returns a remedy for a value that does not pass, if one is known. */
  readonly hint?: ((value: unknown) => string | undefined) | undefined;
  test(value: unknown): boolean;
}

/** A rule for every option. */
export type Rules<T> = { readonly [K in keyof T]-?: Rule };

// A Map is not accepted: it has no fields, so its limits would be ignored.
const isPlain = (value: unknown): value is Record<string, unknown> =>
  Object.prototype.toString.call(value) === '[object Object]';
const rule = (expected: string, test: (value: any) => boolean, more?: Omit<Rule, 'expected' | 'test'>): Rule => ({
  expected,
  test,
  ...more,
});
const integer = (min: number, max: number): Rule =>
  rule(`an integer from ${min} to ${max}`, (value) => Number.isInteger(value) && value >= min && value <= max);

/** Whether a text is the origin of a page, like `https://app.example.com`. */
export function isOrigin(text: string): boolean {
  return !text.includes('*') && URL.canParse(text) && new URL(text).origin === text.toLowerCase();
}

/** Rules for common options. */
export const rules = Object.freeze({
  rule,
  integer,
  number: (min: number, max: number): Rule =>
    rule(`a number from ${min} to ${max}`, (value) => typeof value === 'number' && value >= min && value <= max),
  // A timer of Node waits at most 2 ** 31 - 1 ms; a longer one fires at once.
  duration: integer(1, 2 ** 31 - 1),
  bytes: integer(1, 2 ** 31 - 1),
  boolean: rule('true or false', (value) => typeof value === 'boolean'),
  path: rule(
    'a path that begins with "/", without query',
    (value) => typeof value === 'string' && /^\/[^?#\s]{0,255}$/.test(value),
  ),
  callback: rule('a function', (value) => typeof value === 'function'),
  oneOf: (...values: readonly string[]): Rule =>
    rule(`one of ${values.map((value) => `"${value}"`).join(', ')}`, (value) => values.includes(value)),
  methods: (what: string, ...names: string[]): Rule =>
    rule(
      `${what} (an object with ${names.join(', ')})`,
      (value) =>
        typeof value === 'object' && value !== null && names.every((name) => typeof value[name] === 'function'),
    ),
  list: (what: string, test: (item: string) => boolean = () => true, hint?: Rule['hint']): Rule =>
    rule(
      `a list of ${what}`,
      (value) => Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '' && test(item)),
      { hint },
    ),
  either: (a: Rule, b: Rule): Rule =>
    rule(`${a.expected}, or ${b.expected}`, (value) => a.test(value) || b.test(value), {
      fields: a.fields ?? b.fields,
      each: a.each ?? b.each,
      hint: (value) => a.hint?.(value) ?? b.hint?.(value),
    }),
  /** An object whose fields have one rule each, or one rule for all. */
  group: (more: Pick<Rule, 'fields' | 'each'> = {}): Rule => rule('an object', isPlain, more),
});

/** Options that are all set. */
export type Defined<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };
/** Options of which some are set, and none has the value `undefined`. */
export type WithoutUndefined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/**
 * Checks each option by its rule. Returns a copy without options that are undefined; lists are copied and frozen.
 * @param under the beginning of the paths in errors
 * @param hints the remedy for an unknown option, by its name
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example const { max } = check(options, { max: rules.integer(1, 100) }, 'rateLimit');
 */
export function check<T extends object>(given: T, fields: Rules<T>, under = '', hints?: Hints): WithoutUndefined<T> {
  return checkFields(given, { fields }, under, hints) as WithoutUndefined<T>;
}

type Hints = (name: string) => string | undefined;

function checkFields(
  given: unknown,
  { fields = {}, each }: Pick<Rule, 'fields' | 'each'>,
  under: string,
  hints?: Hints,
): Record<string, unknown> {
  if (!isPlain(given)) {
    throw new ModuleError('OPTION_INVALID', {
      path: under || 'options',
      given: describe(given),
      expected: 'an object',
    });
  }
  const prefix = under && `${under}.`;
  const checked = Object.entries(given).map(([key, value]) => {
    const known = Object.hasOwn(fields, key) ? fields[key] : each;
    const path = prefix + key;
    if (!known) {
      const nearest = nearestName(key, Object.keys(fields));
      throw new ModuleError('OPTION_UNKNOWN', { path, nearest: nearest && prefix + nearest, hint: hints?.(key) });
    }
    if (value !== undefined && !known.test(value)) {
      const { expected } = known;
      throw new ModuleError('OPTION_INVALID', { path, given: describe(value), expected, hint: known.hint?.(value) });
    }
    if (isPlain(value) && (known.fields ?? known.each)) return [key, checkFields(value, known, path)] as const;
    return [key, Array.isArray(value) ? Object.freeze([...(value as unknown[])]) : value] as const;
  });
  // fromEntries instead of assignment: a field named `__proto__` stays a field.
  return Object.fromEntries(checked.filter(([, value]) => value !== undefined));
}

/** Describes a value for an error message: its type, and a short form. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return `the string ${JSON.stringify(value.slice(0, 40))}`;
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) {
    return `a list (${value
      .slice(0, 3)
      .map((item) => (typeof item === 'object' ? describe(item) : String(item)))
      .join(', ')
      .slice(0, 60)})`;
  }
  if (typeof value === 'object' && value !== null) {
    return `an object with ${
      Object.keys(value)
        .slice(0, 5)
        .map((key) => JSON.stringify(key.slice(0, 20)))
        .join(', ') || 'no fields'
    }`;
  }
  return String(value);
}
