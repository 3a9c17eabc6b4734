import { ModuleError } from '../errors.ts';
import type { PeerBody } from './packet.ts';

/** Milliseconds between two packets in which a node says that it is alive. */
const BEAT = 3_000;
/** Milliseconds without a packet after which a node counts as stopped. */
const EXPIRY = 10_000;
/** Milliseconds between two searches for silent nodes. */
const SWEEP = 1_000;

/** Maximum number of nodes in a cluster, so that forged packets cannot add any number of them. */
const MAX_PEERS = 10_000;

interface Peer { readonly run: string; seenAt: number }

/** What Peers uses of its node. */
export interface PeersHost {
  readonly id: string;
  /** A random id of this start of the node. */
  readonly run: string;
  /** Sends to one node, or to all nodes. */
  say(peer: PeerBody['peer'], to?: string): void;
  joined(node: string): void;
  /** Called when a node stopped, was silent for ten seconds, or restarted. */
  left(node: string): void;
  /** Called when another running node has the id of this one. */
  doubled(): void;
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
  #saidAt = 0;

  constructor(host: PeersHost) { this.#host = host; }

  /** The ids of the other running nodes. */
  get ids(): string[] { return [...this.#peers.keys()]; }

  get size(): number { return this.#peers.size; }

  has(node: string): boolean { return this.#peers.has(node); }

  start(): void {
    this.#sweptAt = this.#saidAt = performance.now();
    this.#host.say('hello');
    this.#timer = setInterval(() => this.#tick(), SWEEP).unref();
  }

  /** Tells the other nodes that this one stops. The peers stay known, so that packets already sent can be answered. */
  stop(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#host.say('bye');
  }

  /** Called for each packet of a node: it proves that the node is running. */
  heard(from: string): void {
    const peer = this.#peers.get(from);
    if (peer) peer.seenAt = performance.now();
  }

  /** Handles a packet in which a node says that it starts, runs or stops. */
  receive(from: string, run: string, said: PeerBody['peer']): void {
    if (from === this.#host.id) {
      // Some buses deliver a node's packets to the node itself.
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
      // The same node after a crash: its former connections are gone.
      if (known) this.#drop(from);
      if (this.#peers.size >= MAX_PEERS) {
        throw new ModuleError('PACKET_INVALID', { reason: 'there are too many nodes' });
      }
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
    // The event loop of this node was blocked: packets of other nodes may wait, and are read before a node is dropped.
    if (now - this.#sweptAt > BEAT) for (const peer of this.#peers.values()) peer.seenAt = now;
    this.#sweptAt = now;
    for (const [node, { seenAt }] of this.#peers) if (now - seenAt > EXPIRY) this.#drop(node);
    if (now - this.#saidAt < BEAT) return;
    this.#saidAt = now;
    this.#host.say('here');
  }
}
