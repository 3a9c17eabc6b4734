import { EventEmitter } from 'eventemitter3';
import type { Hooks } from '../contracts.ts';
import { toError } from '../errors.ts';
import type { Labelled, Undo } from './scope.ts';

type Listener = (a?: any, b?: any) => unknown;
type Guarded = Listener & { readonly listener: Listener; readonly owner: string };

const isThenable = (value: unknown): boolean =>
  typeof (value as { then?: unknown } | null | undefined)?.then === 'function';

/**
 * Emits typed events to observers. If a listener throws or rejects, the error is reported; the emitter and the other
 * listeners are not affected.
 */
export class HookBus {
  readonly #emitter = new EventEmitter<string>();
  readonly #failed: (error: Error, event: keyof Hooks) => void;

  /** The results of asynchronous listeners that have not finished. */
  readonly #running = new Set<Promise<unknown>>();

  /** @param failed called with the error of a listener and its event */
  constructor(failed: (error: Error, event: keyof Hooks) => void) { this.#failed = failed; }

  /** Whether an event has a listener. If not, the hot path does not create its arguments. */
  has(event: keyof Hooks): boolean { return this.#emitter.listenerCount(event) > 0; }

  inventory(): Labelled[] {
    return this.#emitter.eventNames().flatMap((event) =>
      (this.#emitter.listeners(event) as Guarded[]).map(({ owner }) => ({ owner, label: `listener ${event}` })));
  }

  get size(): number {
    return this.#emitter.eventNames().reduce((sum, event) => sum + this.#emitter.listenerCount(event), 0);
  }

  /** @param owner the owner of the listener, for inventories */
  on<E extends keyof Hooks>(event: E, listener: Hooks[E], owner = ''): Undo {
    const fail = (error: unknown): void => this.#failed(toError(error), event);
    // An event has at most two arguments. Rest parameters would double the cost of an event.
    const guard: Listener = (a, b) => {
      try {
        const result: unknown = (listener as Listener)(a, b);
        // The result may be a thenable that starts its work when it is awaited, such as a query builder.
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

  /** Resolves when no asynchronous listener is running. */
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
