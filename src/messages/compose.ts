import type { Connection, MessageLayer, SendLayer, Target } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import type { Message, Outgoing } from '../protocol.ts';

export type Run = (message: Message, connection: Connection) => unknown;

/**
 * Folds layers and the innermost function into one function, outermost layer first. Runs when layers change, not per
 * message.
 */
export function compose(layers: readonly MessageLayer[], core: Run): Run {
  return layers.reduceRight<Run>((inner, layer) => (message, connection) => {
    let called = false;
    return layer.handler(message, connection, () => {
      if (called) throw new ModuleError('NEXT_TWICE', { layer: layer.name ?? 'message layer' });
      called = true;
      return inner(message, connection);
    });
  }, core);
}

/** Folds send layers into one function that returns the message to send. */
export function composeSend(layers: readonly SendLayer[]): (message: Outgoing, target: Target) => Outgoing {
  return (message, target) => {
    let given = message;
    for (const layer of layers) given = layer.handler(given, target) ?? given;
    return given;
  };
}

/** Whether a result must be awaited. Synchronous results cost no promise. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
