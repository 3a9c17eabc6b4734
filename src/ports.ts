// The ports to other processes, which adapters implement.

import type { ModuleError } from './errors.ts';
import type { Journal } from './journal.ts';
import type { HealthReport } from './metrics.ts';

/** The node that starts an adapter. */
export interface AdapterNode {
  readonly id: string;
  /** Must be called for each packet. Packets of this node are ignored. */
  receive(topic: string, packet: Uint8Array): void;
  /** May be called when the result of check() has changed, so that the node's health changes at once. */
  healthChanged?(): void;
  /** May be called when packets of other nodes may have been lost, because the receiving connection was replaced. */
  interrupted?(reason: string): void;
}

/** Carries packets between nodes, each at most once. The packets of one node to one topic arrive in order. */
export interface Adapter {
  readonly name: string;
  /** State that all nodes share. Without one, state is per node. */
  readonly store?: Store | undefined;
  /** The history of topics, for all nodes. Without one, history is per node. */
  readonly journal?: Journal | undefined;
  start(node: AdapterNode): Promise<void>;
  /** The caller may change the bytes after publish() has returned. */
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

/** A value that JSON can represent. A store returns copies. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** A document with the version of its last write. Versions are opaque strings, and none is used twice. */
export interface Versioned { readonly value: Json; readonly version: string }

/** The lease of a node: the node may use the store until the lease expires. */
export interface Lease {
  /** Identifies this run of the node. Writes of an earlier run are refused. */
  readonly incarnation: string;
  /** Milliseconds since the epoch, by the clock of the store. */
  readonly now: number;
  /** Changes when the store may have lost data. Each node must then enter its seats again. */
  readonly generation: string;
}

/** One member of a set. */
export interface Member { readonly id: string; readonly value: Json }

/** What identifies a seat of a node. */
export interface SeatName { readonly set: string; readonly member: string; readonly holder: string }

/** A seat of a node whose lease has expired. */
export interface Reaped extends SeatName {
  /** The node that held the seat. */
  readonly node: string;
  readonly value: Json;
  /** Whether it was the last seat of the member, so that the member left the set. */
  readonly last: boolean;
}

export interface EnterOptions {
  /**
   * The id of the connection that holds the seat. The seat belongs to this node, and is released when the node's lease
   * expires. Without a holder, the seat belongs to no node.
   */
  readonly holder?: string | undefined;
  /** Maximum number of members. A member that is in the set already, or whose place is kept, always enters. */
  readonly max?: number | undefined;
  /** Milliseconds after which a seat without a holder expires. Nothing announces that. @default it never expires */
  readonly ttl?: number | undefined;
  /**
   * A member that leaves in the same step and passes its place on. So an anonymous connection that authenticates stays
   * in a full set.
   */
  readonly replaces?: string | undefined;
  /** Data of the member, for other nodes. @default the present value; null for a new member */
  readonly value?: Json | undefined;
}

/**
 * State that all nodes share: documents, sets of members, and rates. The calls of one node run in order, so a node need
 * not await `enter()` before it calls `get()`.
 *
 * All functions except `watch()`, `lease()` and `release()` need a lease. Without one, or if it expires before the
 * answer arrives, they reject with LEASE_LOST. If the store cannot be reached, they reject with STORE_UNAVAILABLE; it
 * is then unknown whether a write was done. Names must be non-empty, well-formed strings, and values must be JSON of
 * up to 16 MiB. Other arguments reject with OPTION_INVALID.
 */
export interface Store {
  readonly name: string;

  /**
   * Takes a lease, and ends the earlier lease of this object. If another run of the node holds a lease, waits until
   * that one expires.
   * @param ttl milliseconds after which the lease expires, unless it is renewed
   * @throws NODE_ID_TAKEN if the other run renews its lease
   */
  lease(node: string, ttl: number): Promise<Lease>;
  /** Extends the lease by another `ttl`. @throws LEASE_LOST if it has expired: take a new one */
  renew(): Promise<Lease>;
  /** Ends the lease. reap() returns the seats that the node still holds. Does nothing without a lease. */
  release(): Promise<void>;
  /**
   * Releases the seats of nodes whose lease has expired or ended, and returns them: a limited number in each call, so
   * call it until it returns none. Each seat is returned to one caller on one node. The next call of reap() or
   * release() confirms that the caller has handled these seats. If the caller's lease ends before, by expiry or by
   * lease(), the next caller gets them. After a call that rejected, the next one returns its seats, and confirms none.
   */
  reap(): Promise<readonly Reaped[]>;

  /** Reads several documents at once. `undefined` for a missing one. */
  get(keys: readonly string[]): Promise<readonly (Versioned | undefined)[]>;
  /**
   * Writes a document and notifies all watchers, in one step.
   * @param options.if the version that must be replaced, or `absent` if there must be no document
   * @param options.ttl milliseconds after which it expires; without one it never does. Watchers are not notified of
   * that
   * @returns the new version
   * @throws STORE_CONFLICT if the document has another version
   * @throws STORE_DATA_LOST with `if: 'absent'`, if data was lost since this node took or renewed its lease: other
   * nodes may write the document again
   */
  put(
    key: string,
    value: Json,
    options?: { readonly if?: string | undefined; readonly ttl?: number | undefined },
  ): Promise<string>;
  /** Returns whether there was a document. @throws STORE_CONFLICT if it has another version */
  delete(key: string, options?: { readonly if?: string | undefined }): Promise<boolean>;
  /** Sets the time until documents expire to `ttl` milliseconds. Keeps their versions. Ignores missing documents. */
  touch(keys: readonly string[], ttl: number): Promise<void>;
  /**
   * Calls the listener with the key of each document that any node writes or deletes, at least once; for changes of
   * this node, before put() or delete() resolves. With `undefined`, if changes may have been missed. Returns the undo.
   */
  watch(listener: (key: string | undefined) => void): () => void;

  /**
   * Adds a seat of a member to a set. `first`: whether the member was not in the set before. `size`: the number of
   * members afterwards.
   * @throws STORE_FULL
   * @throws STORE_DATA_LOST with `max`, if data was lost since this node took or renewed its lease: other nodes may
   * enter again what they hold
   */
  enter(
    set: string,
    member: string,
    options?: EnterOptions,
  ): Promise<{ readonly first: boolean; readonly size: number }>;
  /**
   * A page of the seats that this node holds by its present lease. A seat that stays is on at least one page. The
   * `cursor` of the last page is `undefined`.
   * @param options.cursor the cursor that the previous page returned
   */
  held(options?: { readonly cursor?: string | undefined }): Promise<{
    readonly seats: readonly SeatName[]; readonly cursor: string | undefined;
  }>;
  /**
   * Releases the seat of a holder, or all seats of the member. `last`: whether the member left the set in this call.
   * @param options.keepFor milliseconds for which the place of a member that left is kept: it still counts for `max`
   */
  leave(
    set: string,
    member: string,
    options?: { readonly holder?: string | undefined; readonly keepFor?: number | undefined },
  ): Promise<{ readonly last: boolean; readonly size: number }>;
  /**
   * Returns a page of the members, in the order in which they entered. A member that stays in the set is on exactly one
   * page. The `cursor` of the last page is `undefined`.
   * @param options.cursor the cursor that the previous page returned
   * @param options.limit maximum number of members on a page: 1 to 1,000
   */
  members(
    set: string,
    options: { readonly cursor?: string | undefined; readonly limit: number },
  ): Promise<{ readonly members: readonly Member[]; readonly cursor: string | undefined }>;
  /** The number of members of each set, without kept places. */
  sizes(sets: readonly string[]): Promise<readonly number[]>;

  /**
   * Takes tokens from a token bucket that all nodes share: `count`, or as many as are left.
   * @param rate the bucket holds up to `burst` tokens, and an empty one is full again after `per` milliseconds
   * @returns `retryAfter`: milliseconds until the next token; 0 if all were granted
   */
  take(
    key: string,
    rate: { readonly burst: number; readonly per: number },
    count: number,
  ): Promise<{ readonly granted: number; readonly retryAfter: number }>;
}

/** The functions of a Store that plugins use. The kernel holds the lease of the node. */
export interface SharedStore extends Omit<Store, 'lease' | 'renew' | 'release' | 'reap' | 'held' | 'enter'> {
  /**
   * Like `enter()` of the store. After a loss of data, a call with `max` rejects with STORE_UNAVAILABLE until all nodes
   * have entered again what they hold: see `settled()`.
   * @param options.isReturning whether the node held the seat before the lease or the data was lost
   */
  enter(
    set: string, member: string, options?: EnterOptions & { readonly isReturning?: boolean | undefined },
  ): ReturnType<Store['enter']>;
  /**
   * Resolves when newcomers may enter: after the store has lost data, when all nodes have entered again what they
   * hold, or have lost their leases. That takes up to ten seconds. Returns undefined if newcomers may enter now.
   */
  settled(): Promise<void> | undefined;
  /**
   * Milliseconds since the epoch, by the clock of the store, for deadlines in documents: the clocks of nodes may
   * differ. Measured with each renewal of the lease; this node adds the time since then.
   */
  now(): number;
}

/** What a plugin with seats does when the lease of its node is lost and taken again, and when another node dies. */
export interface SeatPart {
  /**
   * Called after a new lease, and after the store may have lost data: enter the seats that this node holds again, and
   * remove what is refused now. The node is unhealthy until the promises of all plugins have resolved. If it rejects,
   * it is called again after a moment. It never runs twice at once.
   */
  enterAgain(): void | Promise<void>;
  /**
   * Called when the lease was lost, or if there is none yet. From now on, the store rejects all calls with LEASE_LOST.
   * Handle and deliver nothing that is shared until `enterAgain()` has resolved.
   */
  lapsed?: (() => void) | undefined;
  /**
   * Called with a seat of a dead node that this node has cleared. Over all nodes, it is called once for each seat;
   * again only if this node lost its lease before the call had ended. Several calls may run at once.
   */
  reaped?: ((seat: Reaped) => void | Promise<void>) | undefined;
  /**
   * Whether this node holds a seat, or is entering it. Called after the store may have lost data, for each seat that
   * the store has for this node: the end of a seat may be lost, too. If it returns false, the seat is released.
   */
  holds?: ((seat: SeatName) => boolean) | undefined;
}

// Channels between the plugins of several nodes

/**
 * Handles a message or question from the same plugin on another node. Its result, or the error that it throws, is the
 * answer to a question. A message has no answer, and an error is reported.
 * @param from the id of the other node
 */
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
export interface TellOptions extends Pick<ChannelOptions, 'node'> {
  /** Only nodes with subscribers of this topic. @default all other nodes */
  readonly topic?: string | undefined;
}
/** Sends JSON from a plugin to the same plugin on other nodes. */
export interface Channel<Payload = any, Answer = any> {
  /** Sends a message to other nodes. There is no answer; a failure of the adapter causes an `error` event. */
  tell(payload: Payload, options?: TellOptions): void;
  /** Asks other nodes, and resolves with their answers: at once without other nodes. @throws TOO_MANY_QUESTIONS */
  ask(payload: Payload, options?: ChannelOptions): Promise<Answers<Answer>>;
}
