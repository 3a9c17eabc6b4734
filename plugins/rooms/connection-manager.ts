import { ModuleError, userTopic, type Connection, type Node, type Outgoing, type User } from '../../src/index.ts';
import { refusal } from './refusals.ts';
import { roomTopic } from './room.ts';

/** Told when a connection entered a room or left it. A promise that it returns is looked after. */
export interface MembershipWatcher {
  joined(roomId: string, memberId: string, connection: Connection): unknown;
  /** @param isLast whether the member has no other connection there */
  left(roomId: string, memberId: string, connection: Connection, isLast: boolean): unknown;
}

/** What a room manager needs of connections; `manager.connections` is one. */
export interface ConnectionManager {
  /** A connection by its id, or one of a user's by his. */
  getConnection(id: string): Connection | undefined;
  /** The connection of a user that is there for longest. */
  getConnectionByUserId(userId: string): Connection | undefined;
  /** The connections of a user; of who is nobody yet, the one with this id. */
  getUserConnections(userId: string): readonly Connection[];
  /** Sends to the connections in a room. Returns how many are on this node. @param exceptId the id of a connection that does not get it */
  broadcastToRoom(roomId: string, message: Outgoing, exceptId?: string): number;
  /** Puts a connection into a room, in silence; there need be no such room. @throws CONNECTION_UNKNOWN, TOO_MANY_ROOMS */
  joinRoom(connectionId: string, roomId: string): Promise<void>;
  /** Takes a connection out of a room, in silence. */
  leaveRoom(connectionId: string, roomId: string): Promise<void>;
  /** Takes a connection out of all its rooms; done by itself when it closes. */
  cleanup(connectionId: string): void;
  /** Tells of who enters and leaves. Returns the undo. */
  watch?(watcher: MembershipWatcher): () => void;
}

/** Whose connection it is: the user, or where none is known the connection itself. */
export const memberOf = ({ id, user }: Connection): string => user?.id ?? id;

/** What a user is called, where he has a `username`. */
export function nameOf(user: User | undefined): { readonly username?: string } {
  return typeof user?.username === 'string' ? { username: user.username } : {};
}

const NONE: ReadonlySet<string> = new Set();

/** A member, and the topic of his connections, built once. */
const whose = (member: string): { readonly member: string; readonly topic: string } => ({ member, topic: userTopic(member) });

/** A connection in rooms, and as whom. */
interface Membership { member: string; topic: string; readonly rooms: Set<string> }
/** One string for a room's id and its topic each, that all memberships share. */
interface Place { readonly id: string; readonly topic: string }

/** Which connections of a node are in which rooms. */
export class NodeConnections implements ConnectionManager {
  readonly #node: Node;
  readonly #limit: number;
  readonly #failed: (error: unknown) => void;
  readonly #memberships = new Map<Connection, Membership>();
  readonly #places = new Map<string, Place>();
  readonly #watchers = new Set<MembershipWatcher>();
  #size = 0;
  /** Called before a connection enters or leaves a room. */
  settle: ((roomId: string) => void) | undefined;

  /** @param limit rooms a connection may be in; @param failed is told of a watcher's failure */
  constructor(node: Node, limit: number, failed: (error: unknown) => void) {
    this.#node = node;
    this.#limit = limit;
    this.#failed = failed;
  }

  /** What it adds to `manager.connections`. */
  members(): PropertyDescriptorMap {
    const own: ConnectionManager = {
      getConnection: (id) => this.getConnection(id),
      getConnectionByUserId: (userId) => this.getConnectionByUserId(userId),
      getUserConnections: (userId) => this.getUserConnections(userId),
      broadcastToRoom: (roomId, message, exceptId) => this.broadcastToRoom(roomId, message, exceptId),
      joinRoom: (connectionId, roomId) => this.joinRoom(connectionId, roomId),
      leaveRoom: (connectionId, roomId) => this.leaveRoom(connectionId, roomId),
      cleanup: (connectionId) => this.cleanup(connectionId),
      watch: (watcher) => this.watch(watcher),
    };
    return Object.fromEntries(Object.entries(own).map(([name, value]) => [name, { value: value as unknown }]));
  }

  /** How many memberships there are. */
  get size(): number { return this.#size; }

  getConnection(id: string): Connection | undefined { return this.#node.connections.get(id) ?? this.getConnectionByUserId(id); }

  getConnectionByUserId(userId: string): Connection | undefined {
    for (const connection of this.#node.subscribers(userTopic(userId))) if (connection.user?.id === userId) return connection;
    return undefined;
  }

  getUserConnections(userId: string): readonly Connection[] {
    const theirs = [...this.#node.subscribers(userTopic(userId))].filter(({ user }) => user?.id === userId);
    const own = theirs.length === 0 ? this.#node.connections.get(userId) : undefined;
    return own && !own.user ? [own] : theirs;
  }

  broadcastToRoom(roomId: string, message: Outgoing, exceptId?: string): number {
    return this.#node.publish(this.#places.get(roomId)?.topic ?? roomTopic(roomId), message, exceptId === undefined ? {} : { except: exceptId });
  }

  async joinRoom(connectionId: string, roomId: string): Promise<void> {
    const connection = this.#node.connections.get(connectionId);
    if (!connection) throw new ModuleError('CONNECTION_UNKNOWN', { connection: connectionId });
    this.join(connection, roomId);
  }

  async leaveRoom(connectionId: string, roomId: string): Promise<void> {
    const connection = this.#node.connections.get(connectionId);
    if (connection) this.leave(connection, roomId);
  }

  cleanup(connectionId: string): void {
    const connection = this.#node.connections.get(connectionId);
    if (connection) this.leaveAll(connection);
  }

  watch(watcher: MembershipWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Whether any connection is in a room of this name. */
  isIn(roomId: string): boolean { return this.#places.has(roomId); }

  /** The rooms that a connection is in. */
  roomsOf(connection: Connection | undefined): ReadonlySet<string> { return (connection && this.#memberships.get(connection)?.rooms) ?? NONE; }

  /** As whom a connection is in its rooms. */
  memberOf(connection: Connection): string { return this.#memberships.get(connection)?.member ?? memberOf(connection); }

  /** @throws TOO_MANY_ROOMS */
  assertSpace(connection: Connection): void {
    if (this.roomsOf(connection).size >= this.#limit) throw refusal('TOO_MANY_ROOMS', { of: 'connection', limit: this.#limit });
  }

  /** @throws TOO_MANY_ROOMS, CONNECTION_UNKNOWN */
  join(connection: Connection, roomId: string): void {
    const known = this.#memberships.get(connection);
    if (known?.rooms.has(roomId)) return;
    this.assertSpace(connection);
    const place = this.#places.get(roomId) ?? { id: roomId, topic: roomTopic(roomId) };
    this.settle?.(roomId);
    this.#node.subscribe(connection, place.topic);
    const membership = known ?? { ...whose(memberOf(connection)), rooms: new Set() };
    if (!known) this.#memberships.set(connection, membership);
    this.#places.set(place.id, place);
    membership.rooms.add(place.id);
    this.#size++;
    this.#tell((watcher) => watcher.joined(place.id, membership.member, connection));
  }

  leave(connection: Connection, roomId: string): void {
    const membership = this.#memberships.get(connection);
    const place = this.#places.get(roomId);
    if (!place || !membership?.rooms.delete(roomId)) return;
    this.settle?.(roomId);
    if (membership.rooms.size === 0) this.#memberships.delete(connection);
    this.#size--;
    this.#node.unsubscribe(connection, place.topic);
    if (this.#node.subscribers(place.topic).size === 0) this.#places.delete(roomId);
    if (this.#watchers.size === 0) return;
    const isLast = !this.#isElsewhere(connection, membership, roomId);
    this.#tell((watcher) => watcher.left(roomId, membership.member, connection, isLast));
  }

  leaveAll(connection: Connection): void {
    for (const roomId of this.roomsOf(connection)) this.leave(connection, roomId);
  }

  /** A connection turned out to be a user's: it is in its rooms as him from now on. */
  rename(connection: Connection, member: string): void {
    const membership = this.#memberships.get(connection);
    if (!membership) return;
    const before = membership.member;
    Object.assign(membership, whose(member));
    for (const roomId of [...membership.rooms]) {
      this.#tell((watcher) => watcher.left(roomId, before, connection, true));
      this.#tell((watcher) => watcher.joined(roomId, member, connection));
    }
  }

  /** Takes everybody out of everything, and tells nobody. */
  clear(): void {
    this.#watchers.clear();
    for (const connection of this.#memberships.keys()) this.leaveAll(connection);
  }

  /** Whether a member is in a room by another connection of his. */
  #isElsewhere(connection: Connection, { member, topic }: Membership, roomId: string): boolean {
    for (const other of this.#node.subscribers(topic)) {
      if (other !== connection && this.#memberships.get(other)?.member === member && this.roomsOf(other).has(roomId)) return true;
    }
    return false;
  }

  #tell(event: (watcher: MembershipWatcher) => unknown): void {
    for (const watcher of this.#watchers) {
      try {
        const result = event(watcher);
        if (result instanceof Promise) result.catch(this.#failed);
      } catch (error) {
        this.#failed(error);
      }
    }
  }
}
