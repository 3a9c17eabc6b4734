import { ModuleError } from '../errors.ts';
import type { PeerBody } from './packet.ts';

/** Milliseconds between two packets in which a node announces that it is running. */
const ANNOUNCE_INTERVAL = 3_000;
/** Milliseconds without a packet after which a node counts as stopped. */
const EXPIRY = 10_000;
/** Milliseconds between two searches for silent nodes. */
const SWEEP_INTERVAL = 1_000;

/** Maximum number of nodes in a cluster, so that forged packets cannot add any number of them. */
const MAX_PEERS = 10_000;

interface Peer { readonly run: string; seenAt: number; generation: string | undefined }

/** What Peers uses of its node. */
export interface PeersHost {
  readonly id: string;
  /** A random id of this start of the node. */
  readonly run: string;
  /** Announces the state of this node to one node, or to all nodes. */
  announce(state: PeerBody['peer'], to?: string): void;
  joined(node: string): void;
  /** Called when a node stopped, was silent for ten seconds, or restarted. */
  left(node: string): void;
  /** Called when a node has entered its seats in another generation of the store's data than before. */
  entered(generation: string): void;
  /** Called when another running node has the id of this one. */
  idTaken(): void;
}

/**
 * Peers tracks the other running nodes. Each node sends a packet every three seconds. A node that is silent for ten
 * seconds counts as stopped.
 */
export class Peers {
  readonly #host: PeersHost;
  readonly #peers = new Map<string, Peer>();
  #timer: NodeJS.Timeout | undefined;
  #sweptAt = 0;
  #announcedAt = 0;

  constructor(host: PeersHost) { this.#host = host; }

  /** The ids of the other running nodes. */
  get ids(): string[] { return [...this.#peers.keys()]; }

  get size(): number { return this.#peers.size; }

  /** What each other node has announced: the generation of the store's data in which it has entered its seats. */
  get generations(): (string | undefined)[] { return [...this.#peers.values()].map(({ generation }) => generation); }

  has(node: string): boolean { return this.#peers.has(node); }

  start(): void {
    this.#sweptAt = this.#announcedAt = performance.now();
    this.#host.announce('hello');
    this.#timer = setInterval(() => this.#tick(), SWEEP_INTERVAL).unref();
  }

  /** Announces that this node stops. The peers are kept, so that packets already sent can be answered. */
  stop(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#host.announce('bye');
  }

  /** Announces that this node is running, at once. */
  announce(): void { if (this.#timer) this.#host.announce('here'); }

  /** Called for each packet of a node, because it proves that the node is running. */
  markAlive(from: string): void {
    const peer = this.#peers.get(from);
    if (peer) peer.seenAt = performance.now();
  }

  /** Handles a packet in which a node announces that it starts, runs or stops. */
  receive(from: string, run: string, { peer: state, generation }: PeerBody): void {
    if (from === this.#host.id) {
      // Some buses deliver a node's packets to the node itself.
      if (run === this.#host.run || state === 'bye') return;
      this.#host.idTaken();
      if (state === 'hello') this.#host.announce('here', from);
      return;
    }
    const known = this.#peers.get(from);
    if (state === 'bye') {
      if (known?.run === run) this.#drop(from);
      return;
    }
    if (known?.run === run) known.seenAt = performance.now();
    else {
      // The node restarted after a crash, so its earlier connections are closed.
      if (known) this.#drop(from);
      if (this.#peers.size >= MAX_PEERS) {
        throw new ModuleError('PACKET_INVALID', { reason: 'there are too many nodes' });
      }
      this.#peers.set(from, { run, seenAt: performance.now(), generation: undefined });
      this.#host.joined(from);
    }
    const peer = this.#peers.get(from);
    const isNews = peer && peer.generation !== generation;
    if (peer) peer.generation = generation;
    if (isNews && generation !== undefined) this.#host.entered(generation);
    if (state === 'hello') this.#host.announce('here', from);
  }

  #drop(node: string): void {
    this.#peers.delete(node);
    this.#host.left(node);
  }

  #tick(): void {
    const now = performance.now();
    // The event loop of this node was blocked. Packets that arrived meanwhile are read before any node is dropped.
    if (now - this.#sweptAt > ANNOUNCE_INTERVAL) for (const peer of this.#peers.values()) peer.seenAt = now;
    this.#sweptAt = now;
    for (const [node, { seenAt }] of this.#peers) if (now - seenAt > EXPIRY) this.#drop(node);
    if (now - this.#announcedAt < ANNOUNCE_INTERVAL) return;
    this.#announcedAt = now;
    this.#host.announce('here');
  }
}
