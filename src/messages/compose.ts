import type { Connection, MessageLayer, SendLayer, Target } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import { isRecord, type Message, type Outgoing } from '../protocol.ts';
import { describe } from '../runtime/check.ts';

export type Run = (message: Message, connection: Connection) => unknown;
export type Send = (message: Outgoing, target: Target) => Outgoing;

/**
 * Folds layers and the innermost function into one function, outermost layer first. Called when layers change, not for
 * each message.
 */
export function compose(layers: readonly MessageLayer[], innermost: Run): Run {
  return layers.reduceRight<Run>((inner, layer) => (message, connection) => {
    let called = false;
    return layer.handler(message, connection, () => {
      if (called) throw new ModuleError('NEXT_TWICE', { layer: layer.name ?? 'message layer' });
      called = true;
      return inner(message, connection);
    });
  }, innermost);
}

/**
 * Folds send layers into one function that returns the message to send.
 * @param report receives the error if a layer returns a promise that rejects; the message is dropped before
 */
export function composeSend(layers: readonly SendLayer[], report: (error: unknown) => void): Send {
  return (message, target) => {
    let given = message;
    for (const layer of layers) {
      const returned: unknown = layer.handler(given, target) ?? given;
      const isMessage = isRecord(returned) && typeof returned.type === 'string';
      if (!isMessage) throw new TypeError(describeMistake(layer, returned, report));
      given = returned as Outgoing;
    }
    return given;
  };
}

type Report = (error: unknown) => void;

function describeMistake({ name = 'send layer' }: SendLayer, returned: unknown, report: Report): string {
  if (!isThenable(returned)) return `"${name}" must return a message or nothing, but returned ${describe(returned)}`;
  returned.then(undefined, report);
  return `"${name}" returned a promise; a send layer must be synchronous`;
}

/** Whether a result must be awaited. Synchronous results cost no promise. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
