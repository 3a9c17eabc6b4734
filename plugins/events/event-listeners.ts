import { canonical, isThenable } from '../../src/index.ts';
import { assertFunction } from './event-wire.ts';

export type Listener = (this: any, ...args: any[]) => unknown;
interface Entry { readonly event: string; readonly listener: Listener; readonly once: boolean }

/** Listeners by event. As for the kernel's types, `chat message`, `chat_message` and `chat-message` are one event. */
export class EventListeners {
  // The lists are replaced and never changed, so that a call goes through its list as it was.
  readonly #byEvent = new Map<string, readonly Entry[]>();

  add(event: string, listener: Listener, once = false): void {
    assertFunction(listener, `the listener of "${event}"`);
    const key = canonical(event);
    this.#byEvent.set(key, [...(this.#byEvent.get(key) ?? []), { event, listener, once }]);
  }

  /** Removes one listener of an event, all of the event, or all there are. */
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

  /** The event's name in the spelling of its first listener: the one that layers see. */
  nameOf(event: string): string | undefined { return this.#byEvent.get(canonical(event))?.[0]?.event; }

  of(event: string): Listener[] { return (this.#byEvent.get(canonical(event)) ?? []).map(({ listener }) => listener); }

  /** The listeners to call now. Those that were added with `once` are removed. */
  take(event: string): Listener[] {
    const key = canonical(event);
    const entries = this.#byEvent.get(key) ?? [];
    if (entries.some(({ once }) => once)) this.#set(key, entries.filter(({ once }) => !once));
    return entries.map(({ listener }) => listener);
  }
}

/** Listeners, and the arguments with which they are called. */
export type Call = readonly [listeners: readonly Listener[], args: readonly unknown[]];

/**
 * Calls every listener, whether or not others fail. Returns a promise only when a listener returned one.
 * @param self the listeners' `this`: in sloppy mode they would else share the global object
 * @returns the failures
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
