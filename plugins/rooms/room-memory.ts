import { BoundedTable, isConnectionId, ModuleError, type PluginContext } from '../../src/index.ts';
import { memberKey, type NodeConnections } from './connection-manager.ts';
import { remaining, type Room } from './room.ts';

/** People in one list of a room: banned, muted, warned, invited, or with a role. */
const MAX_PER_LIST = 10_000;
/** People that one member, and all members together, may have put into lists of all rooms. */
const MAX_PER_ACTOR = 1_000;
const MAX_IN_ALL = 100_000;
/** Milliseconds for which a room can still act on members who have left. */
const FORMER_FOR = 3_600_000;
/** Former memberships of one actor that are dropped together, oldest first: to find them takes a while. */
const FORMER_STEP = 100;

/** A list of a room. */
interface List { readonly size: number; has(userId: string): boolean }
/** A membership that has ended. The time of creation tells rooms of the same id apart. */
interface Former { readonly until: number; readonly createdAt: Date }

const keyOf = ({ id }: Room, userId: string): string => memberKey(id, userId);

/**
 * Bounds what rooms remember of people: for each list, for each actor, and in all. What rooms remember of an anonymous
 * connection moves to the user that it turns out to be, or is forgotten when it closes.
 */
export class RoomMemory {
  readonly #context: PluginContext;
  readonly #connections: NodeConnections;
  readonly #whenUnmuted: (room: Room, userId: string) => void;
  /** The room and the person of each entry that an actor has to pay for. */
  readonly #paid = new BoundedTable<string, true>({ max: MAX_IN_ALL, maxPerOwner: MAX_PER_ACTOR });
  readonly #former = new BoundedTable<string, Former>({
    max: MAX_IN_ALL, maxPerOwner: MAX_PER_ACTOR, isExpired: ({ until }) => until <= performance.now(),
  });

  /** The rooms that remember something of an anonymous connection. */
  readonly #anonymous = new Map<string, Set<Room>>();
  /** The undo of the deadline at which the next mute of a room ends. */
  readonly #deadlines = new Map<Room, () => void>();

  /** @param whenUnmuted called when a mute has ended by time */
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
   * Makes space for a user in a list of a room. `false`: this is an anonymous connection that is gone.
   * @param by the member who acts; without one the server does
   * @param isAutomatic whether the server reacts to what the user did: then it counts for the user
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

  /** A user was removed from a list. Where no other list has the user, the space is free again. */
  release(room: Room, userId: string): void {
    if (!room.remembers(userId)) this.#free(room, userId);
  }

  /** @param duration milliseconds. The space must be reserved. */
  mute(room: Room, userId: string, duration: number): Date {
    const until = room.mute(userId, duration);
    this.#schedule(room);
    return until;
  }

  /** `false`: the user is not muted. */
  unmute(room: Room, userId: string): boolean {
    const wasMuted = room.mutedUsers.delete(userId);
    this.release(room, userId);
    this.#schedule(room);
    return wasMuted;
  }

  /** A user is no longer a member. For a while the room can still act on the user. */
  left(room: Room, userId: string): void {
    const actor = this.#connections.actorOf(userId);
    const former = { until: performance.now() + FORMER_FOR, createdAt: room.createdAt };
    if (this.#former.set(keyOf(room, userId), former, actor)?.of !== 'owner') return;
    for (const key of this.#former.keysOf(actor).slice(0, FORMER_STEP)) this.#former.delete(key);
    this.#former.set(keyOf(room, userId), former, actor);
  }

  /** Whether a room knows a user: a member, a former one, or one in its lists. */
  knows(room: Room, userId: string): boolean {
    if (room.users.has(userId) || room.remembers(userId)) return true;
    if (isConnectionId(userId) && !this.#isAnonymous(userId)) return false;
    return this.#former.get(keyOf(room, userId))?.createdAt === room.createdAt;
  }

  /** An anonymous connection has turned out to be a user's. Returns the rooms from which the user is banned by that. */
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

  /** An anonymous connection is gone. */
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
