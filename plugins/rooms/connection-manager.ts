import {
  actorKey, displayName, memberId, ModuleError, userConnections, type Connection, type Outgoing, type PluginContext,
} from '../../src/index.ts';
import { roomTopic } from './room.ts';

/** Notified when a connection enters or leaves a room. Its errors and rejections are reported. */
export interface MembershipWatcher {
  joined(roomId: string, memberId: string, connection: Connection): unknown;
  /** @param isLast whether the member has no other connection there */
  left(roomId: string, memberId: string, connection: Connection, isLast: boolean): unknown;
}

/** The connections that a room manager works with, for example `manager.connections`. */
export interface ConnectionManager {
  /** The connection with this id, or a connection of the user with this id. */
  getConnection(id: string): Connection | undefined;
  /** The oldest connection of a user. */
  getConnectionByUserId(userId: string): Connection | undefined;
  /** The connections of a user, or the anonymous connection with this id. */
  getUserConnections(userId: string): readonly Connection[];
  /** Sends to the connections in a room, except `exceptId`. Returns the number of recipients on this node. */
  broadcastToRoom(roomId: string, message: Outgoing, exceptId?: string): number;
  /**
   * Adds a connection to a room, without notices. The room need not exist.
   * @throws CONNECTION_UNKNOWN, TOO_MANY_ROOMS
   */
  joinRoom(connectionId: string, roomId: string): Promise<void>;
  /** Removes a connection from a room, without notices. */
  leaveRoom(connectionId: string, roomId: string): Promise<void>;
  /** Removes a connection from all its rooms. Also done when it closes. */
  cleanup(connectionId: string): void;
  /** Calls the watcher for each connection that enters or leaves a room. Returns the undo. */
  watch?(watcher: MembershipWatcher): () => void;
}

/** The key of a member in a room. Room ids contain no line feed, so that keys are unique. */
export const memberKey = (roomId: string, memberId: string): string => `${roomId}\n${memberId}`;

const METHODS = [
  'getConnection', 'getConnectionByUserId', 'getUserConnections', 'broadcastToRoom', 'joinRoom', 'leaveRoom', 'cleanup',
  'watch',
] as const satisfies readonly (keyof ConnectionManager)[];
const NONE: ReadonlySet<string> = new Set();

/** A user or an anonymous connection with at least one room, and its connections that are in rooms. */
interface Member { readonly id: string; name: string | undefined; readonly connections: Set<Connection> }
/** The rooms of one connection. */
interface Membership { member: Member; readonly rooms: Set<string>; keys?: Map<string, string> | undefined }
/** The id and the topic of a room, and its connections. All memberships share these strings, which saves memory. */
interface RoomTopic { readonly id: string; readonly topic: string; size: number }

/** Tracks which connections of this node are in which rooms. */
export class NodeConnections implements ConnectionManager {
  readonly #context: PluginContext;
  readonly #limit: number;
  readonly #members = new Map<string, Member>();
  readonly #memberships = new Map<Connection, Membership>();
  readonly #roomTopics = new Map<string, RoomTopic>();
  readonly #watchers = new Set<MembershipWatcher>();
  #size = 0;
  #isSuspended = false;

  /** @param limit maximum rooms per connection */
  constructor(context: PluginContext, limit: number) {
    this.#context = context;
    this.#limit = limit;
  }

  /** The methods that the plugin adds to `manager.connections`. */
  decorations(): PropertyDescriptorMap {
    return Object.fromEntries(METHODS.map((name) => [name, { value: this[name].bind(this) }]));
  }

  /** Number of memberships: each connection counts once for each of its rooms. */
  get size(): number { return this.#size; }

  getConnection(id: string): Connection | undefined {
    return this.#context.node.connections.get(id) ?? this.getConnectionByUserId(id);
  }

  getConnectionByUserId(userId: string): Connection | undefined {
    return userConnections(this.#context.node, userId)[0];
  }

  getUserConnections(userId: string): readonly Connection[] {
    const anonymous = this.#context.node.connections.get(userId);
    return anonymous && !anonymous.user ? [anonymous] : userConnections(this.#context.node, userId);
  }

  broadcastToRoom(roomId: string, message: Outgoing, exceptId?: string): number {
    const topic = this.#roomTopics.get(roomId)?.topic ?? roomTopic(roomId);
    return this.#context.node.publish(topic, message, exceptId === undefined ? {} : { except: exceptId });
  }

  async joinRoom(connectionId: string, roomId: string): Promise<void> {
    const connection = this.#context.node.connections.get(connectionId);
    if (!connection) throw new ModuleError('CONNECTION_UNKNOWN', { connection: connectionId });
    this.join(connection, roomId);
  }

  async leaveRoom(connectionId: string, roomId: string): Promise<void> {
    const connection = this.#context.node.connections.get(connectionId);
    if (connection) this.leave(connection, roomId);
  }

  cleanup(connectionId: string): void {
    const connection = this.#context.node.connections.get(connectionId);
    if (connection) this.leaveAll(connection);
  }

  watch(watcher: MembershipWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Whether any connection is in a room with this id. */
  isOccupied(roomId: string): boolean { return this.#roomTopics.has(roomId); }

  /** The rooms of a connection. */
  roomsOf(connection: Connection | undefined): ReadonlySet<string> {
    return (connection && this.#memberships.get(connection)?.rooms) ?? NONE;
  }

  /** The rooms of all connections of a member. */
  roomsOfMember(id: string): ReadonlySet<string> {
    const rooms = new Set<string>();
    for (const connection of this.#members.get(id)?.connections ?? []) {
      for (const room of this.roomsOf(connection)) rooms.add(room);
    }
    return rooms;
  }

  /** The member id under which a connection is in its rooms. */
  memberOf(connection: Connection): string {
    return this.#memberships.get(connection)?.member.id ?? memberId(connection);
  }

  /** The key of the connection's member in a room. Cached, because building it for each message costs 1 µs. */
  keyIn(connection: Connection, roomId: string): string {
    const membership = this.#memberships.get(connection);
    const kept = membership?.keys?.get(roomId);
    if (kept !== undefined) return kept;
    const key = memberKey(roomId, this.memberOf(connection));
    if (membership) (membership.keys ??= new Map()).set(roomId, key);
    return key;
  }

  /** The actor whose rate limits and quotas apply to a member. */
  actorOf(id: string): string {
    const connection = this.#context.node.connections.get(id);
    return connection && !connection.user ? actorKey(connection) : `user:${id}`;
  }

  /** @throws TOO_MANY_ROOMS */
  assertSpace(connection: Connection): void {
    const limit = this.#limit;
    if (this.roomsOf(connection).size >= limit) throw new ModuleError('TOO_MANY_ROOMS', { of: 'connection', limit });
  }

  /** @throws TOO_MANY_ROOMS, CONNECTION_UNKNOWN */
  join(connection: Connection, roomId: string): void {
    const known = this.#memberships.get(connection);
    if (known?.rooms.has(roomId)) return;
    this.assertSpace(connection);
    const room = this.#roomTopics.get(roomId) ?? { id: roomId, topic: roomTopic(roomId), size: 0 };
    if (!this.#isSuspended) this.#context.node.subscribe(connection, room.topic);
    const membership = known ?? { member: this.#attach(connection, memberId(connection)), rooms: new Set() };
    if (!known) this.#memberships.set(connection, membership);
    this.#roomTopics.set(room.id, room);
    membership.rooms.add(room.id);
    room.size++;
    this.#size++;
    this.#tell((watcher) => watcher.joined(room.id, membership.member.id, connection));
  }

  leave(connection: Connection, roomId: string): void {
    const membership = this.#memberships.get(connection);
    const room = this.#roomTopics.get(roomId);
    if (!room || !membership?.rooms.delete(roomId)) return;
    const { member } = membership;
    membership.keys?.delete(roomId);
    if (membership.rooms.size === 0) {
      this.#memberships.delete(connection);
      this.#detach(connection, member);
    }
    this.#size--;
    this.#context.node.unsubscribe(connection, room.topic);
    if (--room.size === 0) this.#roomTopics.delete(roomId);
    if (this.#watchers.size === 0) return;
    const isLast = !this.#isIn(member, roomId);
    this.#tell((watcher) => watcher.left(roomId, member.id, connection, isLast));
  }

  leaveAll(connection: Connection): void {
    for (const roomId of this.roomsOf(connection)) this.leave(connection, roomId);
  }

  /** Assigns a connection to another member: its new user, or, without a user, the connection itself. */
  changeMember(connection: Connection, id: string): void {
    const membership = this.#memberships.get(connection);
    if (!membership) return;
    const before = membership.member;
    this.#detach(connection, before);
    membership.member = this.#attach(connection, id);
    membership.keys = undefined;
    for (const roomId of [...membership.rooms]) {
      const isLast = !this.#isIn(before, roomId);
      this.#tell((watcher) => watcher.left(roomId, before.id, connection, isLast));
      this.#tell((watcher) => watcher.joined(roomId, id, connection));
    }
  }

  /** The connections in a room. Goes through all connections that are in rooms. */
  inRoom(roomId: string): Connection[] {
    return [...this.#memberships].flatMap(([connection, { rooms }]) => (rooms.has(roomId) ? [connection] : []));
  }

  /** Delivers nothing to rooms until resume(). The connections stay in their rooms. */
  suspend(): void {
    this.#isSuspended = true;
    for (const [connection, { rooms }] of this.#memberships) {
      for (const roomId of rooms) this.#context.node.unsubscribe(connection, roomTopic(roomId));
    }
  }

  resume(): void {
    if (!this.#isSuspended) return;
    this.#isSuspended = false;
    for (const [connection, { rooms }] of this.#memberships) {
      for (const roomId of rooms) {
        try {
          this.#context.node.subscribe(connection, roomTopic(roomId));
        } catch (error) {
          // The connection has subscribed to too many other topics meanwhile.
          this.leave(connection, roomId);
          this.#context.report(error);
        }
      }
    }
  }

  /** Updates the name of a member. Returns `false` when it is unchanged, or the member is in no room. */
  updateName({ id, user }: Connection): boolean {
    const member = this.#members.get(user?.id ?? id);
    const name = displayName(user);
    if (!member || member.name === name) return false;
    member.name = name;
    return true;
  }

  /** Removes all connections from all rooms, without notices. */
  clear(): void {
    this.#watchers.clear();
    for (const connection of this.#memberships.keys()) this.leaveAll(connection);
  }

  #attach(connection: Connection, id: string): Member {
    let member = this.#members.get(id);
    if (!member) this.#members.set(id, (member = { id, name: displayName(connection.user), connections: new Set() }));
    member.connections.add(connection);
    return member;
  }

  #detach(connection: Connection, member: Member): void {
    member.connections.delete(connection);
    if (member.connections.size === 0) this.#members.delete(member.id);
  }

  #isIn(member: Member, roomId: string): boolean {
    for (const connection of member.connections) if (this.roomsOf(connection).has(roomId)) return true;
    return false;
  }

  #tell(event: (watcher: MembershipWatcher) => unknown): void {
    for (const watcher of this.#watchers) {
      try {
        const result = event(watcher);
        if (result instanceof Promise) result.catch((error: unknown) => this.#context.report(error));
      } catch (error) {
        this.#context.report(error);
      }
    }
  }
}
