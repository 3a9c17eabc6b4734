// The ports to other processes, which adapters implement.

import type { ModuleError } from './errors.ts';
import type { HealthReport } from './metrics.ts';

/** The node that starts an adapter. */
export interface AdapterNode {
  readonly id: string;
  /** Must be called for each packet. Packets of this node are ignored. */
  receive(topic: string, packet: Uint8Array): void;
  /** May be called when the result of check() has changed, so that the node's health changes at once. */
  healthChanged?(): void;
  /** Tells that packets of other nodes may not have arrived: the connection that receives was replaced. */
  interrupted?(reason: string): void;
}

/** Carries topics between nodes, each packet at most once. The packets of one node to one topic keep their order. */
export interface Adapter {
  readonly name: string;
  /** State that all nodes share. Without one, state is per node. */
  readonly store?: Store | undefined;
  start(node: AdapterNode): Promise<void>;
  /** The bytes may change after it returns. */
  publish(topic: string, packet: Uint8Array): void | Promise<void>;
  /**
   * Called when a topic gets its first subscriber on this node.
   * @returns a promise that resolves when later packets to the topic are received, or nothing if they already are
   */
  subscribe(topic: string): void | Promise<void>;
  /** Called when the last subscriber on this node leaves. */
  unsubscribe(topic: string): void | Promise<void>;
  check?(): HealthReport | Promise<HealthReport>;
  stop(): Promise<void>;
}

/** A value that JSON can write. A store returns a copy. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** A document, with the version of its last write. Versions are opaque, and are never used again. */
export interface Versioned { readonly value: Json; readonly version: string }

/** The lease of a node. */
export interface Lease {
  /** Tells this run of the node from earlier ones. Writes of an earlier run are refused. */
  readonly incarnation: string;
  /** Milliseconds since the epoch, by the clock of the store. */
  readonly now: number;
  /** Changes when the store may have lost data: nodes enter again what they hold. */
  readonly generation: string;
}

/** One member of a set. */
export interface Member { readonly id: string; readonly value: Json }

/** A seat that an expired lease left. `set`, `member` and `holder` together tell it from all others. */
export interface Reaped {
  /** The node that held the seat. */
  readonly node: string;
  readonly set: string;
  readonly member: string;
  readonly holder: string;
  readonly value: Json;
  /** Whether no other seat of the member is left, so that the member left the set. */
  readonly last: boolean;
}

export interface EnterOptions {
  /**
   * What holds the seat: a connection id. The seat belongs to this node, and is released when the node's lease expires.
   * Without one, the seat belongs to no node.
   */
  readonly holder?: string | undefined;
  /** Members that the set may have. A member that is in it already, or has a kept seat, always enters. */
  readonly max?: number | undefined;
  /** Milliseconds that a seat without a holder lasts. It ends in silence. @default for ever */
  readonly ttl?: number | undefined;
  /**
   * A member that leaves in the same step, and gives its place: an anonymous connection that authenticates enters even
   * a full set.
   */
  readonly replaces?: string | undefined;
  /** What other nodes are told of the member. @default what it was before; null for a new member */
  readonly value?: Json | undefined;
}

/**
 * State that all nodes share: documents, sets of members, and rates. What one node calls is done in the order of the
 * calls, so that `enter()` and `get()` of one turn need not wait for each other.
 *
 * Each function but `watch()`, `lease()` and `release()` needs the lease of the node, and rejects with LEASE_LOST
 * without one, also where the lease ends before the answer is there. Where the store cannot be reached, functions
 * reject with STORE_UNAVAILABLE: the write may have been done, or not. Names are non-empty, well-formed strings, and
 * values are JSON: others are refused with OPTION_INVALID.
 */
export interface Store {
  readonly name: string;

  /**
   * Begins to hold a lease, and ends the one that this object held before. Where another run of the node holds one,
   * waits until that one expires.
   * @param ttl milliseconds that the lease lasts without renew()
   * @throws NODE_ID_TAKEN if the other run renews its lease
   */
  lease(node: string, ttl: number): Promise<Lease>;
  /** Holds the lease for another `ttl`. @throws LEASE_LOST if it has expired; take a new one */
  renew(): Promise<Lease>;
  /** Ends the lease. What the node still holds is handed out by reap(). Does nothing without a lease. */
  release(): Promise<void>;
  /**
   * Releases what nodes hold whose lease expired or ended, a bounded number of seats in each call: call it until it
   * returns none. Each seat is handed to one caller on one node. The next call, and release(), say that what this one
   * returned is dealt with; if the lease of the caller expires before, these seats are handed to another caller.
   */
  reap(): Promise<readonly Reaped[]>;

  /** One read of several documents. `undefined` where there is none. */
  get(keys: readonly string[]): Promise<readonly (Versioned | undefined)[]>;
  /**
   * Writes a document and tells all watchers, in one step.
   * @param options.if the version that it replaces, or `absent`
   * @param options.ttl milliseconds that it lasts; for ever without one. It ends in silence
   * @returns the new version
   * @throws STORE_CONFLICT if the document has another version
   */
  put(
    key: string,
    value: Json,
    options?: { readonly if?: string | undefined; readonly ttl?: number | undefined },
  ): Promise<string>;
  /** Returns whether there was a document. @throws STORE_CONFLICT if it has another version */
  delete(key: string, options?: { readonly if?: string | undefined }): Promise<boolean>;
  /** Lets documents last for `ttl` milliseconds from now on. Their versions stay. Missing ones are ignored. */
  touch(keys: readonly string[], ttl: number): Promise<void>;
  /**
   * Tells of each document that was written or deleted on any node: at least once, on this node before put() or
   * delete() resolves. `undefined`: changes may have been missed. Returns its undo.
   */
  watch(listener: (key: string | undefined) => void): () => void;

  /**
   * Puts a member into a set. `first`: it was not in it. `size`: the members afterwards.
   * @throws STORE_FULL
   */
  enter(
    set: string,
    member: string,
    options?: EnterOptions,
  ): Promise<{ readonly first: boolean; readonly size: number }>;
  /**
   * Releases the seat of a holder, or all seats of the member. `last`: the member left the set in this call.
   * @param options.keepFor milliseconds that the place of a member that left counts for `max`, and waits for the member
   */
  leave(
    set: string,
    member: string,
    options?: { readonly holder?: string | undefined; readonly keepFor?: number | undefined },
  ): Promise<{ readonly last: boolean; readonly size: number }>;
  /**
   * A page of the members, in the order in which they came. Members that stay in the set are on exactly one page.
   * @param options.cursor what the page before returned. It returns `undefined` on the last page
   * @param options.limit members on a page: 1 to 1,000
   */
  members(
    set: string,
    options: { readonly cursor?: string | undefined; readonly limit: number },
  ): Promise<{ readonly members: readonly Member[]; readonly cursor: string | undefined }>;
  /** The number of members of each set, without kept seats. */
  sizes(sets: readonly string[]): Promise<readonly number[]>;

  /**
   * Takes tokens of a rate that all nodes share, as many as there are.
   * @param rate `burst` tokens at most, all of them refilled within `per` milliseconds
   * @returns `retryAfter`: milliseconds until there is another token; 0 where all were granted
   */
  take(
    key: string,
    rate: { readonly burst: number; readonly per: number },
    count: number,
  ): Promise<{ readonly granted: number; readonly retryAfter: number }>;
}

// Between the plugins of several nodes

/** Handles a message or question from the same plugin on another node. Its result is the answer; it may throw. */
export type ChannelAnswer<Payload = any> = (payload: Payload, from: string) => unknown;
export interface ChannelOptions {
  /** One node. @default all other nodes */
  readonly node?: string | undefined;
  /** Milliseconds within which the nodes must answer. @default 2_000 */
  readonly timeout?: number | undefined;
}
/** The answers of other nodes. */
export interface Answers<Answer = any> {
  readonly answers: readonly { readonly node: string; readonly answer: Answer }[];
  /** Nodes on which the plugin failed, or has no such channel. */
  readonly failed: readonly { readonly node: string; readonly error: ModuleError }[];
  /** Nodes that did not answer in time. */
  readonly missing: readonly string[];
}
/** Carries JSON between the same plugin on all nodes. */
export interface Channel<Payload = any, Answer = any> {
  /** Sends to other nodes. There is no answer; a failure of the adapter causes an `error` event. */
  tell(payload: Payload, options?: Pick<ChannelOptions, 'node'>): void;
  /** Asks other nodes, and resolves with their answers. @throws TOO_MANY_QUESTIONS */
  ask(payload: Payload, options?: ChannelOptions): Promise<Answers<Answer>>;
}
