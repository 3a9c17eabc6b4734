import { canonical, isThenable } from '../../src/index.ts';
import { assertFunction } from './names.ts';

export type Listener = (...args: any[]) => unknown;
interface Entry { readonly listener: Listener; readonly once: boolean }

/** Listeners by event. As for the kernel's types, `chat message`, `chat_message` and `chat-message` are one event. */
export class Listeners {
  // The lists are replaced and never changed, so that whoever is calling one goes through it as it was.
  readonly #byEvent = new Map<string, readonly Entry[]>();

  add(event: string, listener: Listener, once = false): void {
    assertFunction(listener, `the listener of "${event}"`);
    const name = canonical(event);
    this.#byEvent.set(name, [...(this.#byEvent.get(name) ?? []), { listener, once }]);
  }

  /** Takes one listener of an event away, all of the event, or all there are. */
  remove(event?: string, listener?: Listener): void {
    if (event === undefined) return this.#byEvent.clear();
    const name = canonical(event);
    const entries = this.#byEvent.get(name) ?? [];
    const index = listener ? entries.findLastIndex((entry) => entry.listener === listener) : -1;
    if (listener && index < 0) return;
    this.#set(name, listener ? entries.toSpliced(index, 1) : []);
  }

  #set(name: string, entries: readonly Entry[]): void {
    if (entries.length > 0) this.#byEvent.set(name, entries);
    else this.#byEvent.delete(name);
  }

  of(event: string): Listener[] { return (this.#byEvent.get(canonical(event)) ?? []).map(({ listener }) => listener); }

  /** The listeners to be called now; those for once are gone. */
  take(event: string): Listener[] {
    const name = canonical(event);
    const entries = this.#byEvent.get(name) ?? [];
    if (entries.some(({ once }) => once)) this.#set(name, entries.filter(({ once }) => !once));
    return entries.map(({ listener }) => listener);
  }
}

/**
 * Calls every listener, whatever the others do. A promise only where one of them gave one.
 * @returns the failures
 */
export function callAll(listeners: readonly Listener[], args: readonly unknown[]): unknown[] | Promise<unknown[]> {
  const failures: unknown[] = [];
  const running: Promise<unknown>[] = [];
  for (const listener of listeners) {
    try {
      const result = listener(...args);
      if (isThenable(result)) running.push(Promise.resolve(result).catch((error: unknown) => failures.push(error)));
    } catch (error) {
      failures.push(error);
    }
  }
  return running.length === 0 ? failures : Promise.all(running).then(() => failures);
}
