import { isDeepStrictEqual } from 'node:util';
import {
  check, definePlugin, EVERYONE, isConnectionId, ListBudget, memberId, ModuleError, publicProfile, rules,
  type Connection, type Plugin, type User,
} from '../src/index.ts';
import { Absences } from './presence/absences.ts';
import { Announcements, type ChangeKind } from './presence/announcements.ts';
import { OnlineUsers } from './presence/online-users.ts';
import { placeIn, roomIn, topicOf, typingIn, type Place } from './presence/place.ts';
import { Typing, type TypingMember } from './presence/typing.ts';

export type { Place } from './presence/place.ts';

export interface PresenceOptions {
  /** Milliseconds for which a user counts as present after the connection broke. @default 10_000 */
  readonly grace?: number | undefined;
  /** Which clients are told of users who come and go: those in the same room, all, or none. @default 'rooms' */
  readonly audience?: 'rooms' | 'everyone' | 'nobody' | undefined;
  /** Milliseconds between two rounds. Each ends grace periods and typing, and announces changes. @default 1_000 */
  readonly interval?: number | undefined;
  /** Milliseconds after which typing ends, when the client does not repeat it. @default 6_000 */
  readonly typingTimeout?: number | undefined;
  /** Milliseconds between two notices to a room that a member types. @default 3_000 */
  readonly typingInterval?: number | undefined;
  /** What others see of a user beside the id. @default the `username`, where it is a string */
  readonly profile?: ((user: User) => Readonly<Record<string, unknown>>) | undefined;
  /** Whether a client may list a place. @default the server: all clients; a room or namespace: its members */
  readonly canList?: ((connection: Connection, place: Place) => boolean | Promise<boolean>) | undefined;
  /** Users that one `online-users` names. @default 1_000 */
  readonly maxListed?: number | undefined;
  /** Entries of each list: users gone, grace periods, changes to announce, typing members. @default 100_000 */
  readonly maxRemembered?: number | undefined;
  /** Milliseconds for which `lastSeen` of a user who is gone is known. @default 604_800_000 */
  readonly rememberFor?: number | undefined;
}

export interface PresenceApi {
  /** Whether a user is online on this node, or was until a moment ago. */
  isOnline(userId: string): boolean;
  /** The ids of the users in a place, or on the server, each once. */
  online(place?: Place): readonly string[];
  /** When a user was last connected, in milliseconds since the epoch: now, if connected. `undefined`: not known. */
  lastSeen(userId: string): number | undefined;
}
declare module '../src/index.ts' {
  interface PluginApis { presence: PresenceApi }
  interface Hooks {
    /** A user is online who had no connection. */
    'presence:online': (event: { readonly userId: string }) => void;
    /** A user is gone, and did not come back within the grace period. `lastSeen` is in milliseconds since the epoch. */
    'presence:offline': (event: { readonly userId: string; readonly lastSeen: number }) => void;
  }
}

const { integer } = rules;
const PRESENCE_RULES = {
  grace: integer(0, 3_600_000),
  audience: rules.oneOf('rooms', 'everyone', 'nobody'),
  interval: integer(10, 60_000),
  typingTimeout: integer(100, 600_000),
  typingInterval: integer(0, 600_000),
  profile: rules.callback,
  canList: rules.callback,
  maxListed: integer(1, 1_000_000),
  maxRemembered: integer(1, 10_000_000),
  rememberFor: integer(0, Number.MAX_SAFE_INTEGER),
};

/** Ids of users: of all that are online, or a set. */
interface UserIds { readonly size: number; keys(): Iterable<string> }

/** Users that one announcement names, which goes to all clients in a place. Those that need all ask for the list. */
const MAX_NAMED = 100;

/**
 * Presence knows which users are online: on the server, in a room, in a namespace. A user with several connections
 * counts once, and a short break of the connection is bridged. It also tells rooms which members type.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use('rooms').use(presence({ grace: 30_000, audience: 'everyone' }))
 */
export function presence(options: PresenceOptions = {}): Plugin<'presence', 'rooms', PresenceApi> {
  const {
    grace = 10_000, audience = 'rooms', interval = 1_000, typingTimeout = 6_000, typingInterval = 3_000,
    profile = publicProfile, canList, maxListed = 1_000, maxRemembered = 100_000, rememberFor = 604_800_000,
  } = check(options, PRESENCE_RULES, 'presence');

  return definePlugin({
    name: 'presence',
    events: ['presence:online', 'presence:offline'],
    requires: ['rooms'],
    setup(context, { rooms }): PresenceApi {
      const { node } = context;
      const users = new OnlineUsers({
        maxRemembered,
        rememberFor,
        /** A user whose profile fails is online all the same. */
        profile(user) {
          try {
            return context.escape(profile(user));
          } catch (error) {
            context.report(error);
            return {};
          }
        },
      });
      const absences = new Absences(grace, maxRemembered);
      const announcements = new Announcements(maxRemembered, MAX_NAMED, (topic, kind, changes) => {
        const roomId = roomIn(topic);
        const content = { ...(roomId !== undefined && { roomId }), ...changes };
        const message = { type: context.named(`user-${kind}`), content };
        // Each node announces its own users to its own clients. On a single node, batching may gather it with the rest.
        if (roomId !== undefined && node.isAlone && rooms.get(roomId)) rooms.publish(roomId, message);
        else node.deliver(topic, message);
      });
      const typing = new Typing({
        timeout: typingTimeout,
        interval: typingInterval,
        max: maxRemembered,
        tell(roomId, userId, isTyping) {
          if (!rooms.get(roomId)) return;
          const except = isConnectionId(userId) ? [userId] : [...users.connectionsOf(userId)].map(({ id }) => id);
          const content = { roomId, ...users.shown(userId), isTyping };
          rooms.publish(roomId, { type: context.named('user-typing'), content }, { except });
        },
      });

      const announce = (topic: string, userId: string, kind: ChangeKind): void => {
        const isRoom = roomIn(topic) !== undefined;
        const isHeard = audience === 'everyone' ? topic === EVERYONE : audience === 'rooms' && isRoom;
        if (isHeard) announcements.add(topic, users.shown(userId), kind);
      };
      /** A user is in a place. Returns `false` after an absence, of which no client was told. */
      const came = (topic: string, userId: string): boolean => {
        const absence = absences.end(topic, userId);
        if (!absence) announce(topic, userId, 'online');
        else if (!isDeepStrictEqual(absence.user, users.shown(userId))) announce(topic, userId, 'updated');
        return !absence;
      };
      const gone = (topic: string, userId: string): void => {
        announce(topic, userId, 'offline');
        if (topic === EVERYONE) context.emit('presence:offline', { userId, lastSeen: users.forget(userId) });
      };
      /** A user is not in a place any more. @param isCut whether the connection broke; who leaves is gone at once */
      const went = (topic: string, userId: string, isCut: boolean): void => {
        if (isCut && absences.begin(topic, users.shown(userId))) return;
        // Another connection of the user may have broken before.
        absences.end(topic, userId);
        gone(topic, userId);
      };

      const remove = (connection: Connection, isCut: boolean): void => {
        const userId = users.remove(connection);
        if (userId !== undefined) went(EVERYONE, userId, isCut);
      };
      /** Follows the user of a connection, whose name may have changed, or who may not be known any more. */
      const follow = (connection: Connection): void => {
        const { user } = connection;
        if (users.userOf(connection) !== user?.id) remove(connection, false);
        if (!user) return;
        const { isFirst, isUpdated } = users.add(connection, user);
        if (isFirst && came(EVERYONE, user.id)) context.emit('presence:online', { userId: user.id });
        if (!isUpdated) return;
        announce(EVERYONE, user.id, 'updated');
        for (const room of audience === 'rooms' ? rooms.ofUser(user.id) : []) {
          announce(topicOf({ room }), user.id, 'updated');
        }
      };

      context.on('connection:identified', follow);
      context.on('connection:removed', (connection) => {
        typing.closed(connection);
        remove(connection, true);
      });
      context.on('room:joined', ({ room, userId, connection }) => {
        // When a connection in rooms is identified, it joins them as the user before this plugin is told of the user.
        if (connection) follow(connection);
        if (users.has(userId)) came(room.topic, userId);
      });
      context.on('room:left', ({ room, userId, connection }) => {
        typing.stop(room.id, userId);
        // Without a connection the user was removed from the room.
        if (users.has(userId)) went(room.topic, userId, connection !== undefined && !connection.isOpen);
      });
      context.on('room:message', ({ room, userId }) => { if (userId !== undefined) typing.stop(room.id, userId); });
      context.on('room:deleted', ({ room }) => {
        typing.deleteRoom(room.id);
        absences.deletePlace(room.topic);
        announcements.deletePlace(room.topic);
      });
      context.on('namespace:joined', ({ namespace, connection: { user } }) => {
        if (user) came(topicOf({ namespace }), user.id);
      });
      context.on('namespace:left', ({ namespace, connection: { user, isOpen } }) => {
        if (user) went(topicOf({ namespace }), user.id, !isOpen);
      });

      const isIn = (roomId: string, connection: Connection): boolean => {
        const room = rooms.get(roomId);
        return room !== undefined && node.subscribers(room.topic).has(connection);
      };
      /** Ends the typing of a member who may not send any more, or whose connection has left the room. */
      const recheck = async ({ roomId, userId, connection }: TypingMember): Promise<void> => {
        try {
          if (isIn(roomId, connection) && await rooms.maySend(roomId, { connectionId: connection.id })) return;
        } catch (error) {
          // A check that fails allows nothing.
          if (!(error instanceof ModuleError)) context.report(error);
        }
        typing.stop(roomId, userId);
      };
      context.every(interval, () => {
        for (const { place, userId } of absences.expired()) gone(place, userId);
        // A check that takes long must not delay the round.
        for (const member of typing.active()) void recheck(member);
        typing.sweep();
        announcements.flush();
      });

      const lists = new ListBudget(maxListed);
      const guests = (): number => node.connections.size - users.connections;
      /** The users in a place, each once, and the number of its anonymous connections. */
      const listOf = (place: Place): { readonly listed: UserIds; readonly guests: number } => {
        const topic = topicOf(place);
        if (topic === EVERYONE) return { listed: users, guests: guests() };
        const connections = [...node.subscribers(topic)];
        const listed = new Set([...connections.flatMap(({ user }) => user?.id ?? []), ...absences.of(topic)]);
        return { listed, guests: connections.filter(({ user }) => !user).length };
      };

      context.registerHandler(context.named('get-online-users'), async (message, connection) => {
        const place = placeIn(message);
        const topic = topicOf(place);
        const isMember = topic === EVERYONE || node.subscribers(topic).has(connection);
        if (!(canList ? await canList(connection, place) : isMember)) throw new ModuleError('FORBIDDEN');
        const { room: roomId, namespace } = place;
        const { listed, guests: anonymous } = listOf(place);
        lists.charge(connection, Math.min(listed.size, maxListed));
        const named = first(maxListed, listed.keys()).map((userId) => users.shown(userId));
        const content = { roomId, namespace, users: named, total: listed.size, guests: anonymous };
        return { type: context.named('online-users'), content };
      }, { yields: true, raw: true });
      context.registerHandler(context.named('typing'), (message, connection) => {
        const { roomId, isTyping } = typingIn(message);
        const assertIn = (): void => {
          if (isIn(roomId, connection)) return;
          const details = { room: roomId, user: memberId(connection) };
          throw new ModuleError('NOT_IN_ROOM', details, { message: 'you are not in this room' });
        };
        assertIn();
        if (!isTyping) return typing.stop(roomId, memberId(connection));
        const start = (maySend: boolean): void => {
          if (!maySend) throw new ModuleError('FORBIDDEN');
          // State may have changed during the check.
          assertIn();
          const isListed = typing.start(connection, roomId, memberId(connection));
          if (!isListed) throw new ModuleError('RATE_LIMITED', { retryAfter: typingTimeout, scope: 'typing' });
        };
        const verdict = rooms.maySend(roomId, { connectionId: connection.id });
        return typeof verdict === 'boolean' ? start(verdict) : verdict.then(start);
      }, { yields: true, raw: true });

      context.metrics(() => ({
        presence_users: { type: 'gauge', help: 'Users who are online, or were until a moment ago.', value: users.size },
        presence_guests: { type: 'gauge', help: 'Anonymous connections.', value: guests() },
        presence_absences: { type: 'gauge', help: 'Users, by place, in their grace period.', value: absences.size },
        presence_typing: { type: 'gauge', help: 'Members who type, or did a moment ago.', value: typing.size },
      }));
      // Users who are online already are not announced.
      for (const connection of node.connections.values()) if (connection.user) users.add(connection, connection.user);
      return {
        isOnline: (userId) => users.has(userId),
        online: (place = {}) => [...listOf(place).listed.keys()],
        lastSeen: (userId) => users.lastSeen(userId),
      };
    },
  });
}

function first(count: number, items: Iterable<string>): string[] {
  const taken: string[] = [];
  for (const item of items) {
    if (taken.length === count) break;
    taken.push(item);
  }
  return taken;
}

presence.presence = presence;
export { presence as default, presence as 'module.exports' };
