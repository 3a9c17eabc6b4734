import { ModuleError } from '../errors.ts';
import { isRecord, type Message } from '../protocol.ts';
import type { Run } from './compose.ts';

/**
 * Runs layers with the fields of an event's arguments readable on the list that is its payload. Otherwise a second
 * argument would hide the fields from layers that check them.
 */
export function withArgumentFields(run: Run): Run {
  return (message, connection) => {
    if (message.meta?.args !== undefined) exposeFields(message);
    return run(message, connection);
  };
}

function exposeFields({ payload: list, meta }: Message<unknown>): void {
  // Any other list is refused behind the layers.
  if (!Array.isArray(list) || list.length < 2 || list.length !== meta!.args) return;
  const owners = new Map<string, Record<string, unknown> | undefined>();
  for (const item of list) {
    // If two arguments have the same field, it is unclear which one a layer means.
    if (isRecord(item)) for (const key of Object.keys(item)) owners.set(key, owners.has(key) ? undefined : item);
  }
  for (const [key, owner] of owners) {
    // The items and the length stay those of the list.
    if (key === 'length' || /^\d+$/.test(key)) continue;
    const record = (): Record<string, unknown> => {
      if (owner) return owner;
      throw new ModuleError('INVALID_MESSAGE', { reason: `two arguments of the event have the field "${key}"` });
    };
    const set = (value: unknown): void => { record()[key] = value; };
    // Not enumerable: the list is written and compared as before.
    Object.defineProperty(list, key, { get: () => record()[key], set, configurable: true });
  }
}
