import { check, rules, type Defined, type Rules } from '../../src/index.ts';
import { CONFIG_RULES, resolveConfig, type ResolvedRoomConfig, type RoomConfig } from './room-config.ts';
import { MAX_ID_LENGTH } from './room-request.ts';
import type { Room } from './room.ts';
import type { CreateAttempt, JoinAttempt, RoomMessage, Verdict } from './rooms-api.ts';

export interface RoomsOptions {
  /** Rooms in all. @default 10_000 */
  readonly maxRooms?: number | undefined;
  /** Rooms that one user may own. Anonymous owners of one address share them. @default 10 */
  readonly maxRoomsPerOwner?: number | undefined;
  /** Rooms that one connection may be in. @default 100 */
  readonly maxRoomsPerConnection?: number | undefined;
  /** Characters that the name and the id of a room may have, up to 255. @default 64 */
  readonly maxNameLength?: number | undefined;
  /** Kicks, bans, mutes, warnings, invitations and changes of roles by one member in a minute. @default 60 */
  readonly maxActionsPerMinute?: number | undefined;
  /** Defaults of the configuration of rooms. Clients may ask for fewer `maxUsers`, not for more. @default {} */
  readonly defaults?: Omit<RoomConfig, 'password'> | undefined;
  /** Whether joining a missing room creates it; the member becomes its owner. @default false */
  readonly createOnJoin?: boolean | undefined;
  /** Whether the members of a room are told who joins, leaves and changes names. @default true */
  readonly announce?: boolean | undefined;
  /** Whether members get their own messages, too. @default true */
  readonly echo?: boolean | undefined;
  /** Milliseconds for which the seat of a user whose connection broke is kept in a full room. @default 15_000 */
  readonly seatGrace?: number | undefined;
  /** Milliseconds after which a room whose owners have all left gets another owner; `false`: never. @default 300_000 */
  readonly ownerTimeout?: number | false | undefined;
  /** Chooses the next owner. @default the member with the highest role; of several, the first who joined */
  readonly nextOwner?: ((room: Room) => string | undefined) | undefined;
  /** Decides whether a room may be created. @default all may be created */
  readonly canCreate?: ((attempt: CreateAttempt) => Verdict) | undefined;
  /** Decides who may join, and stay when the user has changed. @default users who know the password or are invited */
  readonly canJoin?: ((attempt: JoinAttempt, standard: () => Promise<boolean>) => Verdict) | undefined;
  /** Decides who may speak. @default members whose role has `canSendMessage` */
  readonly canSend?: ((attempt: RoomMessage, standard: () => boolean) => Verdict) | undefined;
}

type Callback = 'nextOwner' | 'canCreate' | 'canJoin' | 'canSend';

/** The options with their defaults. */
export interface RoomsSettings extends Defined<Omit<RoomsOptions, Callback>>, Pick<RoomsOptions, Callback> {
  readonly defaults: ResolvedRoomConfig;
}

const { boolean, callback, duration, either, group, integer, rule } = rules;
const RULES: Rules<RoomsOptions> = {
  maxRooms: integer(1, 10_000_000),
  maxRoomsPerOwner: integer(0, 10_000_000),
  maxRoomsPerConnection: integer(1, 1_000_000),
  maxNameLength: integer(1, MAX_ID_LENGTH),
  maxActionsPerMinute: integer(1, 1_000_000),
  defaults: group({ fields: CONFIG_RULES }),
  createOnJoin: boolean,
  announce: boolean,
  echo: boolean,
  seatGrace: integer(0, 3_600_000),
  ownerTimeout: either(duration, rule('false', (value) => value === false)),
  nextOwner: callback,
  canCreate: callback,
  canJoin: callback,
  canSend: callback,
};

/** @throws OPTION_INVALID, OPTION_UNKNOWN */
export function resolveOptions(options: RoomsOptions): RoomsSettings {
  const given = check(options, RULES, 'rooms');
  // The plugin itself reads no history; an application that does sets its size.
  const message = { historySize: 0, ...given.defaults?.message };
  return Object.freeze({
    maxRooms: 10_000, maxRoomsPerOwner: 10, maxRoomsPerConnection: 100, maxNameLength: 64, maxActionsPerMinute: 60,
    createOnJoin: false, announce: true, echo: true, seatGrace: 15_000, ownerTimeout: 300_000,
    ...given,
    defaults: resolveConfig({ ...given.defaults, message }),
  });
}
