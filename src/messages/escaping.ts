import type { Escape, MessageLayer } from '../contracts.ts';
import type { Run } from './compose.ts';

export const escapeNothing: Escape = (value) => value;

/** How text is escaped: as the first of the layers says that says how. */
export function escapeOf(layers: readonly MessageLayer[]): Escape {
  return layers.find(({ escape }) => escape)?.escape ?? escapeNothing;
}

/** Escapes each payload just before its handler, unless that reads it raw. Costs nothing where nothing is escaped. */
export function escapeBefore(handle: Run, escape: Escape): Run {
  if (escape === escapeNothing) return handle;
  return (message, connection) => {
    if (message.route && !message.route.raw) {
      const payload: unknown = message.payload;
      const escaped = escape(payload);
      if (escaped !== payload) message.payload = escaped;
    }
    return handle(message, connection);
  };
}
