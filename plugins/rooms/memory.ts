import { isConnectionId, type PluginContext } from '../../src/index.ts';
import { refusal } from './refusals.ts';
import type { Room } from './room.ts';

/** People that a room remembers of each kind: banned, muted, warned, invited, with a role. */
const MOST_REMEMBERED = 10_000;

/** What ends a mute, and who is told of it. */
interface Mute { readonly undo: () => void; readonly ended: (userId: string) => void }

/**
 * What rooms remember of people, each kind bounded. Who is nobody is followed from room to room: what is remembered of him is so of the
 * user who he turns out to be, or is forgotten when his connection goes, wherever he was by then.
 */
export class Memory {
  readonly #context: PluginContext;
  /** The rooms that remember something of a nobody. */
  readonly #rooms = new Map<string, Set<Room>>();
  /** The same the other way round, for when a room goes. */
  readonly #nobodies = new Map<Room, Set<string>>();
  readonly #mutes = new Map<Room, Map<string, Mute>>();

  constructor(context: PluginContext) {
    this.#context = context;
    context.on('room:deleted', ({ room }) => this.#drop(room));
  }

  /** Whether somebody belongs into one of a room's lists; a nobody who is no more does not, who would stay there for ever. @throws LIST_FULL */
  takes(room: Room, list: { readonly size: number; has(userId: string): boolean }, userId: string): boolean {
    const isNobody = isConnectionId(userId);
    if (isNobody && !this.#isThere(userId)) return false;
    if (list.size >= MOST_REMEMBERED && !list.has(userId)) throw refusal('LIST_FULL', { room: room.id, limit: MOST_REMEMBERED });
    if (isNobody) {
      at(this.#rooms, userId, () => new Set<Room>()).add(room);
      at(this.#nobodies, room, () => new Set<string>()).add(userId);
    }
    return true;
  }

  /** @param ended told who may speak again when the time is over, by which he may have another id */
  mute(room: Room, userId: string, until: Date, ended: (userId: string) => void): void {
    this.#endMute(room, userId);
    room.mutedUsers.set(userId, until);
    const undo = this.#context.after(Math.max(1, until.getTime() - Date.now()), () => { if (this.unmute(room, userId)) ended(userId); });
    at(this.#mutes, room, () => new Map<string, Mute>()).set(userId, { undo, ended });
  }

  /** `false`: he was not muted. */
  unmute(room: Room, userId: string): boolean {
    this.#endMute(room, userId);
    return room.mutedUsers.delete(userId);
  }

  /** Who was nobody is a user. Returns the rooms from which the user is banned by that. @param inside the rooms he is in, whatever they remember */
  rename(connectionId: string, userId: string, inside: readonly Room[]): Room[] {
    return this.#take(connectionId, inside).filter((room) => {
      const wasBanned = room.isBanned(userId);
      const mute = this.#endMute(room, connectionId);
      room.rename(connectionId, userId);
      const until = room.mutedUntil(userId);
      if (mute && until) this.mute(room, userId, until, mute.ended);
      return !wasBanned && room.isBanned(userId);
    });
  }

  /** A nobody is gone. @param inside the rooms he was in, whatever they remember */
  forget(connectionId: string, inside: readonly Room[]): void {
    for (const room of this.#take(connectionId, inside)) {
      this.#endMute(room, connectionId);
      room.forget(connectionId);
    }
  }

  /** Whether a connection is there that is nobody's yet. */
  #isThere(connectionId: string): boolean {
    const connection = this.#context.node.connections.get(connectionId);
    return connection !== undefined && !connection.user;
  }

  #take(connectionId: string, inside: readonly Room[]): Room[] {
    const remembering = this.#rooms.get(connectionId) ?? [];
    this.#rooms.delete(connectionId);
    for (const room of remembering) without(this.#nobodies, room, connectionId);
    return [...new Set([...remembering, ...inside])];
  }

  #endMute(room: Room, userId: string): Mute | undefined {
    const mute = this.#mutes.get(room)?.get(userId);
    mute?.undo();
    without(this.#mutes, room, userId);
    return mute;
  }

  #drop(room: Room): void {
    for (const { undo } of this.#mutes.get(room)?.values() ?? []) undo();
    this.#mutes.delete(room);
    for (const connectionId of this.#nobodies.get(room) ?? []) without(this.#rooms, connectionId, room);
    this.#nobodies.delete(room);
  }
}

/** What is kept under a key, made when it is first asked for. */
function at<K, V>(all: Map<K, V>, key: K, make: () => V): V {
  let value = all.get(key);
  if (value === undefined) all.set(key, (value = make()));
  return value;
}

/** Takes a member out of what is kept under a key, and with the last one the key. */
function without<K, M>(all: Map<K, { readonly size: number; delete(member: M): boolean }>, key: K, member: M): void {
  const members = all.get(key);
  if (members?.delete(member) && members.size === 0) all.delete(key);
}
