import { BoundedTable, isConnectionId, ModuleError, type PluginContext } from '../../src/index.ts';
import { memberKey, type NodeConnections } from './connection-manager.ts';
import { remaining, type Room } from './room.ts';

/** Maximum users in one list of a room: bans, mutes, warnings, invitations, roles. */
const MAX_PER_LIST = 10_000;
/** Maximum entries that one member, and all members together, may add to the lists of all rooms. */
const MAX_PER_ACTOR = 1_000;
const MAX_IN_ALL = 100_000;
/** Milliseconds for which members can still act on a user who left the room. */
const FORMER_FOR = 3_600_000;
/** Former memberships of one actor that are dropped together, oldest first, because finding them is slow. */
const FORMER_STEP = 100;

/** A list of a room. */
interface List { readonly size: number; has(userId: string): boolean }
/** A membership that has ended. `createdAt` distinguishes rooms that reuse an id. */
interface FormerMember { readonly until: number; readonly createdAt: Date }

const keyOf = ({ id }: Room, userId: string): string => memberKey(id, userId);

/**
 * Limits the lists of rooms: entries per list, per actor, and in total. Entries of an anonymous connection move to its
 * user when it authenticates, and are deleted when it closes.
 */
export class RoomLists {
  readonly #context: PluginContext;
  readonly #connections: NodeConnections;
  readonly #whenUnmuted: (room: Room, userId: string) => void;
  /** Entries that count against the limit of an actor, by room and user. */
  readonly #paid = new BoundedTable<string, true>({ max: MAX_IN_ALL, maxPerOwner: MAX_PER_ACTOR });
  readonly #former = new BoundedTable<string, FormerMember>({
    max: MAX_IN_ALL, maxPerOwner: MAX_PER_ACTOR, isExpired: ({ until }) => until <= performance.now(),
  });

  /** Rooms with entries of an anonymous connection, by its id. */
  readonly #anonymous = new Map<string, Set<Room>>();
  /** Cancels the timer for the next mute that ends, by room. */
  readonly #deadlines = new Map<Room, () => void>();

  /** @param whenUnmuted called when a mute expires */
  constructor(context: PluginContext, connections: NodeConnections, whenUnmuted: (room: Room, userId: string) => void) {
    this.#context = context;
    this.#connections = connections;
    this.#whenUnmuted = whenUnmuted;
    context.on('room:deleted', ({ room }) => {
      this.#deadlines.get(room)?.();
      this.#deadlines.delete(room);
      for (const userId of room.remembered()) this.#free(room, userId);
    });
  }

  /**
   * Reserves an entry in a list of a room. `false`: the user is an anonymous connection that has closed.
   * @param by the member who acts; `undefined`: the server
   * @param isAutomatic whether an entry by the server counts against the limit of the user it is about
   * @throws LIST_FULL
   */
  reserve(room: Room, list: List, userId: string, by: string | undefined, isAutomatic = false): boolean {
    const isAnonymous = isConnectionId(userId);
    if (isAnonymous && !this.#isAnonymous(userId)) return false;
    if (list.has(userId)) return true;
    const key = keyOf(room, userId);
    const isFree = (by === undefined && !isAutomatic) || this.#paid.has(key);
    const actor = by === undefined ? `about ${this.#connections.actorOf(userId)}` : this.#connections.actorOf(by);
    const isFull = list.size >= MAX_PER_LIST;
    const full = isFull || isFree ? undefined : this.#paid.set(key, true, actor);
    if (isFull) throw new ModuleError('LIST_FULL', { room: room.id, of: 'room', limit: MAX_PER_LIST });
    if (full) throw new ModuleError('LIST_FULL', { room: room.id, ...full });
    if (isAnonymous) this.#anonymous.set(userId, (this.#anonymous.get(userId) ?? new Set()).add(room));
    return true;
  }

  /** Call after removing a user from a list. Frees the entry unless another list still has the user. */
  release(room: Room, userId: string): void {
    if (!room.remembers(userId)) this.#free(room, userId);
  }

  /** Mutes a user whose entry is reserved. @param duration milliseconds */
  mute(room: Room, userId: string, duration: number): Date {
    const until = room.mute(userId, duration);
    this.#schedule(room);
    return until;
  }

  /** `false`: the user was not muted. */
  unmute(room: Room, userId: string): boolean {
    const wasMuted = room.mutedUsers.delete(userId);
    this.release(room, userId);
    this.#schedule(room);
    return wasMuted;
  }

  /** Remembers a former member, so that members can still act on them for a while. */
  left(room: Room, userId: string): void {
    const actor = this.#connections.actorOf(userId);
    const former = { until: performance.now() + FORMER_FOR, createdAt: room.createdAt };
    if (this.#former.set(keyOf(room, userId), former, actor)?.of !== 'owner') return;
    for (const key of this.#former.keysOf(actor).slice(0, FORMER_STEP)) this.#former.delete(key);
    this.#former.set(keyOf(room, userId), former, actor);
  }

  /** Whether a user is a member, a former member, or in a list of the room. */
  knows(room: Room, userId: string): boolean {
    if (room.users.has(userId) || room.remembers(userId)) return true;
    if (isConnectionId(userId) && !this.#isAnonymous(userId)) return false;
    return this.#former.get(keyOf(room, userId))?.createdAt === room.createdAt;
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

  /** Deletes the entries of an anonymous connection that closed. */
  forget(connectionId: string): void {
    for (const room of [...this.#anonymous.get(connectionId) ?? []]) {
      room.forget(connectionId);
      this.#forgotten(room, connectionId);
    }
  }

  #isAnonymous(connectionId: string): boolean {
    const connection = this.#context.node.connections.get(connectionId);
    return connection !== undefined && !connection.user;
  }

  #forgotten(room: Room, connectionId: string): void {
    this.#free(room, connectionId);
    if (this.#deadlines.has(room)) this.#schedule(room);
  }

  #free(room: Room, userId: string): void {
    this.#paid.delete(keyOf(room, userId));
    const rooms = this.#anonymous.get(userId);
    if (rooms?.delete(room) && rooms.size === 0) this.#anonymous.delete(userId);
  }

  #schedule(room: Room): void {
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
      this.release(room, userId);
      this.#whenUnmuted(room, userId);
    }
    this.#schedule(room);
  }
}
