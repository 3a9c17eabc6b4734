import {
  BoundedTable, isConnectionId, isStoreUnavailable, ModuleError, nodeOf, type Channel, type PluginContext,
} from '../../src/index.ts';
import { memberKey, type NodeConnections } from './connection-manager.ts';
import { changeEntry } from './room-documents.ts';
import { mergeEntries, remaining, type Room, type RoomEntry } from './room.ts';
import type { SharedRooms } from './shared-rooms.ts';

/** Maximum users in one list of a room: bans, mutes, warnings, invitations, roles. */
const MAX_PER_LIST = 10_000;
/** Maximum entries that one member, and all members together, may add to the lists of all rooms. */
const MAX_PER_ACTOR = 1_000;
const MAX_IN_ALL = 100_000;
/** Milliseconds for which members can still act on a user who left the room. */
const FORMER_FOR = 3_600_000;
/** Milliseconds by which this node may believe too early that a mute has ended. */
const CLOCK_TOLERANCE = 50;
/** Former memberships of one actor that are dropped together, oldest first, because finding them is slow. */
const FORMER_STEP = 100;

/** A list of a room. */
interface List { readonly size: number; has(userId: string): boolean }
/** A question to other nodes: how long members can still act on a user who left. */
interface FormerQuestion { readonly roomId: string; readonly createdAt: number; readonly userId: string }
/** A membership that has ended. `createdAt` distinguishes rooms that reuse an id. */
interface FormerMember { readonly until: number; readonly createdAt: Date }

const LISTS = {
  role: 'roles', isBanned: 'bannedUsers', mutedUntil: 'mutedUsers', warnings: 'userWarnings', isInvited: 'invited',
} as const satisfies Record<keyof RoomEntry, keyof Room>;
const FIELDS = Object.keys(LISTS) as (keyof RoomEntry)[];

const keyOf = ({ id }: Room, userId: string): string => memberKey(id, userId);

/**
 * Limits the lists of rooms: entries per list, per actor, and in total. Entries of an anonymous connection move to its
 * user when it authenticates, and are deleted when it closes.
 */
export class RoomLists {
  readonly #context: PluginContext;
  readonly #connections: NodeConnections;
  readonly #whenUnmuted: (room: Room, userId: string) => void;
  readonly #shared: SharedRooms | undefined;
  /** Entries that count against the limit of an actor, by room and user. */
  readonly #paid = new BoundedTable<string, true>({ max: MAX_IN_ALL, maxPerOwner: MAX_PER_ACTOR });
  readonly #former = new BoundedTable<string, FormerMember>({
    max: MAX_IN_ALL, maxPerOwner: MAX_PER_ACTOR, isExpired: ({ until }) => until <= performance.now(),
  });

  /** Rooms with entries of an anonymous connection, by its id. */
  readonly #anonymous = new Map<string, Set<Room>>();
  readonly #channel: Channel<FormerQuestion, number> | undefined;
  /** Cancels the timer for the next mute that ends, by room. */
  readonly #deadlines = new Map<Room, () => void>();

  /** @param whenUnmuted called when a mute expires */
  constructor(
    context: PluginContext,
    { connections, shared }: { readonly connections: NodeConnections; readonly shared: SharedRooms | undefined },
    whenUnmuted: (room: Room, userId: string) => void,
  ) {
    this.#context = context;
    this.#connections = connections;
    this.#shared = shared;
    this.#whenUnmuted = whenUnmuted;
    if (shared) this.#channel = context.channel('former', (question: FormerQuestion) => this.#remainingOf(question));
    context.on('room:deleted', ({ room }) => {
      this.#deadlines.get(room)?.();
      this.#deadlines.delete(room);
      for (const userId of room.remembered()) this.#free(room, userId);
    });
  }

  /**
   * Changes what the lists of a room say about a user. If the user is an anonymous connection that has closed, nothing
   * is kept. Returns a promise if nodes share the lists.
   * @param by the member who acts; `undefined`: the server
   * @param isAutomatic whether an entry by the server counts against the limit of the user it is about
   * @throws LIST_FULL, STORE_CONFLICT, STORE_UNAVAILABLE, and what `change` throws
   */
  change(
    room: Room, userId: string, by: string | undefined, change: (entry: RoomEntry) => RoomEntry, isAutomatic = false,
  ): Promise<unknown> | undefined {
    if (this.#shared) return this.#changeShared(room, userId, this.#payerOf(userId, by, isAutomatic), change);
    const before = room.entryOf(userId);
    const after = change(before);
    if (isConnectionId(userId) && !this.#isAnonymous(userId)) return undefined;
    for (const field of FIELDS) {
      if (after[field] !== undefined && before[field] === undefined) {
        this.#reserve(room, room[LISTS[field]], userId, this.#payerOf(userId, by, isAutomatic));
      }
    }
    room.setEntry(userId, after);
    this.#release(room, userId);
    if (after.mutedUntil !== before.mutedUntil) this.schedule(room);
    return undefined;
  }

  async #changeShared(
    room: Room, userId: string, actor: string | undefined, change: (entry: RoomEntry) => RoomEntry,
  ): Promise<void> {
    const shared = this.#shared!;
    // The node of an anonymous connection knows whether it is closed.
    const isClosed = isConnectionId(userId) && this.#isClosed(userId);
    await shared.changes.changeUser(room, userId, (document) => {
      const changed = changeEntry(document, shared.now(), change);
      return isClosed ? undefined : changed;
    }, { actor });
  }

  /** The actor whose limit an entry counts against. */
  #payerOf(userId: string, by: string | undefined, isAutomatic: boolean): string | undefined {
    if (by !== undefined) return this.#connections.actorOf(by);
    return isAutomatic ? `about ${this.#connections.actorOf(userId)}` : undefined;
  }

  /** Reserves an entry in a list of a room. @throws LIST_FULL */
  #reserve(room: Room, list: List, userId: string, actor: string | undefined): void {
    const key = keyOf(room, userId);
    const isFree = actor === undefined || this.#paid.has(key);
    const isFull = list.size >= MAX_PER_LIST;
    const full = isFull || isFree ? undefined : this.#paid.set(key, true, actor);
    if (isFull) throw new ModuleError('LIST_FULL', { room: room.id, of: 'room', limit: MAX_PER_LIST });
    if (full) throw new ModuleError('LIST_FULL', { room: room.id, ...full });
    if (isConnectionId(userId)) this.#remember(room, userId);
  }

  #remember(room: Room, connectionId: string): void {
    this.#anonymous.set(connectionId, (this.#anonymous.get(connectionId) ?? new Set()).add(room));
  }

  /** Frees the entry of a user unless a list still has them. */
  #release(room: Room, userId: string): void {
    if (!room.remembers(userId)) this.#free(room, userId);
  }

  /** Called when another node may have changed the lists of a room. */
  changed(room: Room, userId: string): void {
    if (room.mutedUsers.size > 0 || this.#deadlines.has(room)) this.schedule(room);
    if (isConnectionId(userId) && this.#isAnonymous(userId) && room.remembers(userId)) this.#remember(room, userId);
  }

  /** Remembers a former member, so that members can still act on them for a while. */
  left(room: Room, userId: string): void { this.#setFormer(room, userId, FORMER_FOR); }

  #setFormer(room: Room, userId: string, milliseconds: number): void {
    const actor = this.#connections.actorOf(userId);
    const former = { until: performance.now() + milliseconds, createdAt: room.createdAt };
    if (this.#former.set(keyOf(room, userId), former, actor)?.of !== 'owner') return;
    for (const key of this.#former.keysOf(actor).slice(0, FORMER_STEP)) this.#former.delete(key);
    this.#former.set(keyOf(room, userId), former, actor);
  }

  /** Whether a user is a member, a former member, or in a list of the room. */
  knows(room: Room, userId: string): boolean {
    if (room.hasMember(userId) || room.remembers(userId)) return true;
    if (isConnectionId(userId) && !this.#isAnonymous(userId)) return false;
    return Number(this.#former.get(keyOf(room, userId))?.createdAt) === Number(room.createdAt);
  }

  /** Asks other nodes whether a user has left the room there, so that members can still act on them. */
  async findFormer(room: Room, userId: string): Promise<void> {
    if (!this.#channel || this.knows(room, userId)) return;
    const { answers } = await this.#channel.ask({ roomId: room.id, createdAt: Number(room.createdAt), userId });
    const left = Math.max(0, ...answers.map(({ answer }) => (typeof answer === 'number' ? answer : 0)));
    if (left > 0) this.#setFormer(room, userId, Math.min(left, FORMER_FOR));
  }

  #remainingOf({ roomId, createdAt, userId }: FormerQuestion): number {
    const former = this.#former.get(memberKey(roomId, userId));
    return Number(former?.createdAt) === createdAt ? former!.until - performance.now() : 0;
  }

  /** Moves entries of an anonymous connection to its user. Returns the rooms from which the user is now banned. */
  move(connectionId: string, userId: string): Room[] {
    return [...this.#anonymous.get(connectionId) ?? []].filter((room) => {
      const wasBanned = room.isBanned(userId);
      room.move(connectionId, userId);
      const key = keyOf(room, userId);
      if (room.remembers(userId) && !this.#paid.has(key)) this.#paid.set(key, true, `about user:${userId}`);
      this.#forgotten(room, connectionId);
      return !wasBanned && room.isBanned(userId);
    });
  }

  /** Moves entries like move(), on all nodes. */
  async moveShared(room: Room, connectionId: string, userId: string): Promise<void> {
    const { changes } = this.#shared!;
    const { role, ...entry } = room.entryOf(connectionId);
    // The document of the room has its owners.
    const isOwner = role === 'owner';
    if (isOwner && room.owner !== connectionId) {
      await changes.changeRoom(room, (document) => {
        const others = document.owners.filter((owner) => owner !== connectionId && owner !== userId);
        return { ...document, owners: [...others, userId] };
      });
    }
    if (!room.remembers(connectionId)) return;
    const from = isOwner ? entry : { ...entry, role };
    await this.#changeShared(room, userId, `about user:${userId}`, (to) => {
      return mergeEntries(from, room.getUserRole(userId) === 'owner' ? { ...to, role: 'owner' } : to);
    });
    await changes.changeUser(room, connectionId, () => ({}));
  }

  /** Deletes the entries of an anonymous connection that closed. */
  forget(connectionId: string): void {
    for (const room of [...this.#anonymous.get(connectionId) ?? []]) {
      if (this.#shared) {
        this.#shared.changes.changeUser(room, connectionId, () => ({})).catch((error: unknown) => {
          // The documents of anonymous connections also expire.
          if (!isStoreUnavailable(error)) this.#context.report(error);
        });
      } else room.forget(connectionId);
      this.#forgotten(room, connectionId);
    }
  }

  /** Whether an anonymous connection is closed, as far as this node knows. */
  #isClosed(connectionId: string): boolean {
    const { id, peers } = this.#context.node;
    const node = nodeOf(connectionId);
    return node === id ? !this.#isAnonymous(connectionId) : !peers.includes(node);
  }

  #isAnonymous(connectionId: string): boolean {
    const connection = this.#context.node.connections.get(connectionId);
    return connection !== undefined && !connection.user;
  }

  #forgotten(room: Room, connectionId: string): void {
    this.#free(room, connectionId);
    if (this.#deadlines.has(room)) this.schedule(room);
  }

  #free(room: Room, userId: string): void {
    this.#paid.delete(keyOf(room, userId));
    const rooms = this.#anonymous.get(userId);
    if (rooms?.delete(room) && rooms.size === 0) this.#anonymous.delete(userId);
  }

  /** Sets the timer for the next mute that ends. */
  schedule(room: Room): void {
    this.#deadlines.get(room)?.();
    this.#deadlines.delete(room);
    let next = Infinity;
    for (const until of room.mutedUsers.values()) next = Math.min(next, remaining(until));
    if (next < Infinity) this.#deadlines.set(room, this.#context.after(Math.max(0, next), () => this.#endMutes(room)));
  }

  #endMutes(room: Room): void {
    for (const userId of [...room.mutedUsers.keys()]) {
      if (room.mutedUntil(userId)) continue;
      room.mutedUsers.delete(userId);
      if (this.#shared) this.#endShared(room, userId);
      else {
        this.#release(room, userId);
        this.#whenUnmuted(room, userId);
      }
    }
    this.schedule(room);
  }

  /** Removes a mute that has ended. The node that does it notifies the user. */
  #endShared(room: Room, userId: string): void {
    const shared = this.#shared!;
    shared.changes.changeUser(room, userId, ({ mutedUntil, ...document }) => {
      return mutedUntil !== undefined && mutedUntil <= shared.now() + CLOCK_TOLERANCE ? document : undefined;
    }).then((isEnded) => { if (isEnded) this.#whenUnmuted(room, userId); }, (error: unknown) => {
      // A mute that has ended does nothing, and other nodes remove it, too.
      if (!isStoreUnavailable(error)) this.#context.report(error);
    });
  }
}
