import { check, MAX_TTL, rules, type Connection, type Defined, type Journal } from '../../src/index.ts';
import type { Room, RoomsApi } from '../rooms.ts';

export interface ReadAttempt { readonly topic: string; readonly connection: Connection }

export interface HistoryOptions {
  /**
   * The topics with a history. A name that ends with `*` means all topics that begin with the text before it. Rooms are
   * not listed here: `message.historySize` in their configuration is their `size`.
   * @default {}
   */
  readonly topics?: Readonly<Record<string, KeptHistory>> | undefined;
  /** Maximum number of messages of a topic. @default 1_000 */
  readonly size?: number | undefined;
  /** Milliseconds until a message expires, also in rooms. @default 86_400_000 */
  readonly ttl?: number | undefined;
  /** Maximum number of messages in one `message-history`, up to 500. @default 100 */
  readonly maxPage?: number | undefined;
  /** Maximum number of missed messages of one topic that a client gets when it reconnects. @default 300 */
  readonly maxMissed?: number | undefined;
  /** Maximum bytes of a page, and of the missed messages of one topic. @default 262_144 */
  readonly maxBytes?: number | undefined;
  /**
   * Whether a client may read a topic, and subscribe to it with `subscribe`. Not called for topics of rooms, which only
   * members may read. @default a client may read the topics to which the application has subscribed it
   */
  readonly canRead?: ((attempt: ReadAttempt) => boolean | Promise<boolean>) | undefined;
  /** Where the history is kept. @default the journal of the adapter, or a MemoryJournal */
  readonly journal?: Journal | undefined;
}

/** How much of a topic's history is kept. */
export interface KeptHistory {
  /** Maximum number of messages. @default the option `size` */
  readonly size?: number | undefined;
  /** Milliseconds until a message expires. @default the option `ttl` */
  readonly ttl?: number | undefined;
}

/** How much of a topic's history is kept, with the defaults filled in. */
export type Kept = Defined<KeptHistory>;

export type HistorySettings = ReturnType<typeof resolveOptions>;

const ROOM = 'room:';
/** The beginnings of topics that the kernel and other plugins use: not all that is published there is for clients. */
const RESERVED = [ROOM, 'user:', 'ns:', 'io:', 'node:'];
const isReserved = (topic: string): boolean => topic === '*' || RESERVED.some((prefix) => topic.startsWith(prefix));

const isTopicName = (name: string): boolean =>
  name !== '' && !isReserved(name) && !name.slice(0, -1).includes('*');

const { callback, group, integer, methods, rule } = rules;
const OBJECT = group();
const SIZE = integer(1, 100_000);
const TTL = integer(1, MAX_TTL);
const TOPICS = rule(
  `names of topics that do not begin with ${RESERVED.join(' ')}`,
  (topics: object) => OBJECT.test(topics) && Object.keys(topics).every(isTopicName),
  { each: group({ fields: { size: SIZE, ttl: TTL } }) },
);
const RULES = {
  topics: TOPICS,
  size: SIZE,
  ttl: TTL,
  maxPage: integer(1, 500),
  maxMissed: integer(0, 10_000),
  maxBytes: integer(1, 2 ** 30),
  canRead: callback,
  journal: methods('a journal', 'append', 'read', 'positions', 'redact', 'drop'),
};

/** @throws OPTION_INVALID, OPTION_UNKNOWN */
export function resolveOptions(options: HistoryOptions) {
  const given = check<HistoryOptions>(options, RULES, 'history');
  return Object.freeze({
    topics: {}, size: 1_000, ttl: 86_400_000, maxPage: 100, maxMissed: 300, maxBytes: 262_144, ...given,
  });
}

/** Knows which topics have a history, and how much of it is kept. */
export class HistoryRules {
  readonly #settings: HistorySettings;
  readonly #exact = new Map<string, Kept>();
  readonly #beginnings: (readonly [beginning: string, kept: Kept])[] = [];
  /** Set while rooms are loaded. */
  rooms: RoomsApi | undefined;

  constructor(settings: HistorySettings) {
    this.#settings = settings;
    for (const [name, { size = settings.size, ttl = settings.ttl }] of Object.entries(settings.topics)) {
      if (name.endsWith('*')) this.#beginnings.push([name.slice(0, -1), { size, ttl }]);
      else this.#exact.set(name, { size, ttl });
    }
  }

  /** What is kept of a topic; `undefined` for a topic without a history. */
  of(topic: string): Kept | undefined {
    if (!topic.startsWith(ROOM)) return this.ofTopic(topic);
    const room = this.rooms?.get(topic.slice(ROOM.length));
    return room && this.ofRoom(room);
  }

  /** What is kept of a topic that is not the topic of a room. */
  ofTopic(topic: string): Kept | undefined {
    const exact = this.#exact.get(topic);
    if (exact || this.#beginnings.length === 0 || isReserved(topic)) return exact;
    return this.#beginnings.find(([beginning]) => topic.startsWith(beginning))?.[1];
  }

  /**
   * The time when a room was created, which distinguishes it from a later room with the same id. `undefined` for other
   * topics, and for persistent rooms: when the application creates these again after a restart, they are the same room.
   */
  stampOf(topic: string): number | undefined {
    const room = topic.startsWith(ROOM) ? this.rooms?.get(topic.slice(ROOM.length)) : undefined;
    return room && !room.isPersistent ? Number(room.createdAt) : undefined;
  }

  ofRoom({ config: { message: { historySize } } }: Room): Kept | undefined {
    return historySize === 0 ? undefined : { size: historySize, ttl: this.#settings.ttl };
  }
}

export const topicOfRoom = (roomId: string): string => ROOM + roomId;
/** The id of the room of a topic, if it is the topic of a room. */
export const roomOfTopic = (topic: string): string | undefined =>
  (topic.startsWith(ROOM) ? topic.slice(ROOM.length) : undefined);
