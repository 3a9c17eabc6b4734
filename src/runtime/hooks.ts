import { EventEmitter } from 'eventemitter3';
import type { Hooks } from '../contracts.ts';
import { toError } from '../errors.ts';
import type { Undo } from './scope.ts';

type Listener = (a?: any, b?: any) => unknown;
type Guarded = Listener & { listener: Listener };

/** Typed events that observe: a listener that throws or rejects is reported, and reaches neither the sender nor the other listeners. */
export class HookBus {
  readonly #emitter = new EventEmitter<string>();
  readonly #failed: (error: Error, event: keyof Hooks) => void;

  /** @param failed is told of a listener's failure, and of which event it was one */
  constructor(failed: (error: Error, event: keyof Hooks) => void) { this.#failed = failed; }

  /** Whether anybody listens, so that an event nobody hears costs nothing. */
  has(event: keyof Hooks): boolean { return this.#emitter.listenerCount(event) > 0; }

  get size(): number { return this.#emitter.eventNames().reduce((sum, event) => sum + this.#emitter.listenerCount(event), 0); }

  on<E extends keyof Hooks>(event: E, listener: Hooks[E]): Undo {
    const fail = (error: unknown): void => this.#failed(toError(error), event);
    // An event has two arguments at most; gathering and spreading them would be half of what it costs.
    const guarded: Guarded = (a, b) => {
      try {
        const result: unknown = (listener as Listener)(a, b);
        if (result instanceof Promise) result.catch(fail);
      } catch (error) {
        fail(error);
      }
    };
    guarded.listener = listener;
    this.#emitter.on(event, guarded);
    return () => this.#emitter.off(event, guarded);
  }

  off<E extends keyof Hooks>(event: E, listener: Hooks[E]): void {
    const guarded = (this.#emitter.listeners(event) as Guarded[]).find((one) => one.listener === listener);
    if (guarded) this.#emitter.off(event, guarded);
  }

  emit<E extends keyof Hooks>(event: E, ...args: Parameters<Hooks[E]>): void;
  emit(event: string, a?: unknown, b?: unknown): void { this.#emitter.emit(event, a, b); }
}
