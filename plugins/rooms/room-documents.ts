import { isRecord, type Json } from '../../src/index.ts';
import type { RoomConfig } from './room-config.ts';
import type { PasswordHash } from './room-passwords.ts';
import { mutedFor, remaining, type RoomEntry } from './room.ts';

// What nodes share about rooms: documents, and sets of members. `uid` distinguishes rooms that reuse an id, so what is
// left of a deleted room never applies to a new one.
export const roomKey = (id: string): string => `room/${id}`;
export const nameKey = (key: string): string => `name/${key}`;
export const userKey = (uid: string, userId: string): string => `user/${uid}/${userId}`;
/** The members of a room. Each seat belongs to a connection. */
export const membersSet = (uid: string, id: string): string => `members/${uid}/${id}`;
/** The connections of a user in a room that does not admit everyone. */
export const connectionsSet = (uid: string, userId: string): string => `connections/${uid}/${userId}`;
/** When a room that became empty is deleted, by the clock of the store. */
export const dueKey = (uid: string): string => `due/${uid}`;
/** The users with a document about them in a room. */
export const usersSet = (uid: string): string => `users/${uid}`;
/** The rooms that one actor owns. */
export const ownedSet = (actor: string): string => `owned/${actor}`;
/** A document with a random value. If the store has lost its data, it is missing or has another value. */
export const DATA = 'data/marker';
/** The entries for which one actor pays. */
export const paidSet = (actor: string): string => `paid/${actor}`;
/** All rooms, as RoomSummary. */
export const ALL = 'all';
/** The ids of the rooms that every client may see. */
export const PUBLIC = 'public';

/** Splits a key or a set: the kind, and the rest. */
export function splitKey(key: string): readonly [kind: string, rest: string] {
  const index = key.indexOf('/');
  return [key.slice(0, index), key.slice(index + 1)];
}

/** A room, as nodes share it. */
export interface RoomDocument {
  readonly uid: string;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Without defaults of the node, except `maxUsers`, `isPrivate` and `persistent`. */
  readonly config: RoomConfig;
  readonly owner?: string | undefined;
  /** The actor in whose name the room counts. */
  readonly actor?: string | undefined;
  /** Everyone with the role `owner`. */
  readonly owners: readonly string[];
  readonly password?: { readonly salt: string; readonly hash: string } | undefined;
  /** `new`: the name is not claimed yet. `closing`: the room is deleted, unless a user has joined meanwhile. */
  readonly state?: 'new' | 'closing' | undefined;
  /** When the last owner left, by the clock of the store. */
  readonly ownersLeftAt?: number | undefined;
}

/** What is needed to delete a room whose document is already gone, and to find rooms that stay empty. */
export interface RoomSummary {
  readonly id: string;
  readonly name: string;
  /** The actor in whose name the room counts. */
  readonly actor?: string | undefined;
  /** When the room is deleted if it is empty, by the clock of the store. Without it, empty rooms are kept. */
  readonly due?: number | undefined;
}

/** What the lists of a room say about one user, as nodes share it. The role `owner` is in the room's document. */
export interface UserDocument {
  readonly role?: string | undefined;
  readonly isBanned?: true | undefined;
  /** By the clock of the store. */
  readonly mutedUntil?: number | undefined;
  readonly warnings?: number | undefined;
  readonly isInvited?: true | undefined;
  /** Changes with each kick: every node removes the user's connections. */
  readonly kick?: string | undefined;
  /** The actor whose limit this entry counts against. */
  readonly paidBy?: string | undefined;
}

/** Removes fields that are undefined, because JSON has no such value. */
export const toJson = (value: object): Json => JSON.parse(JSON.stringify(value)) as Json;

/** Returns undefined if the value is not the document of a room, for example one of a newer version. */
export function readRoom(value: Json | undefined): RoomDocument | undefined {
  const isRoom = isRecord(value) && typeof value['uid'] === 'string' && typeof value['name'] === 'string'
    && typeof value['createdAt'] === 'number' && Array.isArray(value['owners']) && isRecord(value['config']);
  return isRoom ? value as unknown as RoomDocument : undefined;
}

export function readSummary(value: Json): RoomSummary | undefined {
  const isSummary = isRecord(value) && typeof value['id'] === 'string' && typeof value['name'] === 'string';
  return isSummary ? value as unknown as RoomSummary : undefined;
}

export const readUser = (value: Json | undefined): UserDocument => (isRecord(value) ? value : {});

/** Whether a document says anything about the user. A kick alone is forgotten soon. */
export const isEmptyEntry = ({ role, isBanned, mutedUntil, warnings, isInvited }: UserDocument): boolean =>
  [role, isBanned, mutedUntil, warnings, isInvited].every((value) => value === undefined);

/** @param now the clock of the store */
export function toEntry({ role, isBanned, mutedUntil, warnings, isInvited }: UserDocument, now: number): RoomEntry {
  const remaining = mutedUntil === undefined ? 0 : mutedUntil - now;
  return { role, isBanned, warnings, isInvited, ...(remaining > 0 && { mutedUntil: mutedFor(remaining) }) };
}

/** Applies a change of an entry to its document. @param now the clock of the store */
export function changeEntry(
  document: UserDocument, now: number, change: (entry: RoomEntry) => RoomEntry,
): UserDocument {
  const before = toEntry(document, now);
  const { mutedUntil, ...after } = change(before);
  const isSame = mutedUntil !== undefined && mutedUntil === before.mutedUntil;
  const until = mutedUntil && (isSame ? document.mutedUntil : now + Math.round(remaining(mutedUntil)));
  return { ...document, ...after, mutedUntil: until };
}

export const encodeHash = ({ salt, hash }: PasswordHash): NonNullable<RoomDocument['password']> =>
  ({ salt: salt.toString('base64'), hash: hash.toString('base64') });

export const decodeHash = ({ salt, hash }: NonNullable<RoomDocument['password']>): PasswordHash =>
  ({ salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') });
