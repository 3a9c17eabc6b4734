import type { IncomingMessage } from 'node:http';
import type { AnyServer } from '../runtime/options.ts';

export type Emit = (event: string | symbol, ...args: unknown[]) => boolean;

/** What a tap does with what it sees. */
export interface TapHandler {
  /** Whether the event is handled, so that no listener of the server gets it. */
  handle(event: string | symbol, args: readonly unknown[]): boolean;
  /**
   * Whether an upgrade that is offered is taken up; otherwise the request is one like any other.
   * @param before what the server would have decided
   */
  isUpgrade(request: IncomingMessage, before: () => boolean): boolean;
}

type Decide = (request: IncomingMessage) => boolean;
/** Since Node 24.9, and 22.21. */
type WithDecision = AnyServer & { shouldUpgradeCallback?: Decide | undefined };

const PROBE = Symbol('probe');

/**
 * Sees a server's events before all of its listeners, whenever these were added: other libraries answer, or end, what
 * is not meant for them. Others may wrap `emit`, too; a tap that cannot be taken out then stays, and lets all pass.
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

  /** Whether the server asks before it takes a request away from its parser. */
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

  /** Whether events still pass through the tap, where others have wrapped or replaced `emit` since. */
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
