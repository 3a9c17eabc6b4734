import type { Connection, Outgoing, PublishOptions } from '../../src/index.ts';
import type { RoomConfig } from './config.ts';
import type { RoomManager } from './room-manager.ts';
import type { Room } from './room.ts';

/** How a room is made. */
export interface RoomInit extends RoomConfig {
  /** @default the name */
  readonly id?: string;
  /** The member id of who makes it. */
  readonly owner?: string;
}

/** What anybody may know of a room. */
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

/** Who acts, and why. Without `by` it is the server itself, which may do everything. */
export interface Act {
  /** The member id of who acts. He must be in the room or have a role there, and the permission. */
  readonly by?: string;
  readonly reason?: string;
}

export interface Warning extends Act {
  /** After how many something follows, as the warned is told. @default that of the room's moderation, or 3 */
  readonly maxWarnings?: number;
}

/** Who speaks, and how. */
export interface Speech {
  /** The connection that speaks, as its member. */
  readonly connectionId?: string;
  /** The member who speaks, where no connection of his does. */
  readonly userId?: string;
  /** The type of the message, as it is to be sent. @default 'room-message', in the application's naming */
  readonly type?: string;
  /** Whether the content is as a client sent it, and is to be escaped, after all checks, where the application sanitizes. @default false */
  readonly raw?: boolean;
}

/** A message to a room before it is sent. */
export interface RoomMessage {
  readonly room: Room;
  readonly userId: string;
  readonly connection?: Connection;
  readonly content: unknown;
}
/** What it returns is the content from then on; `undefined` leaves it. It refuses by throwing. */
export type RoomFilter = (message: RoomMessage) => unknown;

export interface DeliveryOptions extends PublishOptions {
  /** Not to be held back. */
  readonly urgent?: boolean;
}
/** How messages leave for a room. Returns how many connections of this node get it. */
export type RoomDelivery = (room: Room, message: Outgoing, options: DeliveryOptions) => number;

export interface CreateAttempt {
  readonly name: string;
  readonly id: string;
  /** The member id of who wants it; undefined: the server does. */
  readonly owner: string | undefined;
  readonly config: RoomConfig;
}
export interface JoinAttempt {
  readonly room: Room;
  readonly userId: string;
  readonly connection: Connection;
  readonly password: string | undefined;
}

/** Says yes or no; `false` refuses with FORBIDDEN, an error that is thrown refuses with its own code. */
export type Verdict = boolean | Promise<boolean>;

/** What plugins that require `rooms` get, and applications by `manager.api('rooms')`. */
export interface RoomsApi {
  readonly manager: RoomManager;
  /** @throws ROOM_EXISTS, ROOM_NAME_TAKEN, ROOM_NAME_INVALID, TOO_MANY_ROOMS, FORBIDDEN, OPTION_INVALID, OPTION_UNKNOWN, SERVER_OVERLOADED */
  create(name: string, init?: RoomInit): Promise<Room>;
  /**
   * @throws ROOM_UNKNOWN, ALREADY_IN_ROOM, BANNED, ROOM_FULL, ROOM_PRIVATE, PASSWORD_REQUIRED, PASSWORD_WRONG, TOO_MANY_ROOMS, FORBIDDEN,
   * SERVER_OVERLOADED, CONNECTION_UNKNOWN, CONNECTION_CLOSED where it left meanwhile
   */
  join(connectionId: string, roomId: string, password?: string): Promise<Room>;
  /** @throws ROOM_UNKNOWN, NOT_IN_ROOM, CONNECTION_UNKNOWN */
  leave(connectionId: string, roomId: string): Promise<void>;
  /** @throws CONNECTION_UNKNOWN */
  leaveAll(connectionId: string): Promise<void>;
  /** @throws ROOM_UNKNOWN; with `by` NOT_IN_ROOM, FORBIDDEN */
  delete(roomId: string, act?: Act): Promise<void>;
  get(roomId: string): Room | undefined;
  /** The public ones. */
  list(): RoomInfo[];
  /** @throws ROOM_UNKNOWN */
  info(roomId: string): RoomInfo;
  /** Ids of members. @throws ROOM_UNKNOWN */
  members(roomId: string): readonly string[];
  /** Ids of the rooms that a connection is in; none for one that is not there. */
  of(connectionId: string): ReadonlySet<string>;
  /** Ids of the rooms that a user is in, by any connection of his. */
  ofUser(userId: string): ReadonlySet<string>;
  /**
   * Says something in a room: held to permission, mute, length, rate and filters, in this order. Without `from` it is the server's word,
   * which is held to nothing. Resolves to what was sent.
   * @throws ROOM_UNKNOWN, NOT_IN_ROOM, FORBIDDEN, MUTED, MESSAGE_TOO_LONG, CONTENT_NOT_ALLOWED, RATE_LIMITED, CONNECTION_UNKNOWN, and what filters throw
   */
  send(roomId: string, content: unknown, from?: Speech): Promise<Outgoing>;
  /** Sends a message to a room as it is. Returns how many connections of this node get it. @throws ROOM_UNKNOWN */
  publish(roomId: string, message: Outgoing, options?: DeliveryOptions): number;
  /** Whether somebody who is in the room, or has a role there, has a permission. @throws ROOM_UNKNOWN */
  can(roomId: string, userId: string, permission: string): boolean;
  /**
   * Whether a member may send a message now: by `canSend`, which is asked with an empty text, or the role, and unless
   * muted. Nothing is sent, and no rate is used up.
   * @throws ROOM_UNKNOWN, NOT_IN_ROOM, CONNECTION_UNKNOWN, and what `canSend` throws
   */
  maySend(roomId: string, from: Speech): Verdict;
  /** Gives a member a role. @throws ROOM_UNKNOWN, ROLE_UNKNOWN, NOT_IN_ROOM, LAST_OWNER, FORBIDDEN, LIST_FULL */
  setRole(roomId: string, userId: string, role: string, act?: Act): Promise<void>;
  /** One step up: guest, member, admin, owner. Resolves to the new role. @throws as setRole, ROLE_UNCHANGED */
  promote(roomId: string, userId: string, act?: Act): Promise<string>;
  /** One step down. Resolves to the new role. @throws as setRole, ROLE_UNCHANGED */
  demote(roomId: string, userId: string, act?: Act): Promise<string>;
  /**
   * Lets somebody in without a password, also where the room is private, and tells him.
   * @throws ROOM_UNKNOWN, BANNED, NOT_IN_ROOM, FORBIDDEN, SELF_ACTION, LIST_FULL
   */
  invite(roomId: string, userId: string, act?: Act): Promise<void>;
  /** Puts a member out. @throws ROOM_UNKNOWN, NOT_IN_ROOM, FORBIDDEN, SELF_ACTION */
  kick(roomId: string, userId: string, act?: Act): Promise<void>;
  /** Puts somebody out, who does not come back. @throws ROOM_UNKNOWN, NOT_IN_ROOM, FORBIDDEN, SELF_ACTION, LIST_FULL */
  ban(roomId: string, userId: string, act?: Act): Promise<void>;
  /** @throws ROOM_UNKNOWN, NOT_BANNED, NOT_IN_ROOM, FORBIDDEN */
  unban(roomId: string, userId: string, act?: Act): Promise<void>;
  /** @param duration milliseconds @throws ROOM_UNKNOWN, NOT_IN_ROOM, FORBIDDEN, SELF_ACTION, LIST_FULL, VALIDATION_FAILED */
  mute(roomId: string, userId: string, duration: number, act?: Act): Promise<void>;
  /** @throws ROOM_UNKNOWN, NOT_MUTED, NOT_IN_ROOM, FORBIDDEN */
  unmute(roomId: string, userId: string, act?: Act): Promise<void>;
  /** Counts a warning, and tells it. What follows from it is for whoever calls this. Resolves to how many there are. @throws as kick, LIST_FULL */
  warn(roomId: string, userId: string, act?: Warning): Promise<number>;
  /** A step that every message to a room passes, in order of addition. Returns its undo. */
  filter(step: RoomFilter): () => void;
  /**
   * How messages leave for rooms, instead of `node.publish`; one at a time. Returns its undo.
   * @param settle called before a connection enters or leaves a room, when what was held back for those in it must leave @throws DUPLICATE
   */
  deliverWith(delivery: RoomDelivery, settle?: (roomId: string) => void): () => void;
}
