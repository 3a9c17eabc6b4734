import { isDeepStrictEqual } from 'node:util';
import {
  check, definePlugin, EVERYONE, isConnectionId, ListBudget, memberId, ModuleError, publicProfile, rules,
  type Connection, type Plugin, type User,
} from '../src/index.ts';
import { GracePeriods } from './presence/grace-periods.ts';
import { Announcements, type ChangeKind, type ShownUser } from './presence/announcements.ts';
import { OnlineLists, type PageOptions } from './presence/online-lists.ts';
import { OnlineUsers } from './presence/online-users.ts';
import { placeIn, roomIn, topicOf, typingIn, type Place } from './presence/place.ts';
import { SETTLE_TIME, SharedPresence, type UsersPage } from './presence/shared-presence.ts';
import { Typing, type TypingMember } from './presence/typing.ts';

export type { ShownUser } from './presence/announcements.ts';
export type { PageOptions } from './presence/online-lists.ts';
export type { Place } from './presence/place.ts';
export type { UsersPage } from './presence/shared-presence.ts';

export interface PresenceOptions {
  /** Grace period: milliseconds for which a user stays online after the connection broke. @default 10_000 */
  readonly grace?: number | undefined;
  /**
   * Which clients are notified of changes. `'rooms'`: of changes in a room, the clients in this room. `'everyone'`: of
   * changes on the server, all clients. `'nobody'`: no clients.
   * @default 'rooms'
   */
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
  /** The ids of the online users of this node in a place; by default, on the server. */
  online(place?: Place): readonly string[];
  /** When a user of this node was last connected, in milliseconds since the epoch; now, if connected. */
  lastSeen(userId: string): number | undefined;
  /**
   * A page of the users in a place; by default, on the server. With a shared store, on all nodes.
   * @throws STORE_UNAVAILABLE, OPTION_INVALID
   */
  fetchOnline(place?: Place, options?: PageOptions): Promise<UsersPage>;
  /** Like `lastSeen`; with a shared store, for users who went offline on any node. @throws STORE_UNAVAILABLE */
  fetchLastSeen(userId: string): Promise<number | undefined>;
}
declare module '../src/index.ts' {
  interface PluginApis { presence: PresenceApi }
  interface Hooks {
    /** A user who was offline is online. With a shared store, emitted once, on one of the nodes. */
    'presence:online': (event: { readonly userId: string }) => void;
    /**
     * A user is offline, and the grace period is over. With a shared store, emitted once, on one of the nodes.
     * `lastSeen` is in milliseconds since the epoch.
     */
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

/** Maximum users in one announcement. A client that needs the others requests the list. */
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
      const settle = context.store ? SETTLE_TIME : 0;
      const limits = { max: maxRemembered, maxNamed: MAX_NAMED, settle };
      const announcements = new Announcements(limits, (topic, kind, changes) => {
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

      const isHeard = (topic: string): boolean =>
        (audience === 'everyone' ? topic === EVERYONE : audience === 'rooms' && roomIn(topic) !== undefined);
      const announce = (topic: string, user: ShownUser, kind: ChangeKind): void => {
        if (isHeard(topic)) announcements.add(topic, user, kind);
      };
      const shared = context.store && new SharedPresence(context, context.store, {
        announce, isHeard, rememberFor, guests: (topic): number => lists.guestsOf(topic),
      });
      const lists = new OnlineLists(node, users, gracePeriods, shared);
      const budget = new ListBudget(maxListed);
      const announceUpdate = (topic: string, user: ShownUser): void => {
        if (shared) shared.tell(topic, user, 'updated');
        else announce(topic, user, 'updated');
      };
      /** A user entered a place. Returns `false` if the user was in the grace period, so that clients saw no change. */
      const setOnline = (topic: string, userId: string): boolean => {
        const gracePeriod = gracePeriods.end(topic, userId);
        const user = users.shown(userId);
        // With a store, its answer says whether the user was on another node. Then it is announced.
        if (shared) shared.seats.enter(topic, user);
        else if (!gracePeriod) announce(topic, user, 'online');
        if (gracePeriod && !isDeepStrictEqual(gracePeriod.user, user)) announceUpdate(topic, user);
        return !gracePeriod;
      };
      const setOffline = (topic: string, userId: string): void => {
        if (!shared) announce(topic, users.shown(userId), 'offline');
        if (topic !== EVERYONE) return shared?.seats.leave(topic, userId);
        const lastSeen = users.forget(userId);
        if (shared) shared.seats.leave(topic, userId, lastSeen);
        else context.emit('presence:offline', { userId, lastSeen });
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
        const isNew = isFirst && setOnline(EVERYONE, user.id);
        if (isNew && !shared) context.emit('presence:online', { userId: user.id });
        if (!isUpdated) return;
        const shown = users.shown(user.id);
        shared?.seats.update(shown);
        announceUpdate(EVERYONE, shown);
        for (const room of audience === 'rooms' ? rooms.ofUser(user.id) : []) announceUpdate(topicOf({ room }), shown);
      };

      context.on('connection:identified', updateUser);
      context.on('connection:removed', (connection) => {
        typing.closed(connection);
        remove(connection, true);
      });
      const joinedRoom = (topic: string, userId: string, connection: Connection | undefined): void => {
        // When a member is identified, this listener is called before that of `connection:identified`.
        if (connection) updateUser(connection);
        if (users.has(userId)) setOnline(topic, userId);
      };
      const leftRoom = (topic: string, roomId: string, userId: string, connection: Connection | undefined): void => {
        typing.stop(roomId, userId);
        // Without a connection the user was removed from the room.
        if (users.has(userId)) leave(topic, userId, connection !== undefined && !connection.isOpen);
      };
      if (!shared) {
        context.on('room:joined', ({ room, userId, connection }) => joinedRoom(room.topic, userId, connection));
        context.on('room:left', ({ room, userId, connection }) => leftRoom(room.topic, room.id, userId, connection));
      } else {
        // The events count the connections of all nodes.
        context.onUnload(rooms.watch({
          joined: (room, userId, connection) => joinedRoom(topicOf({ room }), userId, connection),
          left(room, userId, connection, isLast) {
            if (isLast) leftRoom(topicOf({ room }), room, userId, connection);
          },
        }));
      }
      context.on('room:message', ({ room, userId }) => { if (userId !== undefined) typing.stop(room.id, userId); });
      context.on('room:deleted', ({ room }) => {
        typing.deleteRoom(room.id);
        gracePeriods.deletePlace(room.topic);
        shared?.seats.deletePlace(room.topic);
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
        // Without a lease, this node must not deliver what the nodes share.
        if (!shared?.seats.isLapsed) announcements.flush();
      });

      context.registerHandler(context.named('get-online-users'), async (message, connection) => {
        const place = placeIn(message);
        const topic = topicOf(place);
        const isMember = topic === EVERYONE || node.subscribers(topic).has(connection);
        if (!(canList ? await canList(connection, place) : isMember)) throw new ModuleError('FORBIDDEN');
        const { room: roomId, namespace } = place;
        const { users: named, total, guests } = await lists.list(topic, maxListed, (count) => {
          budget.charge(connection, count);
        });
        const content = { roomId, namespace, users: named, total, guests };
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
        const checked = rooms.maySend(roomId, { connectionId: connection.id });
        return typeof checked === 'boolean' ? start(checked) : checked.then(start);
      }, { yields: true, raw: true });

      context.metrics(() => ({
        presence_users: { type: 'gauge', help: 'Number of online users.', value: users.size },
        presence_guests: { type: 'gauge', help: 'Number of anonymous connections.', value: lists.guestsOf(EVERYONE) },
        presence_absences: { type: 'gauge', help: 'Number of running grace periods.', value: gracePeriods.size },
        presence_typing: { type: 'gauge', help: 'Number of typing members.', value: typing.size },
      }));
      for (const connection of node.connections.values()) {
        const { id, user, namespaces = [] } = connection;
        if (!user) continue;
        // Without a shared store, users who are already connected are not announced.
        users.add(connection, user);
        if (!shared) continue;
        const ofRooms = [...rooms.of(id)].map((room) => topicOf({ room }));
        const topics = [EVERYONE, ...ofRooms, ...[...namespaces].map((namespace) => topicOf({ namespace }))];
        for (const topic of topics) shared.seats.enter(topic, users.shown(user.id));
      }
      return {
        isOnline: (userId) => users.has(userId),
        online: (place = {}) => lists.idsOf(topicOf(place)),
        lastSeen: (userId) => users.lastSeen(userId),
        fetchOnline: (place = {}, paging) => lists.page(topicOf(place), paging),
        fetchLastSeen: async (userId) => users.lastSeen(userId) ?? shared?.lastSeen(userId),
      };
    },
  });
}

presence.presence = presence;
export { presence as default, presence as 'module.exports' };
