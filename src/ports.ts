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
  /** Changes when the store lost its data: nodes enter again what they hold. */
  readonly generation: string;
}

/** One member of a set. */
export interface Member { readonly id: string; readonly value: Json }

/** A seat that an expired node held, handed to one caller of reap(). */
export interface Reaped {
  readonly node: string;
  readonly set: string;
  readonly member: string;
  readonly value: Json;
  /** Whether no other holder is left, so that the member left the set. */
  readonly last: boolean;
}

export interface EnterOptions {
  /**
   * What holds the seat: a connection id. It is released when the lease of the node expires. Without one, the seat
   * stays.
   */
  readonly holder?: string | undefined;
  /** Members that the set may have. A member that is in it already always enters. @throws STORE_FULL */
  readonly max?: number | undefined;
  /** Milliseconds that a seat without a holder lasts. */
  readonly ttl?: number | undefined;
  /** A member whose seat is taken over: an anonymous connection that authenticates keeps its place. */
  readonly replaces?: string | undefined;
  /** What other nodes are told of the member. The last write wins. @default null */
  readonly value?: Json | undefined;
}

/**
 * State that all nodes share: documents, sets of members, and rates. Everything is refused with STORE_UNAVAILABLE while
 * the store cannot be reached, and with LEASE_LOST if the node's lease has expired.
 */
export interface Store {
  readonly name: string;

  /**
   * Begins to hold a lease. Waits for one `ttl` where another run of the node still holds one.
   * @param ttl milliseconds that the lease lasts without renew()
   * @throws NODE_ID_TAKEN if the other run renews its lease
   */
  lease(node: string, ttl: number): Promise<Lease>;
  /** Holds the lease for another `ttl`. @throws LEASE_LOST */
  renew(): Promise<Lease>;
  /** Ends the lease and releases everything that the node holds. */
  release(): Promise<void>;
  /** Releases what nodes with expired leases hold. Each seat is handed to one caller on one node. */
  reap(): Promise<readonly Reaped[]>;

  get(keys: readonly string[]): Promise<readonly (Versioned | undefined)[]>;
  /**
   * Writes a document and tells all watchers, in one step.
   * @param options.if the version that it replaces, or `absent`
   * @param options.ttl milliseconds that it lasts; for ever without one
   * @returns the new version
   * @throws STORE_CONFLICT if the document has another version
   */
  put(
    key: string,
    value: Json,
    options?: { readonly if?: string | undefined; readonly ttl?: number | undefined },
  ): Promise<string>;
  /** Returns whether there was a document. @throws STORE_CONFLICT */
  delete(key: string, options?: { readonly if?: string | undefined }): Promise<boolean>;
  /** Lets documents last for `ttl` milliseconds from now on. */
  touch(keys: readonly string[], ttl: number): Promise<void>;
  /** Calls the listener with each key that was written or deleted; with `undefined` if changes may have been missed. */
  watch(listener: (key: string | undefined) => void): () => void;

  /** Puts a member into a set. `first`: it was not in it. @throws STORE_FULL */
  enter(
    set: string,
    member: string,
    options?: EnterOptions,
  ): Promise<{ readonly first: boolean; readonly size: number }>;
  /**
   * Releases the seat of a holder, or all seats of the member. `last`: the member left the set.
   * @param options.keepFor milliseconds that the seat still counts and can be taken again
   */
  leave(
    set: string,
    member: string,
    options?: { readonly holder?: string | undefined; readonly keepFor?: number | undefined },
  ): Promise<{ readonly last: boolean; readonly size: number }>;
  /** A page of the members, in an order that stays. Members that stay in the set are on exactly one page. */
  members(
    set: string,
    options: { readonly cursor?: string | undefined; readonly limit: number },
  ): Promise<{ readonly members: readonly Member[]; readonly cursor: string | undefined }>;
  sizes(sets: readonly string[]): Promise<readonly number[]>;

  /**
   * Takes tokens of a rate that all nodes share, as many as there are.
   * @param rate `burst` tokens at most, refilled within `per` milliseconds
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
