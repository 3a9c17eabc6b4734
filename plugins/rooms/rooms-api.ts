import type { Connection, Outgoing, PublishOptions } from '../../src/index.ts';
import type { MembershipWatcher } from './connection-manager.ts';
import type { RoomConfig } from './room-config.ts';
import type { RoomManager } from './room-manager.ts';
import type { Room } from './room.ts';

/** How a room is created. */
export interface RoomInit extends RoomConfig {
  /** @default the name */
  readonly id?: string | undefined;
  /** The member id of the owner. Without an owner, the room belongs to the server. */
  readonly owner?: string | undefined;
}

/** Public information about a room. */
export interface RoomInfo {
  readonly id: string;
  readonly name: string;
  readonly owner: string | undefined;
  readonly memberCount: number;
  readonly maxUsers: number;
  readonly isPrivate: boolean;
  readonly hasPassword: boolean;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** A page of the public rooms, in the order of their creation. */
export interface RoomsPage { readonly rooms: readonly RoomInfo[]; readonly total: number }

export interface ListOptions {
  /** @default 0 */
  readonly offset?: number | undefined;
  /** Maximum number of rooms, up to 1,000. @default 100 */
  readonly limit?: number | undefined;
}

export interface PageOptions {
  /** The cursor of the previous page. @default the first page */
  readonly cursor?: string | undefined;
  /** Maximum number of members, up to 1,000. @default 100 */
  readonly limit?: number | undefined;
}
/** A page of the members, in the order in which they joined. The `cursor` of the last page is `undefined`. */
export interface MembersPage {
  readonly members: readonly { readonly userId: string; readonly role: string }[];
  readonly cursor: string | undefined;
}

/** Who performs an action, and why. */
export interface ActionOptions {
  /** The member who acts; they need the permission. Without `by`, the server acts, which may do everything. */
  readonly by?: string | undefined;
  /** Sent to the target. The reason of a member passes the same checks as a message to the room. */
  readonly reason?: string | undefined;
  /** Whether the reason is unescaped input. It is escaped after the checks if the application sanitizes. */
  readonly raw?: boolean | undefined;
}

export interface WarnOptions extends ActionOptions {
  /** The limit in the notice to the target. @default `maxWarnings` of the room's moderation, or 3 */
  readonly maxWarnings?: number | undefined;
}

/** Who sends a message to a room, and how. */
export interface Sender {
  /** The connection that sends. */
  readonly connectionId?: string | undefined;
  /** The member in whose name the application sends. */
  readonly userId?: string | undefined;
  /** The type of the message. @default 'room-message', in the application's naming */
  readonly type?: string | undefined;
  /** Whether the content is unescaped input. It is escaped after the checks if the application sanitizes. */
  readonly raw?: boolean | undefined;
}

/** A message to a room before it is sent. */
export interface RoomMessage {
  readonly room: Room;
  readonly userId: string;
  readonly connection?: Connection | undefined;
  readonly content: unknown;
}
/** Returns the new content, or `undefined` to keep it. Throws to reject the message. */
export type RoomFilter = (message: RoomMessage) => unknown;

export interface DeliveryOptions extends PublishOptions {
  /** Whether batching must send the message at once. */
  readonly urgent?: boolean | undefined;
}
/** Sends a message to a room. Returns the number of recipients on this node. */
export type RoomDelivery = (room: Room, message: Outgoing, options: DeliveryOptions) => number;

/**
 * Sends a message of a member or of the server through a history. Returns nothing for a room without a history; else
 * a promise that resolves when the message is kept.
 */
export type RoomRecorder = (room: Room, message: Outgoing, options: PublishOptions) => Promise<unknown> | undefined;

export interface CreateAttempt {
  readonly name: string;
  readonly id: string;
  /** The member id of the future owner; `undefined`: the server creates the room. */
  readonly owner: string | undefined;
  readonly config: RoomConfig;
}
export interface JoinAttempt {
  readonly room: Room;
  readonly userId: string;
  readonly connection: Connection;
  /** `undefined` also when a connection in the room is checked again. */
  readonly password: string | undefined;
  /** Whether the user is a member already, by another connection or by this one when it is checked again. */
  readonly isMember: boolean;
}

/** `false` rejects with FORBIDDEN. A thrown ModuleError rejects with its own code. */
export type Verdict = boolean | Promise<boolean>;

/**
 * The API of rooms: `manager.api('rooms')`, or for plugins that require `rooms`. If the adapter has a store, nodes
 * share their rooms. Then what returns no promise tells what this node knows, and what returns one may also throw
 * STORE_UNAVAILABLE, LEASE_LOST and STORE_CONFLICT.
 */
export interface RoomsApi {
  readonly manager: RoomManager;
  /**
   * @throws ROOM_EXISTS, ROOM_NAME_TAKEN, ROOM_NAME_INVALID, TOO_MANY_ROOMS, FORBIDDEN, OPTION_INVALID, OPTION_UNKNOWN,
   * SERVER_OVERLOADED
   */
  create(name: string, init?: RoomInit): Promise<Room>;
  /** Returns the room with this id, or creates it. @throws as create, except ROOM_EXISTS */
  ensure(name: string, init?: RoomInit): Promise<Room>;
  /**
   * @throws ROOM_UNKNOWN, ALREADY_IN_ROOM, BANNED, ROOM_FULL, PASSWORD_REQUIRED, PASSWORD_WRONG, TOO_MANY_ROOMS,
   * FORBIDDEN, SERVER_OVERLOADED, CONNECTION_UNKNOWN; CONNECTION_CLOSED when the connection closes meanwhile
   */
  join(connectionId: string, roomId: string, password?: string): Promise<Room>;
  /** @throws ROOM_UNKNOWN, NOT_IN_ROOM, CONNECTION_UNKNOWN */
  leave(connectionId: string, roomId: string): Promise<void>;
  /** @throws CONNECTION_UNKNOWN */
  leaveAll(connectionId: string): Promise<void>;
  /** @throws ROOM_UNKNOWN; with `by` NOT_IN_ROOM, FORBIDDEN, RATE_LIMITED */
  delete(roomId: string, act?: ActionOptions): Promise<void>;
  get(roomId: string): Room | undefined;
  /** Like `get`, for a room that any node has created. From then on, this node knows the room. */
  fetchRoom(roomId: string): Promise<Room | undefined>;
  /** Information about a room on all nodes. @throws ROOM_UNKNOWN */
  fetchInfo(roomId: string): Promise<RoomInfo>;
  /** Information about the public rooms of all nodes. */
  fetchList(options?: ListOptions): Promise<RoomsPage>;
  /** The members of a room on all nodes. @throws ROOM_UNKNOWN */
  fetchMembers(roomId: string, options?: PageOptions): Promise<MembersPage>;
  /** Information about all public rooms. */
  list(): RoomInfo[];
  /** @throws ROOM_UNKNOWN */
  info(roomId: string): RoomInfo;
  /** The ids of the members. @throws ROOM_UNKNOWN */
  members(roomId: string): readonly string[];
  /** The ids of a connection's rooms; empty for an unknown connection. */
  of(connectionId: string): ReadonlySet<string>;
  /** The ids of the rooms of all connections of a user. */
  ofUser(userId: string): ReadonlySet<string>;
  /** Calls the watcher for each connection of this node that enters or leaves a room. Returns the undo. */
  watch(watcher: MembershipWatcher): () => void;
  /**
   * Checks permission, mute, length, rate and filters, in this order, and sends the message. Without `from`, the server
   * sends, and nothing is checked. Resolves to the message that was sent.
   * @throws ROOM_UNKNOWN, NOT_IN_ROOM, FORBIDDEN, MUTED, MESSAGE_TOO_LONG, CONTENT_NOT_ALLOWED, RATE_LIMITED,
   * CONNECTION_UNKNOWN, and what filters throw
   */
  send(roomId: string, content: unknown, from?: Sender): Promise<Outgoing>;
  /** Sends a message without checks. Returns the number of recipients on this node. @throws ROOM_UNKNOWN */
  publish(roomId: string, message: Outgoing, options?: DeliveryOptions): number;
  /** Whether a member, or a user with a role in the room, has a permission. @throws ROOM_UNKNOWN */
  can(roomId: string, userId: string, permission: string): boolean;

  /**
   * Whether a member may send a message now: they are not muted, and `canSend` (called with an empty string) or their
   * role allows it. Does not count against the rate limit.
   * @throws ROOM_UNKNOWN, NOT_IN_ROOM, CONNECTION_UNKNOWN, and what `canSend` throws
   */
  maySend(roomId: string, from: Sender): Verdict;

  // The actions below throw ROOM_UNKNOWN, and VALIDATION_FAILED for an invalid user id.
  // With `by` they also throw NOT_IN_ROOM, FORBIDDEN, SELF_ACTION, RATE_LIMITED and, for a reason, what send() throws.

  /** Gives a member a role. @throws ROLE_UNKNOWN, NOT_IN_ROOM, LAST_OWNER, LIST_FULL, TOO_MANY_ROOMS */
  setRole(roomId: string, userId: string, role: string, act?: ActionOptions): Promise<void>;
  /** Gives the next higher role: guest, member, admin, owner. Resolves to it. @throws as setRole, ROLE_UNCHANGED */
  promote(roomId: string, userId: string, act?: ActionOptions): Promise<string>;
  /** Gives the next lower role. Resolves to it. @throws as setRole, ROLE_UNCHANGED */
  demote(roomId: string, userId: string, act?: ActionOptions): Promise<string>;
  /** Allows a user to join without a password, and notifies them. @throws BANNED, LIST_FULL */
  invite(roomId: string, userId: string, act?: ActionOptions): Promise<void>;
  /** Removes a member from the room. @throws NOT_IN_ROOM */
  kick(roomId: string, userId: string, act?: ActionOptions): Promise<void>;
  /** Removes a user and rejects later joins. @throws LIST_FULL; with `by`, NOT_IN_ROOM for users never in the room */
  ban(roomId: string, userId: string, act?: ActionOptions): Promise<void>;
  /** @throws NOT_BANNED */
  unban(roomId: string, userId: string, act?: ActionOptions): Promise<void>;
  /** @param duration milliseconds @throws LIST_FULL; with `by`, NOT_IN_ROOM for users who never were in the room */
  mute(roomId: string, userId: string, duration: number, act?: ActionOptions): Promise<void>;
  /** @throws NOT_MUTED */
  unmute(roomId: string, userId: string, act?: ActionOptions): Promise<void>;
  /**
   * Counts a warning and notifies the user. Resolves to the number of warnings; the caller decides what follows.
   * @throws LIST_FULL; with `by`, NOT_IN_ROOM for users who never were in the room
   */
  warn(roomId: string, userId: string, act?: WarnOptions): Promise<number>;
  /** Adds a filter for messages of members, after the existing filters. Returns its undo. */
  filter(step: RoomFilter): () => void;
  /**
   * Replaces the way in which messages are sent to rooms. Returns its undo.
   * @throws DUPLICATE when another plugin has replaced it
   */
  deliverWith(delivery: RoomDelivery): () => void;
  /**
   * Sends the messages of rooms with a history through it. Returns its undo.
   * @throws DUPLICATE when another plugin does so
   */
  recordWith(recorder: RoomRecorder): () => void;
}
