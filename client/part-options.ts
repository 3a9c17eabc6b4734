import { isRecord } from '../src/protocol.ts';

type Tree = Readonly<Record<string, unknown>>;

/** Checks the options of a part, and adds the defaults. @throws {TypeError} naming every option that is wrong */
export function checkOptions<T extends Tree>(
  name: string, defaults: T, options: object, choices: Readonly<Record<string, readonly unknown[]>> = {},
): T {
  const problems: string[] = [];
  const result = merge(defaults, options, '', choices, problems);
  if (problems.length > 0) throw new TypeError(`${name}: ${problems.join('; ')}`);
  return result as T;
}

function merge(
  known: Tree, given: unknown, path: string, choices: Readonly<Record<string, readonly unknown[]>>, problems: string[],
): Tree {
  if (!isRecord(given)) {
    problems.push(`${path.slice(0, -1) || 'the options'}: it must be an object`);
    return known;
  }
  const result: Record<string, unknown> = {};
  for (const [key, standard] of Object.entries(known)) {
    const value = given[key] ?? standard;
    if (isRecord(standard)) {
      result[key] = merge(standard, value, `${path}${key}.`, choices, problems);
      continue;
    }
    const choice = choices[path + key];
    const isWrong = typeof value !== typeof standard || (typeof value === 'number' && !(value > 0));
    if (choice && !choice.includes(value)) problems.push(`${path}${key}: it must be one of ${choice.join(', ')}`);
    else if (isWrong) {
      const expected = typeof standard === 'number' ? 'number above 0' : typeof standard;
      problems.push(`${path}${key}: it must be a ${expected}`);
    }
    result[key] = value;
  }
  for (const key of Object.keys(given)) {
    if (given[key] !== undefined && !(key in known)) problems.push(`${path}${key}: there is no such option`);
  }
  return result;
}
