import { ModuleError } from '../errors.ts';
import { canonical } from '../protocol.ts';

/** What is given by message type, by its canonical form. @throws OPTION_INVALID where two are of one type: which one holds could not be seen */
export function byType<T>(given: Readonly<Record<string, T>>, path: string): Map<string, T> {
  const made = new Map<string, T>();
  for (const [type, value] of Object.entries(given)) {
    const key = canonical(type);
    if (made.has(key)) throw new ModuleError('OPTION_INVALID', { path: `${path}.${type}`, given: `a second one of "${key}"`, expected: 'the only one of its type' });
    made.set(key, value);
  }
  return made;
}
