import { canonical, isThenable } from '../../src/index.ts';
import { assertFunction } from './event-wire.ts';

export type Listener = (this: any, ...args: any[]) => unknown;
interface Entry { readonly event: string; readonly listener: Listener; readonly once: boolean }

/** Listeners by event. `chat message`, `chat_message` and `chat-message` are the same event, as for message types. */
export class EventListeners {
  // Lists are replaced, never changed, so that a running call is not affected by new listeners.
  readonly #byEvent = new Map<string, readonly Entry[]>();

  add(event: string, listener: Listener, once = false): void {
    assertFunction(listener, `the listener of "${event}"`);
    const key = canonical(event);
    this.#byEvent.set(key, [...(this.#byEvent.get(key) ?? []), { event, listener, once }]);
  }

  /** Removes one listener of an event, all listeners of the event, or all listeners. */
  remove(event?: string, listener?: Listener): void {
    if (event === undefined) return this.#byEvent.clear();
    const key = canonical(event);
    const entries = this.#byEvent.get(key) ?? [];
    const index = listener ? entries.findLastIndex((entry) => entry.listener === listener) : -1;
    if (listener && index < 0) return;
    this.#set(key, listener ? entries.toSpliced(index, 1) : []);
  }

  #set(key: string, entries: readonly Entry[]): void {
    if (entries.length > 0) this.#byEvent.set(key, entries);
    else this.#byEvent.delete(key);
  }

  /** The name of an event in the spelling of its first listener. Layers see this name. */
  nameOf(event: string): string | undefined { return this.#byEvent.get(canonical(event))?.[0]?.event; }

  of(event: string): Listener[] { return (this.#byEvent.get(canonical(event)) ?? []).map(({ listener }) => listener); }

  /** Returns the listeners to call now, and removes those added with `once`. */
  take(event: string): Listener[] {
    const key = canonical(event);
    const entries = this.#byEvent.get(key) ?? [];
    if (entries.some(({ once }) => once)) this.#set(key, entries.filter(({ once }) => !once));
    return entries.map(({ listener }) => listener);
  }
}

/** Listeners and their arguments. */
export type Call = readonly [listeners: readonly Listener[], args: readonly unknown[]];

/**
 * Calls every listener, even if others fail. Returns a promise only if a listener returned one.
 * @param self the `this` of the listeners; otherwise listeners in sloppy mode would get the global object
 * @returns the errors
 */
export function callAll(self: unknown, ...calls: readonly Call[]): unknown[] | Promise<unknown[]> {
  const failures: unknown[] = [];
  const running: Promise<unknown>[] = [];
  for (const [listeners, args] of calls) {
    for (const listener of listeners) {
      try {
        const result: unknown = Reflect.apply(listener, self, args);
        if (isThenable(result)) running.push(Promise.resolve(result).catch((error: unknown) => failures.push(error)));
      } catch (error) {
        failures.push(error);
      }
    }
  }
  return running.length === 0 ? failures : Promise.all(running).then(() => failures);
}
