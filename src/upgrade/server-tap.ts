import type { IncomingMessage } from 'node:http';
import type { AnyServer } from '../runtime/options.ts';

export type Emit = (event: string | symbol, ...args: unknown[]) => boolean;

/** Decides about the events and requests that a tap sees. */
export interface TapHandler {
  /** Returns whether it handled the event, so that no listener of the server gets it. */
  handle(event: string | symbol, args: readonly unknown[]): boolean;
  /**
   * Returns whether Node treats a request with an Upgrade header as an upgrade; otherwise as plain HTTP.
   * @param before returns what the server would decide without the tap
   */
  isUpgrade(request: IncomingMessage, before: () => boolean): boolean;
}

type Decide = (request: IncomingMessage) => boolean;
/** shouldUpgradeCallback exists since Node 24.9, and 22.21. */
type WithDecision = AnyServer & { shouldUpgradeCallback?: Decide | undefined };

const PROBE = Symbol('probe');

/**
 * Sees the events of a server before all its listeners, because other libraries answer or close upgrades that are not
 * meant for them. It wraps `emit`. If another library has wrapped `emit` later, the tap cannot be removed: it stays,
 * and passes all events on.
 */
export class ServerTap {
  readonly #server: WithDecision;
  readonly #handler: TapHandler;
  #isOpen = false;
  #isReached = false;
  #restore: (() => void) | undefined;
  #restoreDecision: (() => void) | undefined;

  constructor(server: AnyServer, handler: TapHandler) {
    this.#server = server;
    this.#handler = handler;
  }

  /** Whether Node asks shouldUpgradeCallback before it treats a request as an upgrade. */
  get isAsked(): boolean { return typeof this.#server.shouldUpgradeCallback === 'function'; }

  open(): void {
    this.#isOpen = true;
    if (!this.#isInPlace()) this.#restore = this.#wrapEmit();
    if (this.isAsked) this.#restoreDecision ??= this.#wrapDecision();
  }

  close(): void {
    this.#isOpen = false;
    this.#restore?.();
    this.#restoreDecision?.();
  }

  /** Whether events still pass through the tap. Another library may have replaced `emit`. */
  #isInPlace(): boolean {
    this.#isReached = false;
    if (this.#restore) this.#server.emit(PROBE as unknown as string);
    return this.#isReached;
  }

  #wrapEmit(): () => void {
    const server = this.#server;
    const before = Object.getOwnPropertyDescriptor(server, 'emit');
    const emit = server.emit.bind(server) as Emit;
    const wrapped: Emit = (event, ...args) => {
      if (event === PROBE) return (this.#isReached = true);
      return (this.#isOpen && this.#handler.handle(event, args)) || emit(event, ...args);
    };
    Object.defineProperty(server, 'emit', { value: wrapped, configurable: true, writable: true });
    return () => {
      if (server.emit !== wrapped) return;
      this.#restore = undefined;
      if (before) Object.defineProperty(server, 'emit', before);
      else Reflect.deleteProperty(server, 'emit');
    };
  }

  #wrapDecision(): () => void {
    const server = this.#server;
    const decide = server.shouldUpgradeCallback!;
    const wrapped: Decide = (request) => {
      const before = (): boolean => decide.call(server, request);
      return this.#isOpen ? this.#handler.isUpgrade(request, before) : before();
    };
    server.shouldUpgradeCallback = wrapped;
    return () => {
      if (server.shouldUpgradeCallback !== wrapped) return;
      this.#restoreDecision = undefined;
      server.shouldUpgradeCallback = decide;
    };
  }
}
