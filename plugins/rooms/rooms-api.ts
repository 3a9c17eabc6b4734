import type { Connection, Outgoing, PublishOptions } from '../../src/index.ts';
import type { RoomConfig } from './room-config.ts';
import type { RoomManager } from './room-manager.ts';
import type { Room } from './room.ts';

/** How a room is created. */
export interface RoomInit extends RoomConfig {
  /** @default the name */
  readonly id?: string | undefined;
  /** The member id of its creator. Without one the room is the server's own. */
  readonly owner?: string | undefined;
}

/** What everyone who may see a room may know of it. */
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

/** The member who acts, and the reason. Without `by` the server acts, which may do everything. */
export interface Act {
  /** The member id of the member who acts: one who is in the room or has a role there, and has the permission. */
  readonly by?: string | undefined;
  /** The target reads it. A member's reason passes the checks of a message to the room. */
  readonly reason?: string | undefined;
  /** Whether the reason is as a client sent it. It is escaped after the checks where the application sanitizes. */
  readonly raw?: boolean | undefined;
}

export interface Warning extends Act {
  /** The number of warnings that has consequences, for display. @default that of the room's moderation, or 3 */
  readonly maxWarnings?: number | undefined;
}

/** The member who speaks, and how. */
export interface Speech {
  /** The connection that speaks. */
  readonly connectionId?: string | undefined;
  /** The member who speaks, where the application speaks for one. */
  readonly userId?: string | undefined;
  /** The type of the message that is sent. @default 'room-message', in the application's naming */
  readonly type?: string | undefined;
  /** Whether the content is as a client sent it. It is escaped after the checks where the application sanitizes. */
  readonly raw?: boolean | undefined;
}

/** A message to a room before it is sent. */
export interface RoomMessage {
  readonly room: Room;
  readonly userId: string;
  readonly connection?: Connection | undefined;
  readonly content: unknown;
}
/** Returns the content from then on; `undefined` leaves it as it is. Throws to refuse the message. */
export type RoomFilter = (message: RoomMessage) => unknown;

export interface DeliveryOptions extends PublishOptions {
  /** Whether batching must not hold it back. */
  readonly urgent?: boolean | undefined;
}
/** Sends a message to a room. Returns how many connections of this node get it. */
export type RoomDelivery = (room: Room, message: Outgoing, options: DeliveryOptions) => number;

export interface CreateAttempt {
  readonly name: string;
  readonly id: string;
  /** The member id of the member who wants it; `undefined`: the server does. */
  readonly owner: string | undefined;
  readonly config: RoomConfig;
}
export interface JoinAttempt {
  readonly room: Room;
  readonly userId: string;
  readonly connection: Connection;
  /** `undefined` also where the connection is in the room, and its user has changed. */
  readonly password: string | undefined;
  /** Whether the user is a member already: by this connection, whose user has changed, or by another one. */
  readonly isMember: boolean;
}

/** `false` refuses with FORBIDDEN; a ModuleError that is thrown refuses with its own code. */
export type Verdict = boolean | Promise<boolean>;

/** The API for applications, `manager.api('rooms')`, and for plugins that require `rooms`. */
export interface RoomsApi {
  readonly manager: RoomManager;
  /**
   * @throws ROOM_EXISTS, ROOM_NAME_TAKEN, ROOM_NAME_INVALID, TOO_MANY_ROOMS, FORBIDDEN, OPTION_INVALID, OPTION_UNKNOWN,
   * SERVER_OVERLOADED
   */
  create(name: string, init?: RoomInit): Promise<Room>;
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
  delete(roomId: string, act?: Act): Promise<void>;
  get(roomId: string): Room | undefined;
  /** The public rooms. */
  list(): RoomInfo[];
  /** @throws ROOM_UNKNOWN */
  info(roomId: string): RoomInfo;
  /** Ids of members. @throws ROOM_UNKNOWN */
  members(roomId: string): readonly string[];
  /** Ids of the rooms of a connection; none for an unknown one. */
  of(connectionId: string): ReadonlySet<string>;
  /** Ids of the rooms of a user, by any connection. */
  ofUser(userId: string): ReadonlySet<string>;
  /**
   * Sends what a member says, after the checks of permission, mute, length, rate and filters, in this order. Without
   * `from` the server speaks, whose messages are not checked. Resolves to the message that was sent.
   * @throws ROOM_UNKNOWN, NOT_IN_ROOM, FORBIDDEN, MUTED, MESSAGE_TOO_LONG, CONTENT_NOT_ALLOWED, RATE_LIMITED,
   * CONNECTION_UNKNOWN, and what filters throw
   */
  send(roomId: string, content: unknown, from?: Speech): Promise<Outgoing>;
  /** Sends a message without checks. Returns how many connections of this node get it. @throws ROOM_UNKNOWN */
  publish(roomId: string, message: Outgoing, options?: DeliveryOptions): number;
  /** Whether a user who is in the room, or has a role there, has a permission. @throws ROOM_UNKNOWN */
  can(roomId: string, userId: string, permission: string): boolean;

  /**
   * Whether a member may send a message now: by `canSend`, which is asked with an empty text, or the role, and unless
   * muted. Nothing is sent, and no rate is used up.
   * @throws ROOM_UNKNOWN, NOT_IN_ROOM, CONNECTION_UNKNOWN, and what `canSend` throws
   */
  maySend(roomId: string, from: Speech): Verdict;

  // All of the following throw ROOM_UNKNOWN, and VALIDATION_FAILED for a user id that is no string of 1 to 255 units.
  // With `by` they throw NOT_IN_ROOM, FORBIDDEN, SELF_ACTION and RATE_LIMITED, too, and of a reason what send() throws.

  /** Gives a member a role. @throws ROLE_UNKNOWN, NOT_IN_ROOM, LAST_OWNER, LIST_FULL, TOO_MANY_ROOMS */
  setRole(roomId: string, userId: string, role: string, act?: Act): Promise<void>;
  /** One role up: guest, member, admin, owner. Resolves to the new role. @throws as setRole, ROLE_UNCHANGED */
  promote(roomId: string, userId: string, act?: Act): Promise<string>;
  /** One role down. Resolves to the new role. @throws as setRole, ROLE_UNCHANGED */
  demote(roomId: string, userId: string, act?: Act): Promise<string>;
  /** Lets a user join without a password, also a private room, and tells the user. @throws BANNED, LIST_FULL */
  invite(roomId: string, userId: string, act?: Act): Promise<void>;
  /** Removes a member from the room. @throws NOT_IN_ROOM */
  kick(roomId: string, userId: string, act?: Act): Promise<void>;
  /** Keeps a user out of the room. @throws LIST_FULL; with `by`, NOT_IN_ROOM for a user who never was in the room */
  ban(roomId: string, userId: string, act?: Act): Promise<void>;
  /** @throws NOT_BANNED */
  unban(roomId: string, userId: string, act?: Act): Promise<void>;
  /** @param duration milliseconds @throws LIST_FULL; with `by`, NOT_IN_ROOM for a user who never was in the room */
  mute(roomId: string, userId: string, duration: number, act?: Act): Promise<void>;
  /** @throws NOT_MUTED */
  unmute(roomId: string, userId: string, act?: Act): Promise<void>;
  /**
   * Counts a warning, and tells the user. Consequences are for the caller. Resolves to the number of warnings.
   * @throws LIST_FULL; with `by`, NOT_IN_ROOM for a user who never was in the room
   */
  warn(roomId: string, userId: string, act?: Warning): Promise<number>;
  /** Adds a step that every message to a room passes, after the steps that are there. Returns its undo. */
  filter(step: RoomFilter): () => void;
  /**
   * Sends messages to rooms in another way than `node.publish`; one plugin at a time. Returns its undo.
   * @param settle called before a connection enters or leaves a room: messages held back for the room must be sent then
   * @throws DUPLICATE
   */
  deliverWith(delivery: RoomDelivery, settle?: (roomId: string) => void): () => void;
}
