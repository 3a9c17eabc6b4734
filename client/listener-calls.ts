import { fail, textOf, type ClientError } from './client-error.ts';
import type { Outcome } from './request-answers.ts';

/** For each listener, whether it handled the message, or a promise of that. */
export type Handled = (boolean | Promise<boolean>)[];

/**
 * Calls all listeners, and adds to `handled` what became of each. The first one that returns something, or fails,
 * decides the outcome.
 */
export function callListeners(
  listeners: readonly ((...args: any[]) => unknown)[], args: readonly unknown[], failed: (cause: unknown) => void,
  handled: Handled,
): Outcome {
  let outcome: Outcome = {};
  const fails = (cause: unknown): false => {
    failed(cause);
    return false;
  };
  for (const listener of listeners) {
    let own: Outcome;
    try {
      const value = listener(...args);
      handled.push(value instanceof Promise ? value.then(() => true, fails) : true);
      own = { value };
    } catch (error) {
      handled.push(fails(error));
      own = { error };
    }
    if (outcome.value === undefined && !('error' in outcome)) outcome = own;
  }
  return outcome;
}

export const listenerFailed = (event: string, error: unknown): ClientError =>
  fail('LISTENER_FAILED', `a listener of ${event} failed: ${textOf(error)}`, { event }, error);
