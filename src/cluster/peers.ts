import { ModuleError } from '../errors.ts';
import type { PeerBody } from './packet.ts';

/** Milliseconds between two signs of life of a node. */
const BEAT = 3_000;
/** Milliseconds of silence after which a node is taken for dead. */
const EXPIRY = 10_000;
/** Milliseconds between two looks for silent nodes. */
const SWEEP = 1_000;

/** Nodes of one cluster. A forged packet cannot add more. */
const MAX_PEERS = 10_000;

interface Peer { readonly run: string; seenAt: number }

/** What Peers needs of its node. */
export interface PeersHost {
  readonly id: string;
  /** Random, for this start of the node. */
  readonly run: string;
  /** Tells one node, or all of them. */
  say(peer: PeerBody['peer'], to?: string): void;
  joined(node: string): void;
  /** A node said goodbye, was silent for ten seconds, or started again. */
  left(node: string): void;
  /** Another living node has the id of this one. */
  doubled(): void;
}

/**
 * Peers knows the other living nodes. Each says every three seconds that it is there; one that is silent for ten is
 * taken for dead.
 */
export class Peers {
  readonly #host: PeersHost;
  readonly #peers = new Map<string, Peer>();
  #timer: NodeJS.Timeout | undefined;
  #sweptAt = 0;
  #saidAt = 0;

  constructor(host: PeersHost) { this.#host = host; }

  /** The ids of the other living nodes. */
  get ids(): string[] { return [...this.#peers.keys()]; }

  get size(): number { return this.#peers.size; }

  has(node: string): boolean { return this.#peers.has(node); }

  start(): void {
    this.#sweptAt = this.#saidAt = performance.now();
    this.#host.say('hello');
    this.#timer = setInterval(() => this.#tick(), SWEEP).unref();
  }

  /** Says goodbye. The peers stay known, for what is under way. */
  stop(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#host.say('bye');
  }

  /** Another packet of a node proves that it lives. */
  heard(from: string): void {
    const peer = this.#peers.get(from);
    if (peer) peer.seenAt = performance.now();
  }

  /** Takes what a node says of itself. */
  receive(from: string, run: string, said: PeerBody['peer']): void {
    if (from === this.#host.id) {
      // Its own words come back on some buses.
      if (run === this.#host.run || said === 'bye') return;
      this.#host.doubled();
      if (said === 'hello') this.#host.say('here', from);
      return;
    }
    const known = this.#peers.get(from);
    if (said === 'bye') {
      if (known?.run === run) this.#drop(from);
      return;
    }
    if (known?.run === run) known.seenAt = performance.now();
    else {
      // The same node after a crash: what it held before is gone.
      if (known) this.#drop(from);
      if (this.#peers.size >= MAX_PEERS) throw new ModuleError('PACKET_INVALID', { reason: 'there are too many nodes' });
      this.#peers.set(from, { run, seenAt: performance.now() });
      this.#host.joined(from);
    }
    if (said === 'hello') this.#host.say('here', from);
  }

  #drop(node: string): void {
    this.#peers.delete(node);
    this.#host.left(node);
  }

  #tick(): void {
    const now = performance.now();
    // This node stood still and heard no other: it reads the packets that wait before it judges a node.
    if (now - this.#sweptAt > BEAT) for (const peer of this.#peers.values()) peer.seenAt = now;
    this.#sweptAt = now;
    for (const [node, { seenAt }] of this.#peers) if (now - seenAt > EXPIRY) this.#drop(node);
    if (now - this.#saidAt < BEAT) return;
    this.#saidAt = now;
    this.#host.say('here');
  }
}
