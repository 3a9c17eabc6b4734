import { ModuleError } from '../errors.ts';
import { canonical } from '../protocol.ts';

/**
 * Converts an option with one entry per message type to a map by canonical type.
 * @throws OPTION_INVALID if two entries have the same type, such as `join-room` and `join_room`
 * @example const limitOf = byType(options.limits, 'myPlugin.limits'); // limitOf.get(canonical(message.type))
 */
export function byType<T>(given: Readonly<Record<string, T>>, path: string): Map<string, T> {
  const made = new Map<string, T>();
  for (const [type, value] of Object.entries(given)) {
    const key = canonical(type);
    if (made.has(key)) {
      const given = `a second entry for "${key}"`;
      throw new ModuleError('OPTION_INVALID', { path: `${path}.${type}`, given, expected: 'the only one of its type' });
    }
    made.set(key, value);
  }
  return made;
}
