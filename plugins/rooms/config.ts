import { rules, type Rules } from '../../src/index.ts';

/** What a role may do; every other name is one of your own. */
export type Permission = 'canSendMessage' | 'canInviteUsers' | 'canKickUsers' | 'canManageRoom' | 'canDeleteRoom' | (string & {});
/** The permissions of a role. What is not named is not allowed. */
export type Role = Readonly<Record<string, boolean>>;

export interface RoomPermissions {
  /** The role of who has none of his own. @default 'member' */
  readonly defaultRole?: string;
  /** Roles by name. They come on top of `owner`, `admin`, `member` and `guest`, and replace those of the same name. */
  readonly roles?: Readonly<Record<string, Role>>;
}

export interface RoomMessages {
  /** Characters a message may have; of one that is no text, its JSON. @default 2_000 */
  readonly maxLength?: number;
  /** Whether texts may have emojis. @default true */
  readonly allowEmojis?: boolean;
  /** Whether contents `{ type: 'file' }` are let through. @default true */
  readonly allowFiles?: boolean;
  /** Whether contents `{ type: 'image' }` are let through. @default true */
  readonly allowImages?: boolean;
  /** Messages that `room.addMessage` keeps. @default 100, in the plugin 0 */
  readonly historySize?: number;
  /** Messages a minute that one member may send; as many at once. @default 60 */
  readonly rateLimitPerMinute?: number;
}

/** What a moderation plugin goes by, instead of its own options; rooms themselves only keep it. */
export interface RoomModeration {
  readonly enabled?: boolean;
  readonly bannedWords?: readonly string[];
  readonly maxWarnings?: number;
  readonly autoMute?: boolean;
}

export interface RoomBehavior {
  /** Whether a room that is not persistent is deleted when it has been empty for `emptyTimeout`. @default true */
  readonly autoDeleteWhenEmpty?: boolean;
  /** Milliseconds. @default 300_000 */
  readonly emptyTimeout?: number;
  /** Sent to who joins, as `system-message`. */
  readonly welcomeMessage?: string;
  readonly moderation?: RoomModeration;
}

export interface RoomConfig {
  /** Members, however many connections each has. @default 100 */
  readonly maxUsers?: number;
  /** Whether it stays when nobody is in it. @default true where it has no owner */
  readonly persistent?: boolean;
  /** The plugin keeps a salted hash of it; a `RoomManager` of your own keeps it as it is. */
  readonly password?: string;
  /** Whether it is in no list, and without a password open to who is invited only. @default whether it has a password */
  readonly isPrivate?: boolean;
  /** Yours, and shown to whoever may see the room. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly permissions?: RoomPermissions;
  readonly message?: RoomMessages;
  readonly behavior?: RoomBehavior;
}

type Resolved<T, Keys extends keyof T = never> = T & Required<Omit<T, Keys>>;

/** A room's configuration with every section and default in place. */
export interface ResolvedRoomConfig extends RoomConfig {
  readonly maxUsers: number;
  readonly permissions: Required<RoomPermissions>;
  readonly message: Required<RoomMessages>;
  readonly behavior: Resolved<RoomBehavior, 'welcomeMessage'>;
}

const may = (canSendMessage: boolean, canInviteUsers: boolean, canKickUsers: boolean, canManageRoom: boolean, canDeleteRoom: boolean): Role =>
  Object.freeze({ canSendMessage, canInviteUsers, canKickUsers, canManageRoom, canDeleteRoom });

const ROLES = Object.freeze({
  owner: may(true, true, true, true, true),
  admin: may(true, true, true, false, false),
  member: may(true, false, false, false, false),
  guest: may(false, false, false, false, false),
});

/** Every default of a room. */
export const ROOM_DEFAULTS: ResolvedRoomConfig = Object.freeze({
  maxUsers: 100,
  permissions: Object.freeze({ defaultRole: 'member', roles: ROLES }),
  message: Object.freeze({ maxLength: 2_000, allowEmojis: true, allowFiles: true, allowImages: true, historySize: 100, rateLimitPerMinute: 60 }),
  behavior: Object.freeze({
    autoDeleteWhenEmpty: true,
    emptyTimeout: 300_000,
    moderation: Object.freeze({}),
  }),
});

/** The configuration with every section present, and otherwise as it was given. Sections without anything of their own are shared. */
export function resolveConfig(given: RoomConfig, defaults: ResolvedRoomConfig = ROOM_DEFAULTS): ResolvedRoomConfig {
  const { permissions, message, behavior } = given;
  const roles = { ...defaults.permissions.roles, ...permissions?.roles };
  const moderation = { ...defaults.behavior.moderation, ...stated(behavior?.moderation) };
  return {
    ...defaults,
    ...stated(given),
    permissions: permissions ? { ...defaults.permissions, ...stated(permissions), roles } : defaults.permissions,
    message: message ? { ...defaults.message, ...stated(message) } : defaults.message,
    behavior: behavior ? { ...defaults.behavior, ...stated(behavior), moderation } : defaults.behavior,
  };
}

/** Without what is undefined, which is not to hide a default. */
function stated<T extends object>(given: T | undefined): Partial<T> {
  return given && Object.values(given).includes(undefined)
    ? Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>
    : given ?? {};
}

const { boolean, duration, group, integer, list, rule } = rules;
const text = (most: number) => rule(`a text of 1 to ${most} characters`, (value) => typeof value === 'string' && value !== '' && value.length <= most);
/** The rules of a room's configuration. A password has one of its own, which does not quote it. */
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
    moderation: group({ fields: { enabled: boolean, bannedWords: list('words'), maxWarnings: integer(1, 1_000), autoMute: boolean } }),
  } }),
};
