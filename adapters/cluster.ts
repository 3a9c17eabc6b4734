import type { Socket } from 'node:net';
import {
  check, ModuleError, rules, toError, type Adapter, type HealthReport, type Journal, type Store,
} from '../src/index.ts';
import { ClusterJournal } from './cluster/cluster-journal.ts';
import { ClusterStore } from './cluster/cluster-store.ts';
import { toBytes } from './cluster/ipc-pipe.ts';
import { PrimaryLink } from './cluster/primary-link.ts';
import { isAssigned, READY } from './cluster/socket-balancer.ts';
import { startCluster } from './cluster/start-cluster.ts';

export { clusterErrors } from './cluster/cluster-errors.ts';
export { startCluster, type ClusterOptions, type RunningCluster } from './cluster/start-cluster.ts';

type Receiver = Parameters<Adapter['start']>[0];

export interface ClusterAdapterOptions {
  /** Adapters with the same name reach each other. Managers with different tasks in one process need different ones. */
  readonly bus?: string | undefined;
}

const RULES = { bus: rules.rule('a text', (value) => typeof value === 'string') };

/** The server that accepts the assigned connections of this process. */
let accepting: object | undefined;

/**
 * Connects the processes of one machine through their primary process, without Redis. The primary carries packets, and
 * keeps the state that the processes share. Start the processes by `startCluster()`.
 *
 * @example
 * // main.js
 * await startCluster({ file: new URL('server.js', import.meta.url) });
 * // server.js
 * const manager = WebSocketModule.create({ port: 3001, adapter: new ClusterAdapter() });
 */
export class ClusterAdapter implements Adapter {
  static readonly ClusterAdapter: typeof ClusterAdapter = ClusterAdapter;
  static readonly startCluster: typeof startCluster = (...given) => startCluster(...given);

  readonly name = 'cluster';
  /** State that the workers share, in the memory of the primary. */
  readonly store: Store;
  /** The history of topics, which the workers share, in the memory of the primary. */
  readonly journal: Journal;
  readonly #store: ClusterStore;
  readonly #journal: ClusterJournal;
  readonly #bus: string;
  #node: Receiver | undefined;
  #link: PrimaryLink | undefined;

  /** @throws OPTION_INVALID, OPTION_UNKNOWN */
  constructor(options: ClusterAdapterOptions = {}) {
    this.#bus = check<ClusterAdapterOptions>(options, RULES, 'ClusterAdapter').bus ?? 'default';
    this.store = this.#store = new ClusterStore(() => this.#link);
    this.journal = this.#journal = new ClusterJournal(() => this.#link);
  }

  /** @throws PRIMARY_MISSING, PRIMARY_SILENT */
  async start(node: Receiver): Promise<void> {
    if (this.#link) throw new Error('this adapter is already started; create one adapter for each manager');
    const link = new PrimaryLink({
      packet: (topic, packet) => this.#receive(topic, packet),
      changed: (key) => this.#store.changed(key),
      appended: (topic, entry) => this.#journal.appended(topic, entry),
      disconnected: () => {
        this.#store.changed(undefined);
        this.#node?.healthChanged?.();
      },
    });
    this.#link = link;
    try {
      const { keyWindow } = await link.ask('join', [this.#bus]) as { keyWindow: number };
      this.#journal.keyWindow = keyWindow;
    } catch (error) {
      link.close();
      this.#link = undefined;
      throw error;
    }
    this.#node = node;
  }

  /** @throws PRIMARY_MISSING, PRIMARY_BACKLOG_FULL */
  publish(topic: string, packet: Uint8Array): void {
    // A copy, because the caller may change the bytes before they are sent.
    this.#started().tell('publish', [topic, Buffer.from(packet)]);
  }

  /** @throws PRIMARY_MISSING, PRIMARY_SILENT */
  async subscribe(topic: string): Promise<void> {
    await this.#started().ask('subscribe', [topic]);
  }

  unsubscribe(topic: string): void {
    if (this.#link?.isConnected) this.#link.tell('unsubscribe', [topic]);
  }

  async check(): Promise<HealthReport> {
    try {
      const { nodes } = await this.#started().ask('ping') as { nodes: number };
      return { status: 'healthy', nodes };
    } catch (error) {
      return { status: 'unhealthy', reason: toError(error).message };
    }
  }

  async stop(): Promise<void> {
    const link = this.#link;
    this.#node = undefined;
    this.#link = undefined;
    if (!link) return;
    try {
      if (link.isConnected) await link.ask('stop');
    } finally {
      link.close();
    }
  }

  /**
   * Lets a server of this process accept the connections that the primary assigns to it, with the strategy `ip-hash`.
   * Call it in place of `server.listen()`, once in each process: a second call with the same server does nothing.
   * @throws PRIMARY_MISSING, DUPLICATE for a second server
   */
  static accept(server: { emit(event: 'connection', socket: Socket): unknown }): void {
    if (!process.send) throw new ModuleError('PRIMARY_MISSING');
    if (accepting === server) return;
    // A socket that is given to two servers is read by both.
    if (accepting) throw new ModuleError('DUPLICATE', { kind: 'server', name: 'accept()', owner: 'this process' });
    accepting = server;
    process.on('message', (message, socket) => {
      if (!isAssigned(message) || !socket) return;
      server.emit('connection', socket as Socket);
      (socket as Socket).resume();
    });
    process.send({ [READY]: true });
  }

  #receive(topic: string, packet: unknown): void {
    try {
      this.#node?.receive(topic, toBytes(packet));
    } catch (error) {
      // The failure of one node must not prevent the delivery to others.
      process.emitWarning(toError(error));
    }
  }

  #started(): PrimaryLink {
    if (!this.#link || !this.#node) throw new Error('this adapter is not started');
    return this.#link;
  }
}

export { ClusterAdapter as default, ClusterAdapter as 'module.exports' };
