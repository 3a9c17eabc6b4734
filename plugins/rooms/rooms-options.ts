import { check, rules, type Defined, type Rules } from '../../src/index.ts';
import { CONFIG_RULES, resolveConfig, type ResolvedRoomConfig, type RoomConfig } from './room-config.ts';
import { MAX_ID_LENGTH } from './room-request.ts';
import type { Room } from './room.ts';
import type { CreateAttempt, JoinAttempt, RoomMessage, Verdict } from './rooms-api.ts';

export interface RoomsOptions {
  /** Maximum number of rooms. @default 10_000 */
  readonly maxRooms?: number | undefined;
  /** Maximum rooms that one user may own. Anonymous owners with the same address share this limit. @default 10 */
  readonly maxRoomsPerOwner?: number | undefined;
  /** Maximum rooms that one connection may join. @default 100 */
  readonly maxRoomsPerConnection?: number | undefined;
  /** Maximum characters of the name and of the id of a room, up to 255. @default 64 */
  readonly maxNameLength?: number | undefined;
  /** Maximum moderation actions, invitations, role changes and deletions of one member per minute. @default 60 */
  readonly maxActionsPerMinute?: number | undefined;
  /** Default configuration of rooms. Clients may set a lower `maxUsers`, but not a higher one. @default {} */
  readonly defaults?: Omit<RoomConfig, 'password'> | undefined;
  /** Whether joining a missing room creates it; the member becomes its owner. @default false */
  readonly createOnJoin?: boolean | undefined;
  /** Whether members are notified when others join, leave or change their names. @default true */
  readonly announce?: boolean | undefined;
  /** Whether members also receive their own messages. @default true */
  readonly echo?: boolean | undefined;
  /** Milliseconds for which a full room keeps the seat of a user whose connection broke. @default 15_000 */
  readonly seatGrace?: number | undefined;
  /** Milliseconds until a room whose owners all left gets a new owner; `false`: never. @default 300_000 */
  readonly ownerTimeout?: number | false | undefined;
  /** Chooses the new owner. @default the member with the highest role; among equals, the first who joined */
  readonly nextOwner?: ((room: Room) => string | undefined) | undefined;
  /** Decides whether a room may be created. @default always */
  readonly canCreate?: ((attempt: CreateAttempt) => Verdict) | undefined;
  /** Decides whether a connection may join, or stay. @default users who know the password or are invited */
  readonly canJoin?: ((attempt: JoinAttempt, standard: () => Promise<boolean>) => Verdict) | undefined;
  /** Decides whether a member may send a message. @default members whose role has `canSendMessage` */
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
  // The plugin reads no history. Applications that do set the size.
  const message = { historySize: 0, ...given.defaults?.message };
  return Object.freeze({
    maxRooms: 10_000, maxRoomsPerOwner: 10, maxRoomsPerConnection: 100, maxNameLength: 64, maxActionsPerMinute: 60,
    createOnJoin: false, announce: true, echo: true, seatGrace: 15_000, ownerTimeout: 300_000,
    ...given,
    defaults: resolveConfig({ ...given.defaults, message }),
  });
}
