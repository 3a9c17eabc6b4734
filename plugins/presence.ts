import { isDeepStrictEqual } from 'node:util';
import {
  check, definePlugin, EVERYONE, isConnectionId, ListBudget, memberId, ModuleError, publicProfile, rules,
  type Connection, type Plugin, type User,
} from '../src/index.ts';
import { GracePeriods } from './presence/grace-periods.ts';
import { Announcements, type ChangeKind } from './presence/announcements.ts';
import { OnlineUsers } from './presence/online-users.ts';
import { placeIn, roomIn, topicOf, typingIn, type Place } from './presence/place.ts';
import { Typing, type TypingMember } from './presence/typing.ts';

export type { Place } from './presence/place.ts';

export interface PresenceOptions {
  /** Grace period: milliseconds for which a user stays online after the connection broke. @default 10_000 */
  readonly grace?: number | undefined;
  /** Clients that are notified of changes: those in the same room, all clients, or none. @default 'rooms' */
  readonly audience?: 'rooms' | 'everyone' | 'nobody' | undefined;
  /** Milliseconds between two rounds. A round ends grace periods and typing, and sends changes. @default 1_000 */
  readonly interval?: number | undefined;
  /** Milliseconds after which typing ends unless the client repeats it. @default 6_000 */
  readonly typingTimeout?: number | undefined;
  /** Minimum milliseconds between two notices that a member is typing. @default 3_000 */
  readonly typingInterval?: number | undefined;
  /** The public fields of a user, in addition to the id. @default the `username`, if it is a string */
  readonly profile?: ((user: User) => Readonly<Record<string, unknown>>) | undefined;
  /** Whether a client may list a place's users. @default the server: all clients; a room or namespace: its members */
  readonly canList?: ((connection: Connection, place: Place) => boolean | Promise<boolean>) | undefined;
  /** Maximum users in one `online-users`. @default 1_000 */
  readonly maxListed?: number | undefined;
  /** Maximum entries of each list: offline users, grace periods, unsent changes, typing members. @default 100_000 */
  readonly maxRemembered?: number | undefined;
  /** Milliseconds for which `lastSeen` of an offline user is kept. @default 604_800_000 */
  readonly rememberFor?: number | undefined;
}

export interface PresenceApi {
  /** Whether a user is online on this node, or in the grace period. */
  isOnline(userId: string): boolean;
  /** The ids of the online users in a place; by default, on the server. */
  online(place?: Place): readonly string[];
  /** When a user was last connected, in milliseconds since the epoch; now, if connected. `undefined`: unknown. */
  lastSeen(userId: string): number | undefined;
}
declare module '../src/index.ts' {
  interface PluginApis { presence: PresenceApi }
  interface Hooks {
    /** A user without a connection connected. */
    'presence:online': (event: { readonly userId: string }) => void;
    /** A user is offline, after the grace period. `lastSeen` is in milliseconds since the epoch. */
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

/** A set of user ids, or the online users. */
interface UserIds { readonly size: number; keys(): Iterable<string> }

/** Maximum users in one announcement. Clients that need all users request the list. */
const MAX_NAMED = 100;

/**
 * Tracks which users are online on the server, in rooms and in namespaces, and which members of rooms are typing. A
 * user with several connections counts once. A user whose connection broke stays online for the grace period.
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
        /** Users are online even if `profile` throws. */
        profile(user) {
          try {
            return context.escape(profile(user));
          } catch (error) {
            context.report(error);
            return {};
          }
        },
      });
      const gracePeriods = new GracePeriods(grace, maxRemembered);
      const announcements = new Announcements(maxRemembered, MAX_NAMED, (topic, kind, changes) => {
        const roomId = roomIn(topic);
        const content = { ...(roomId !== undefined && { roomId }), ...changes };
        const message = { type: context.named(`user-${kind}`), content };
        // Each node announces its users to its own clients. On a single node, batching may collect the message.
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
      /** A user entered a place. Returns `false` if the user was in the grace period, so that clients saw no change. */
      const setOnline = (topic: string, userId: string): boolean => {
        const gracePeriod = gracePeriods.end(topic, userId);
        if (!gracePeriod) announce(topic, userId, 'online');
        else if (!isDeepStrictEqual(gracePeriod.user, users.shown(userId))) announce(topic, userId, 'updated');
        return !gracePeriod;
      };
      const setOffline = (topic: string, userId: string): void => {
        announce(topic, userId, 'offline');
        if (topic === EVERYONE) context.emit('presence:offline', { userId, lastSeen: users.forget(userId) });
      };
      /**
       * A user left a place. The grace period begins if the connection broke; otherwise the user is offline at once.
       * @param isBroken whether the connection broke
       */
      const leave = (topic: string, userId: string, isBroken: boolean): void => {
        if (isBroken && gracePeriods.begin(topic, users.shown(userId))) return;
        // An earlier connection of the user may be in the grace period.
        gracePeriods.end(topic, userId);
        setOffline(topic, userId);
      };

      const remove = (connection: Connection, isBroken: boolean): void => {
        const userId = users.remove(connection);
        if (userId !== undefined) leave(EVERYONE, userId, isBroken);
      };
      /** The user of a connection was set, changed or removed. */
      const updateUser = (connection: Connection): void => {
        const { user } = connection;
        if (users.userOf(connection) !== user?.id) remove(connection, false);
        if (!user) return;
        const { isFirst, isUpdated } = users.add(connection, user);
        if (isFirst && setOnline(EVERYONE, user.id)) context.emit('presence:online', { userId: user.id });
        if (!isUpdated) return;
        announce(EVERYONE, user.id, 'updated');
        for (const room of audience === 'rooms' ? rooms.ofUser(user.id) : []) {
          announce(topicOf({ room }), user.id, 'updated');
        }
      };

      context.on('connection:identified', updateUser);
      context.on('connection:removed', (connection) => {
        typing.closed(connection);
        remove(connection, true);
      });
      context.on('room:joined', ({ room, userId, connection }) => {
        // When a connection is identified, `rooms` emits this before this plugin gets `connection:identified`.
        if (connection) updateUser(connection);
        if (users.has(userId)) setOnline(room.topic, userId);
      });
      context.on('room:left', ({ room, userId, connection }) => {
        typing.stop(room.id, userId);
        // Without a connection the user was removed from the room.
        if (users.has(userId)) leave(room.topic, userId, connection !== undefined && !connection.isOpen);
      });
      context.on('room:message', ({ room, userId }) => { if (userId !== undefined) typing.stop(room.id, userId); });
      context.on('room:deleted', ({ room }) => {
        typing.deleteRoom(room.id);
        gracePeriods.deletePlace(room.topic);
        announcements.deletePlace(room.topic);
      });
      context.on('namespace:joined', ({ namespace, connection: { user } }) => {
        if (user) setOnline(topicOf({ namespace }), user.id);
      });
      context.on('namespace:left', ({ namespace, connection: { user, isOpen } }) => {
        if (user) leave(topicOf({ namespace }), user.id, !isOpen);
      });

      const isIn = (roomId: string, connection: Connection): boolean => {
        const room = rooms.get(roomId);
        return room !== undefined && node.subscribers(room.topic).has(connection);
      };
      /** Ends typing if the member may no longer send, or their connection left the room. */
      const recheck = async ({ roomId, userId, connection }: TypingMember): Promise<void> => {
        try {
          if (isIn(roomId, connection) && await rooms.maySend(roomId, { connectionId: connection.id })) return;
        } catch (error) {
          // A failed check rejects.
          if (!(error instanceof ModuleError)) context.report(error);
        }
        typing.stop(roomId, userId);
      };
      context.every(interval, () => {
        for (const { place, userId } of gracePeriods.expired()) setOffline(place, userId);
        // Not awaited, because slow checks must not delay the round.
        for (const member of typing.active()) void recheck(member);
        typing.sweep();
        announcements.flush();
      });

      const lists = new ListBudget(maxListed);
      const guests = (): number => node.connections.size - users.connections;
      /** The users in a place, and the number of its anonymous connections. */
      const listOf = (place: Place): { readonly listed: UserIds; readonly guests: number } => {
        const topic = topicOf(place);
        if (topic === EVERYONE) return { listed: users, guests: guests() };
        const connections = [...node.subscribers(topic)];
        const listed = new Set([...connections.flatMap(({ user }) => user?.id ?? []), ...gracePeriods.of(topic)]);
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
          // State may have changed during the await; check it again.
          assertIn();
          const isListed = typing.start(connection, roomId, memberId(connection));
          if (!isListed) throw new ModuleError('RATE_LIMITED', { retryAfter: typingTimeout, scope: 'typing' });
        };
        const verdict = rooms.maySend(roomId, { connectionId: connection.id });
        return typeof verdict === 'boolean' ? start(verdict) : verdict.then(start);
      }, { yields: true, raw: true });

      context.metrics(() => ({
        presence_users: { type: 'gauge', help: 'Number of online users.', value: users.size },
        presence_guests: { type: 'gauge', help: 'Number of anonymous connections.', value: guests() },
        presence_absences: { type: 'gauge', help: 'Number of running grace periods.', value: gracePeriods.size },
        presence_typing: { type: 'gauge', help: 'Number of typing members.', value: typing.size },
      }));
      // Users who are already connected are not announced.
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
