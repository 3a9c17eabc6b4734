import type { RoomDocument, UserDocument } from './room-documents.ts';
import type { Room } from './room.ts';

/** What this node knows about a user in a room. */
export interface UserCopy {
  isLoaded: boolean;
  document: UserDocument;
  usedAt: number;
  missingSince: number | undefined;
}

/** What this node knows about a room. */
export interface RoomCopy {
  readonly room: Room;
  document: RoomDocument;
  version: string;
  /** Members on this node, and users who were looked up here lately. */
  readonly users: Map<string, UserCopy>;
  refreshAt: number;
  missingSince: number | undefined;
}
