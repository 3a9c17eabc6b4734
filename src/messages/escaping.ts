import type { Escape, MessageLayer } from '../contracts.ts';
import type { Run } from './compose.ts';

export const escapeNothing: Escape = (value) => value;

/** The `escape` of the first layer that has one. */
export function escapeOf(layers: readonly MessageLayer[]): Escape {
  return layers.find(({ escape }) => escape)?.escape ?? escapeNothing;
}

/** Escapes each payload just before its handler, unless the handler is `raw`. Without an `escape`, it costs nothing. */
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
