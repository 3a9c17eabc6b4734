import { check, definePlugin, EVERYONE, ModuleError, rules, toError, type Connection, type Plugin, type User } from '../src/index.ts';
import { Absences } from './presence/absences.ts';
import { Announcements } from './presence/announcements.ts';
import { People } from './presence/people.ts';
import { placeIn, roomIn, topicOf, typingIn, type Place } from './presence/place.ts';
import { Typing } from './presence/typing.ts';

export type { Place } from './presence/place.ts';

export interface PresenceOptions {
  /** Milliseconds for which a user whose connection broke is taken to be there still. @default 10_000 */
  readonly grace?: number;
  /** Who is told who came and went: the members of a room, of its members; `everyone`, of all users; or `nobody`. @default 'rooms' */
  readonly audience?: 'rooms' | 'everyone' | 'nobody';
  /** Milliseconds between two rounds, in each of which graces and typing end, and who came and went is told, all together. @default 1_000 */
  readonly interval?: number;
  /** Milliseconds without a word after which somebody types no more. @default 6_000 */
  readonly typingTimeout?: number;
  /** Milliseconds between two times that a room is told that a member types. @default 3_000 */
  readonly typingInterval?: number;
  /** What others are told of a user beside his id. @default his `username`, where that is a text */
  readonly profile?: (user: User) => Readonly<Record<string, unknown>>;
  /** Whether a client may see who is in a place. @default everybody may of the server, and of a room or a namespace who is in it */
  readonly canList?: (connection: Connection, place: Place) => boolean | Promise<boolean>;
  /** Users that one `online-users` names. @default 1_000 */
  readonly maxListed?: number;
  /** Users gone whose `lastSeen` is known, and absences, by user and place, that may wait for their end. @default 100_000 */
  readonly maxRemembered?: number;
}

export interface PresenceApi {
  /** Whether a user is on this node, or was until a moment ago. */
  isOnline(userId: string): boolean;
  /** The ids of the users in a place, or on the server, each once. */
  online(place?: Place): readonly string[];
  /** When a user was last connected, in milliseconds since the epoch: now, if he is. `undefined`: it is not known. */
  lastSeen(userId: string): number | undefined;
}
declare module '../src/index.ts' {
  interface PluginApis { presence: PresenceApi }
  interface Hooks {
    /** A user is there of whom no connection was. */
    'presence:online': (event: { readonly userId: string }) => void;
    /** A user is gone, and has not come back in time. `lastSeen` is in milliseconds since the epoch. */
    'presence:offline': (event: { readonly userId: string; readonly lastSeen: number }) => void;
  }
}

const RULES = {
  grace: rules.integer(0, 3_600_000),
  audience: rules.oneOf('rooms', 'everyone', 'nobody'),
  interval: rules.integer(10, 60_000),
  typingTimeout: rules.integer(100, 600_000),
  typingInterval: rules.integer(0, 600_000),
  profile: rules.callback,
  canList: rules.callback,
  maxListed: rules.integer(1, 1_000_000),
  maxRemembered: rules.integer(1, 10_000_000),
};

/** Users that one `user-online` or `user-offline` names. It goes to all in a place; who wants them all asks for the list. */
const MOST_TOLD = 100;

/**
 * Who is there, on the server, in a room, in a namespace: each user once, however many connections he has, and over a short
 * absence. And who types: told to the other members of the room, and over by itself.
 *
 * @example manager.use('rooms').use(presence({ grace: 30_000, audience: 'everyone' }))
 */
export function presence(options: PresenceOptions = {}): Plugin<'presence', 'rooms', PresenceApi> {
  const {
    grace = 10_000, audience = 'rooms', interval = 1_000, typingTimeout = 6_000, typingInterval = 3_000,
    profile = nameOf, canList, maxListed = 1_000, maxRemembered = 100_000,
  } = check(options, RULES, 'presence');

  return definePlugin({
    name: 'presence',
    requires: ['rooms'],
    setup(context, { rooms }): PresenceApi {
      const { node } = context;
      /** One whose profile fails is there all the same. */
      const describe = (user: User): Readonly<Record<string, unknown>> => {
        try {
          return profile(user);
        } catch (error) {
          context.emit('error', toError(error), { phase: 'plugin', plugin: context.name });
          return {};
        }
      };
      const people = new People((user) => context.escape(describe(user)), maxRemembered);
      const absences = new Absences(grace, maxRemembered);
      const announcements = new Announcements(MOST_TOLD, (topic, type, changes) => {
        const roomId = roomIn(topic);
        // On this node only: its people are all that it knows of, and all that it lists.
        node.deliver(topic, { type: context.named(type), content: { ...(roomId !== undefined && { roomId }), ...changes } });
      });
      const typing = new Typing({
        timeout: typingTimeout,
        interval: typingInterval,
        tell(roomId, userId, isTyping) {
          if (!rooms.get(roomId)) return;
          // A guest stands for himself, under his connection's id.
          const except = [userId, ...[...people.connectionsOf(userId)].map(({ id }) => id)];
          rooms.publish(roomId, { type: context.named('user-typing'), content: { roomId, ...people.shown(userId), isTyping } }, { except, urgent: true });
        },
      });

      const announce = (topic: string, userId: string, isOnline: boolean): void => {
        const isHeard = audience === 'everyone' ? topic === EVERYONE : audience === 'rooms' && roomIn(topic) !== undefined;
        if (isHeard) announcements.note(topic, people.shown(userId), isOnline);
      };
      /** A user is in a place. `false`: he was until a moment ago, and nobody has missed him. */
      const came = (topic: string, userId: string): boolean => {
        const isNew = !absences.end(topic, userId);
        if (isNew) announce(topic, userId, true);
        return isNew;
      };
      const gone = (topic: string, userId: string): void => {
        announce(topic, userId, false);
        if (topic === EVERYONE) context.emit('presence:offline', { userId, lastSeen: people.forget(userId) });
      };
      /** A user is in a place no more. @param isCut whether his connection broke; else he left, and is gone at once */
      const went = (topic: string, userId: string, isCut: boolean): void => {
        if (isCut && grace > 0) return absences.begin(topic, userId);
        // Another connection of his may have been cut off from it before.
        absences.end(topic, userId);
        gone(topic, userId);
      };

      const arrive = (connection: Connection): void => {
        const { user } = connection;
        if (user && people.add(connection, user) && came(EVERYONE, user.id)) context.emit('presence:online', { userId: user.id });
      };

      context.on('connection:identified', arrive);
      context.on('connection:removed', (connection) => {
        typing.left(connection);
        const userId = people.remove(connection);
        if (userId !== undefined) went(EVERYONE, userId, true);
      });
      context.on('room:joined', ({ room, userId, connection }) => {
        // Who says who he is in the middle of his rooms joins them before he is known here.
        if (connection) arrive(connection);
        if (people.has(userId)) came(room.topic, userId);
      });
      context.on('room:left', ({ room, userId, connection }) => {
        typing.stop(room.id, userId);
        // Without a connection he was put out.
        if (people.has(userId)) went(room.topic, userId, connection !== undefined && !connection.isOpen);
      });
      context.on('room:message', ({ room, userId }) => { if (userId !== undefined) typing.stop(room.id, userId); });
      context.on('room:deleted', ({ room }) => {
        typing.forget(room.id);
        absences.forget(room.topic);
        announcements.forget(room.topic);
      });
      // Where there are namespaces.
      context.on('namespace:joined', ({ namespace, connection: { user } }) => { if (user) came(topicOf({ namespace }), user.id); });
      context.on('namespace:left', ({ namespace, connection: { user, isOpen } }) => { if (user) went(topicOf({ namespace }), user.id, !isOpen); });

      context.every(interval, () => {
        for (const { place, userId } of absences.over()) gone(place, userId);
        typing.sweep();
        announcements.flush();
      });

      /** The users in a place, each once, and how many connections of nobody are in it. */
      const rollOf = (place: Place): { readonly users: { readonly size: number; keys(): Iterable<string> }; readonly guests: number } => {
        const topic = topicOf(place);
        if (topic === EVERYONE) return { users: people, guests: node.connections.size - people.connections };
        const connections = [...node.subscribers(topic)];
        const users = new Set([...connections.flatMap(({ user }) => user?.id ?? []), ...absences.of(topic)]);
        return { users, guests: connections.filter(({ user }) => !user).length };
      };

      context.registerHandler('get-online-users', async (message, connection) => {
        const place = placeIn(message);
        const topic = topicOf(place);
        const mayList = canList ? await canList(connection, place) : topic === EVERYONE || node.subscribers(topic).has(connection);
        if (!mayList) throw new ModuleError('FORBIDDEN');
        const { room: roomId, namespace } = place;
        const { users, guests } = rollOf(place);
        const listed = first(maxListed, users.keys()).map((userId) => people.shown(userId));
        return { type: context.named('online-users'), content: { roomId, namespace, users: listed, total: users.size, guests } };
      }, { yields: true, raw: true });
      context.registerHandler('typing', (message, connection) => {
        const { roomId, isTyping } = typingIn(message);
        const room = rooms.get(roomId);
        if (!room || !node.subscribers(room.topic).has(connection)) throw new ModuleError('NOT_IN_ROOM', {}, { message: 'you are not in this room' });
        const userId = connection.user?.id ?? connection.id;
        if (!isTyping) return typing.stop(roomId, userId);
        // Who may not speak need not say that he is about to.
        if (!rooms.can(roomId, userId, 'canSendMessage') || room.mutedUntil(userId)) throw new ModuleError('FORBIDDEN');
        typing.start(connection, roomId, userId);
      }, { yields: true, raw: true });

      context.metrics(() => ({
        presence_users: { type: 'gauge', help: 'Users who are there, or were until a moment ago.', value: people.size },
        presence_guests: { type: 'gauge', help: 'Connections of which it is not known whose they are.', value: node.connections.size - people.connections },
        presence_absences: { type: 'gauge', help: 'Users, by place, who are absent for a moment.', value: absences.size },
        presence_typing: { type: 'gauge', help: 'Members, by room, who type, or did so a moment ago.', value: typing.size },
      }));
      // Who is there already is no news.
      for (const connection of node.connections.values()) if (connection.user) people.add(connection, connection.user);
      return {
        isOnline: (userId) => people.has(userId),
        online: (place = {}) => [...rollOf(place).users.keys()],
        lastSeen: (userId) => people.lastSeen(userId),
      };
    },
  });
}

const nameOf = ({ username }: User): Readonly<Record<string, unknown>> => (typeof username === 'string' ? { username } : {});

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
