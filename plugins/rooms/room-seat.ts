import type { Connection, User } from '../../src/index.ts';
import type { NodeConnections } from './connection-manager.ts';
import type { MemberConnections } from './member-connections.ts';
import type { RoomChanges } from './room-changes.ts';
import type { KnownRooms, RoomCopies } from './room-copies.ts';
import type { Room } from './room.ts';

/** A connection of this node in a room. */
export interface Seat {
  readonly room: Room;
  readonly set: string;
  userId: string;
  readonly connection: Connection;
  /** Whether the member was removed, instead of leaving by itself. */
  isRemoved: boolean;
}

/** A seat that is released. */
export interface Leaving {
  readonly seat: Seat;
  readonly userId: string;
  readonly keepFor?: number | undefined;
  /** The member was not announced. `first`: nor was another connection of the user that has joined meanwhile. */
  readonly isSilent?: 'first' | 'further' | undefined;
}

/** A member of a room, on any node. */
export interface SharedMember { readonly userId: string; readonly room: Room; readonly user?: User | undefined }

/** What the answers of the store mean for the other members. */
export interface SeatEvents {
  /**
   * A user became a member.
   * @param isAnnounced whether the members are notified; not if the application added the connection
   */
  joined(member: SharedMember, connection: Connection, isAnnounced: boolean): void;
  /** A user is no longer a member. Without `connection` they were removed, or their node died. */
  left(member: SharedMember, connection?: Connection): void;
  /**
   * The first connection of a user did not join after all, but another one may have joined meanwhile.
   * @param connection the one that did not join
   */
  overtaken(member: SharedMember, connection: Connection): Promise<void>;
  /** The node has a new lease, or the store has lost its data. Seats are entered again afterwards. */
  returned(): Promise<void>;
  /** A seat could not be entered again. */
  refused(seat: { readonly room: Room; readonly connection: Connection }, code: string): void;
}

export interface SeatPartsOfRooms {
  readonly registry: KnownRooms;
  readonly connections: NodeConnections;
  readonly copies: RoomCopies;
  readonly changes: RoomChanges;
  readonly members: MemberConnections;
  /** Milliseconds for which the seat of a user whose connection broke is kept. */
  readonly grace: number;
}
