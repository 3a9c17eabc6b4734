import { rules, type Defined, type Rules, type WithoutUndefined } from '../../src/index.ts';

/** The built-in permissions, from the least on. */
export const PERMISSIONS = [
  'canSendMessage', 'canInviteUsers', 'canKickUsers', 'canManageRoom', 'canDeleteRoom',
] as const;
/** What a role may do. Other names are permissions of your own. */
export type Permission = typeof PERMISSIONS[number] | (string & {});
/** The permissions of a role. A permission that is not named is not granted. */
export type Role = Readonly<Record<string, boolean>>;

export interface RoomPermissions {
  /** The role of members without one of their own. @default 'member' */
  readonly defaultRole?: string | undefined;
  /** Roles by name, beside `owner`, `admin`, `member` and `guest`. A role replaces the one of the same name. */
  readonly roles?: Readonly<Record<string, Role>> | undefined;
}

export interface RoomMessages {
  /** Characters that a message may have. Of a content that is not a string, its JSON counts. @default 2_000 */
  readonly maxLength?: number | undefined;
  /** Whether messages may have emojis. @default true */
  readonly allowEmojis?: boolean | undefined;
  /** Whether contents `{ type: 'file' }` are accepted. @default true */
  readonly allowFiles?: boolean | undefined;
  /** Whether contents `{ type: 'image' }` are accepted. @default true */
  readonly allowImages?: boolean | undefined;
  /** Messages that `room.addMessage` keeps. @default 100, in the plugin 0 */
  readonly historySize?: number | undefined;
  /** Messages that one member may send in a minute, also all at once. @default 60 */
  readonly rateLimitPerMinute?: number | undefined;
}

/** Settings for the moderation plugin, which they override. Rooms only store them. */
export interface RoomModeration {
  readonly enabled?: boolean | undefined;
  readonly bannedWords?: readonly string[] | undefined;
  readonly maxWarnings?: number | undefined;
  readonly autoMute?: boolean | undefined;
}

export interface RoomBehavior {
  /** Whether a room that is not persistent is deleted after it has been empty for `emptyTimeout`. @default true */
  readonly autoDeleteWhenEmpty?: boolean | undefined;
  /** Milliseconds. @default 300_000 */
  readonly emptyTimeout?: number | undefined;
  /** Sent to each connection that joins, as `system-message`. */
  readonly welcomeMessage?: string | undefined;
  readonly moderation?: RoomModeration | undefined;
}

export interface RoomConfig {
  /** Members that the room may have, however many connections each has. @default 100 */
  readonly maxUsers?: number | undefined;
  /** Whether the room stays when it is empty. @default true for a room without an owner */
  readonly persistent?: boolean | undefined;
  /** The plugin stores a salted hash of it; a `RoomManager` of your own stores it as it is. */
  readonly password?: string | undefined;
  /** Whether the room is not listed, and, without a password, for invited users only. @default true with a password */
  readonly isPrivate?: boolean | undefined;
  /** Data of your own. It is shown to everyone who may see the room. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  readonly permissions?: RoomPermissions | undefined;
  readonly message?: RoomMessages | undefined;
  readonly behavior?: RoomBehavior | undefined;
}

/** The configuration of a room, with every section and default. */
export interface ResolvedRoomConfig extends RoomConfig {
  readonly maxUsers: number;
  readonly permissions: Defined<RoomPermissions>;
  readonly message: Defined<RoomMessages>;
  readonly behavior: Defined<Omit<RoomBehavior, 'welcomeMessage'>> & Pick<RoomBehavior, 'welcomeMessage'>;
}

/** A role with the first `count` permissions. */
const first = (count: number): Role =>
  Object.freeze(Object.fromEntries(PERMISSIONS.map((name, index) => [name, index < count])));

/** The built-in roles, from the highest on. */
const ROLES = Object.freeze({
  owner: first(5),
  admin: first(3),
  member: first(1),
  guest: first(0),
});

/** The defaults of a room. */
export const ROOM_DEFAULTS: ResolvedRoomConfig = Object.freeze({
  maxUsers: 100,
  permissions: Object.freeze({ defaultRole: 'member', roles: ROLES }),
  message: Object.freeze({
    maxLength: 2_000, allowEmojis: true, allowFiles: true, allowImages: true, historySize: 100, rateLimitPerMinute: 60,
  }),
  behavior: Object.freeze({
    autoDeleteWhenEmpty: true,
    emptyTimeout: 300_000,
    moderation: Object.freeze({}),
  }),
});

/** The configuration with every section, otherwise as given. Sections that were not given are shared between rooms. */
export function resolveConfig(given: RoomConfig, defaults: ResolvedRoomConfig = ROOM_DEFAULTS): ResolvedRoomConfig {
  const { permissions, message, behavior } = given;
  const roles = { ...defaults.permissions.roles, ...permissions?.roles };
  const moderation = { ...defaults.behavior.moderation, ...withoutUndefined(behavior?.moderation) };
  return {
    ...defaults,
    ...withoutUndefined(given),
    permissions: permissions ? { ...defaults.permissions, ...withoutUndefined(permissions), roles } : defaults.permissions,
    message: message ? { ...defaults.message, ...withoutUndefined(message) } : defaults.message,
    behavior: behavior ? { ...defaults.behavior, ...withoutUndefined(behavior), moderation } : defaults.behavior,
  };
}

/** Removes fields that are undefined: they must not hide a default. */
function withoutUndefined<T extends object>(given: T | undefined): WithoutUndefined<Partial<T>> {
  if (!given || !Object.values(given).includes(undefined)) return (given ?? {}) as WithoutUndefined<Partial<T>>;
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as WithoutUndefined<Partial<T>>;
}

const { boolean, duration, group, integer, list, rule } = rules;
const text = (max: number) => rule(`a string of 1 to ${max} characters`, (value) => {
  return typeof value === 'string' && value !== '' && value.length <= max;
});
/** The rules of a room's configuration. The password has a check of its own, which does not quote it. */
export const CONFIG_RULES: Rules<Omit<RoomConfig, 'password'>> = {
  maxUsers: integer(1, 1_000_000),
  persistent: boolean,
  isPrivate: boolean,
  metadata: group(),
  permissions: group({ fields: { defaultRole: text(64), roles: group({ each: group({ each: boolean }) }) } }),
  message: group({ fields: {
    maxLength: integer(1, 1_000_000), allowEmojis: boolean, allowFiles: boolean, allowImages: boolean,
    historySize: integer(0, 100_000), rateLimitPerMinute: integer(1, 1_000_000),
  } }),
  behavior: group({ fields: {
    autoDeleteWhenEmpty: boolean,
    emptyTimeout: duration,
    welcomeMessage: text(10_000),
    moderation: group({
      fields: { enabled: boolean, bannedWords: list('words'), maxWarnings: integer(1, 1_000), autoMute: boolean },
    }),
  } }),
};
