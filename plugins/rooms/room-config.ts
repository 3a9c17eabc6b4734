import { rules, type Defined, type Rules, type WithoutUndefined } from '../../src/index.ts';

/** The built-in permissions, lowest first. */
export const PERMISSIONS = [
  'canSendMessage', 'canInviteUsers', 'canKickUsers', 'canManageRoom', 'canDeleteRoom',
] as const;
/** A permission of a role: a built-in one, or any name of your own. */
export type Permission = typeof PERMISSIONS[number] | (string & {});
/** The permissions of a role. Missing permissions are not granted. */
export type Role = Readonly<Record<string, boolean>>;

export interface RoomPermissions {
  /** The role of members that were given no other role. @default 'member' */
  readonly defaultRole?: string | undefined;
  /** Roles by name, in addition to `owner`, `admin`, `member` and `guest`. A role of the same name replaces these. */
  readonly roles?: Readonly<Record<string, Role>> | undefined;
}

export interface RoomMessages {
  /** Maximum characters of a message. For content that is not a string, its JSON counts. @default 2_000 */
  readonly maxLength?: number | undefined;
  /** Whether messages may contain emojis. @default true */
  readonly allowEmojis?: boolean | undefined;
  /** Whether content with `type: 'file'` is accepted. @default true */
  readonly allowFiles?: boolean | undefined;
  /** Whether content with `type: 'image'` is accepted. @default true */
  readonly allowImages?: boolean | undefined;
  /** Maximum messages that `room.messages` keeps. @default 100, in the plugin 0 */
  readonly historySize?: number | undefined;
  /** Maximum messages of one member per minute. All of them may be sent at once. @default 60 */
  readonly rateLimitPerMinute?: number | undefined;
}

/** Overrides the options of the moderation plugin for this room. Rooms only store it. */
export interface RoomModeration {
  readonly enabled?: boolean | undefined;
  readonly bannedWords?: readonly string[] | undefined;
  readonly maxWarnings?: number | undefined;
  readonly autoMute?: boolean | undefined;
}

export interface RoomBehavior {
  /** Whether a room that is not persistent is deleted when it was empty for `emptyTimeout`. @default true */
  readonly autoDeleteWhenEmpty?: boolean | undefined;
  /** Milliseconds until an empty room is deleted. @default 300_000 */
  readonly emptyTimeout?: number | undefined;
  /** Sent to each connection that joins, as `system-message`. */
  readonly welcomeMessage?: string | undefined;
  readonly moderation?: RoomModeration | undefined;
}

export interface RoomConfig {
  /** Maximum members. A member with several connections counts once. @default 100 */
  readonly maxUsers?: number | undefined;
  /** Whether the room is kept while it is empty. @default true for a room without an owner */
  readonly persistent?: boolean | undefined;
  /** The plugin stores a salted hash. A `RoomManager` of your own stores the password itself. */
  readonly password?: string | undefined;
  /** Whether the room is unlisted and, without a password, invite-only. @default true with a password */
  readonly isPrivate?: boolean | undefined;
  /** Data of your own. All clients that may see the room can read it. */
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

/** Creates a role with the first `count` permissions. */
const first = (count: number): Role =>
  Object.freeze(Object.fromEntries(PERMISSIONS.map((name, index) => [name, index < count])));

/** The built-in roles, highest first. */
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

/** Fills in the defaults. Rooms share the default sections, which saves memory. */
export function resolveConfig(given: RoomConfig, defaults: ResolvedRoomConfig = ROOM_DEFAULTS): ResolvedRoomConfig {
  const { permissions, message, behavior } = given;
  const roles = { ...defaults.permissions.roles, ...permissions?.roles };
  const allPermissions = { ...defaults.permissions, ...withoutUndefined(permissions), roles };
  const moderation = { ...defaults.behavior.moderation, ...withoutUndefined(behavior?.moderation) };
  return {
    ...defaults,
    ...withoutUndefined(given),
    permissions: permissions ? allPermissions : defaults.permissions,
    message: message ? { ...defaults.message, ...withoutUndefined(message) } : defaults.message,
    behavior: behavior ? { ...defaults.behavior, ...withoutUndefined(behavior), moderation } : defaults.behavior,
  };
}

/** Removes undefined fields, because they would hide a default. */
function withoutUndefined<T extends object>(given: T | undefined): WithoutUndefined<Partial<T>> {
  if (!given || !Object.values(given).includes(undefined)) return (given ?? {}) as WithoutUndefined<Partial<T>>;
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as WithoutUndefined<Partial<T>>;
}

const { boolean, duration, group, integer, list, rule } = rules;
const text = (max: number) => rule(`a string of 1 to ${max} characters`, (value) => {
  return typeof value === 'string' && value !== '' && value.length <= max;
});
/** Rules of the configuration. `assertPassword` checks the password, because errors must not quote it. */
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
