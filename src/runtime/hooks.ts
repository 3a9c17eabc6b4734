import { EventEmitter } from 'eventemitter3';
import type { Hooks } from '../contracts.ts';
import { toError } from '../errors.ts';
import type { Labelled, Undo } from './scope.ts';

type Listener = (a?: any, b?: any) => unknown;
type Guarded = Listener & { readonly listener: Listener; readonly owner: string };

const isThenable = (value: unknown): boolean =>
  typeof (value as { then?: unknown } | null | undefined)?.then === 'function';

/**
 * Typed events that observe: a listener that throws or rejects is reported, and reaches neither the sender nor the
 * other listeners.
 */
export class HookBus {
  readonly #emitter = new EventEmitter<string>();
  readonly #failed: (error: Error, event: keyof Hooks) => void;

  /** What asynchronous listeners have not finished. */
  readonly #running = new Set<Promise<unknown>>();

  /** @param failed is told of a listener's failure, and of which event it was one */
  constructor(failed: (error: Error, event: keyof Hooks) => void) { this.#failed = failed; }

  /** Whether there is a listener: an event without one costs nothing. */
  has(event: keyof Hooks): boolean { return this.#emitter.listenerCount(event) > 0; }

  inventory(): Labelled[] {
    return this.#emitter.eventNames().flatMap((event) =>
      (this.#emitter.listeners(event) as Guarded[]).map(({ owner }) => ({ owner, label: `listener ${event}` })));
  }

  get size(): number {
    return this.#emitter.eventNames().reduce((sum, event) => sum + this.#emitter.listenerCount(event), 0);
  }

  /** @param owner whose listener it is, for inventories */
  on<E extends keyof Hooks>(event: E, listener: Hooks[E], owner = ''): Undo {
    const fail = (error: unknown): void => this.#failed(toError(error), event);
    // An event has two arguments at most; gathering and spreading them would be half of what it costs.
    const guard: Listener = (a, b) => {
      try {
        const result: unknown = (listener as Listener)(a, b);
        // A query builder of a database is no Promise, and does nothing before it is awaited.
        if (isThenable(result)) this.#watch(Promise.resolve(result).catch(fail));
      } catch (error) {
        fail(error);
      }
    };
    const guarded: Guarded = Object.assign(guard, { listener, owner });
    this.#emitter.on(event, guarded);
    return () => this.#emitter.off(event, guarded);
  }

  #watch(work: Promise<unknown>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  /** Resolves when no asynchronous listener is at work. */
  async whenIdle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  off<E extends keyof Hooks>(event: E, listener: Hooks[E]): void {
    const guarded = (this.#emitter.listeners(event) as Guarded[]).find((one) => one.listener === listener);
    if (guarded) this.#emitter.off(event, guarded);
  }

  emit<E extends keyof Hooks>(event: E, ...args: Parameters<Hooks[E]>): void;
  emit(event: string, a?: unknown, b?: unknown): void { this.#emitter.emit(event, a, b); }
}
