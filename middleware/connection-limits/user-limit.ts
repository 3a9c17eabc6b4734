import {
  askNode, closeCodes, nodeOf, toError, type Connection, type HeldSeat, type HeldSeats, type PluginContext,
} from '../../src/index.ts';
import { tooMany, type ConnectionWindow, type Sharing } from './connection-window.ts';

/** How often the oldest connection is replaced, if other connections take its place meanwhile. */
const MAX_ATTEMPTS = 8;

export interface UserLimit {
  readonly max: number;
  /** Whether the oldest connection is closed instead of the newest. */
  readonly replacesOldest: boolean;
  readonly window: ConnectionWindow;
  /** If all nodes count together. */
  readonly sharing: (Sharing & { readonly seats: HeldSeats }) | undefined;
}

/** Counts a connection from the moment when it is identified, which may be long after its handshake. */
export function limitUsers(context: PluginContext, limit: UserLimit): void {
  const { max, replacesOldest, window, sharing } = limit;
  const seats = max === Infinity ? undefined : sharing?.seats;
  const open = new OpenConnections(seats);
  const refuse = (connection: Connection, error: unknown): void => {
    open.remove(connection.id);
    connection.close(closeCodes.rateLimited, `TOO_MANY_CONNECTIONS: ${toError(error).message}`);
  };
  const replace = (connection: Connection | undefined): void => {
    if (!connection) return;
    // Not counted from now on: if its link is dead, its close frame is never answered.
    open.remove(connection.id);
    connection.close(closeCodes.replaced, 'REPLACED: a newer connection of this user');
  };
  const admit = sharing && shareUsers(context, { ...limit, sharing }, open, replace);
  for (const connection of context.node.connections.values()) {
    if (!connection.user) continue;
    const seat = open.add(connection.user.id, connection);
    if (seat) seats!.enterLater(seat);
  }
  context.on('connection:identified', (connection) => {
    const { id, user } = connection;
    // The plugin that identified the user was unloaded.
    if (!user) return open.remove(id);
    // Identified again, with newer claims.
    if (open.has(user.id, id)) return undefined;
    try {
      if (!replacesOldest && open.count(user.id) >= max) throw tooMany('user', max);
      if (!sharing) window.take(user.id);
    } catch (error) {
      return refuse(connection, error);
    }
    const seat = open.add(user.id, connection);
    if (admit) return admit(user.id, connection, seat).catch((error: unknown) => refuse(connection, error));
    if (open.count(user.id) > max) replace(open.oldest(user.id));
    return undefined;
  });
  context.on('connection:removed', ({ id }) => open.remove(id));
}

/** The connections of each user on this node. */
class OpenConnections {
  /** The connections of each user by id, oldest first. */
  readonly #open = new Map<string, Map<string, Connection>>();
  /** The user that each connection counts for. Its own user may be gone before it is removed. */
  readonly #userIds = new Map<string, string>();
  readonly #seatOf = new Map<string, HeldSeat>();
  readonly #seats: HeldSeats | undefined;

  constructor(seats: HeldSeats | undefined) { this.#seats = seats; }

  has(userId: string, id: string): boolean { return this.#userIds.get(id) === userId; }

  /** The connection with this id, if it is counted. */
  find(id: string): Connection | undefined { return this.#open.get(this.#userIds.get(id) ?? '')?.get(id); }

  count(userId: string): number { return this.#open.get(userId)?.size ?? 0; }

  oldest(userId: string): Connection | undefined { return this.#open.get(userId)?.values().next().value; }

  add(userId: string, connection: Connection): HeldSeat | undefined {
    const { id } = connection;
    this.#userIds.set(id, userId);
    const own = this.#open.get(userId);
    if (own) own.set(id, connection);
    else this.#open.set(userId, new Map([[id, connection]]));
    const seat = this.#seats?.add(setOf(userId), id);
    if (seat) this.#seatOf.set(id, seat);
    return seat;
  }

  remove(id: string): void {
    const userId = this.#userIds.get(id);
    if (userId === undefined) return;
    this.#userIds.delete(id);
    const own = this.#open.get(userId)!;
    own.delete(id);
    if (own.size === 0) this.#open.delete(userId);
    const seat = this.#seatOf.get(id);
    if (seat && this.#seatOf.delete(id)) this.#seats!.leave(seat);
  }
}

// A lone surrogate cannot be stored.
const setOf = (userId: string): string => `user:${userId.toWellFormed()}`;

/** Returns a function that counts a connection on all nodes, and throws if it must be closed. */
function shareUsers(
  context: PluginContext,
  { max, replacesOldest, window, sharing }: UserLimit & { readonly sharing: NonNullable<UserLimit['sharing']> },
  open: OpenConnections,
  replace: (connection: Connection | undefined) => void,
) {
  const { seats, share, store } = sharing;
  const channel = context.channel<{ readonly id?: unknown }, boolean>('replaced', ({ id }) => {
    if (typeof id === 'string') replace(open.find(id));
    return true;
  });
  /** Closes a connection that was replaced, on whatever node it is. */
  const closeReplaced = async (id: string): Promise<void> => {
    const node = nodeOf(id);
    if (node === context.node.id) return replace(open.find(id));
    await askNode(channel, { id }, node);
  };
  /** Enters the set of a user. If it is full, takes the place of the oldest connection in it. */
  const enter = async (userId: string, connection: Connection, seat: HeldSeat) => {
    let outcome = await seats.enter(seat, max);
    for (let attempt = 0; outcome === 'full' && replacesOldest && attempt < MAX_ATTEMPTS; attempt++) {
      const oldest = await oldestOf(userId);
      // The client may have left during an await.
      if (!open.has(userId, connection.id)) return 'entered';
      outcome = await seats.enter(seat, max, oldest);
      if (outcome === 'entered' && oldest !== undefined) {
        closeReplaced(oldest).catch((error: unknown) => context.report(error));
      }
    }
    return outcome;
  };
  const oldestOf = async (userId: string): Promise<string | undefined> => {
    try {
      return (await store.members(setOf(userId), { limit: 1 })).members[0]?.id;
    } catch (error) {
      share.failed(error);
      return undefined;
    }
  };
  return async (userId: string, connection: Connection, seat: HeldSeat | undefined): Promise<void> => {
    // A connection that the window refuses must not replace another one.
    if (replacesOldest) await window.takeShared(userId, sharing);
    const outcome = seat ? await enter(userId, connection, seat) : 'entered';
    const isOverShare = outcome === 'later' && open.count(userId) > share.of(max);
    if (isOverShare && replacesOldest) replace(open.oldest(userId));
    else if (outcome === 'full' || isOverShare) throw tooMany('user', max);
    if (!replacesOldest) await window.takeShared(userId, sharing);
  };
}
