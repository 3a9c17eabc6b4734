import type { PluginContext } from '../contracts.ts';
import { ModuleError } from '../errors.ts';

/** Milliseconds for which the store is not asked again after it failed, so that not every call waits for its answer. */
const PAUSE = 1_000;

/**
 * LocalShare is the fallback of a limit that all nodes share: while the store cannot be used, each node applies its
 * share of the limit, so that the nodes together stay within it.
 */
export class LocalShare {
  readonly #context: PluginContext;
  #until = -Infinity;
  // While the store cannot be used, other nodes may seem to have left, too. So this number only grows until the store
  // answers again.
  #nodes: number;

  constructor(context: PluginContext) {
    this.#context = context;
    this.#nodes = this.#runningNodes;
    context.on('node:joined', () => { this.#nodes = Math.max(this.#nodes, this.#runningNodes); });
  }

  get #runningNodes(): number { return this.#context.node.peers.length + 1; }

  /** Whether the last call of the store failed, less than a second ago. Then do not call it: apply the share. */
  get isNeeded(): boolean { return this.isNeededAt(performance.now()); }

  /** The same, for a caller that knows the time. */
  isNeededAt(now: number): boolean { return now < this.#until; }

  /** The number of nodes that share the limit. */
  get nodes(): number { return this.#nodes; }

  /** The share of a limit that this node applies: at least 1. */
  of(limit: number): number { return Math.max(1, Math.floor(limit / this.#nodes)); }

  /** Called after the store has answered. */
  succeeded(): void {
    this.#until = -Infinity;
    this.#nodes = this.#runningNodes;
  }

  /** Called after a call of the store has failed. Reports the error, unless it says that the store cannot be used. */
  failed(error: unknown): void {
    this.#until = performance.now() + PAUSE;
    const code = error instanceof ModuleError ? error.code : undefined;
    if (code !== 'STORE_UNAVAILABLE' && code !== 'LEASE_LOST') this.#context.report(error);
  }
}
