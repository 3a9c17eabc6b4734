import {
  check, definePlugin, lengthUpTo, ModuleError, rules, type Connection, type Plugin, type Rules,
} from '../src/index.ts';
import './moderation/moderation-errors.ts';
import { Scanner, type MatcherFunction } from './moderation/scanner.ts';
import { WordList, type Match, type Matcher, type WordListOptions } from './moderation/word-list.ts';
import type { PrivateAttempt, PrivateMessagesApi } from './private-messages.ts';
import type { Room, RoomMessage } from './rooms.ts';

export type { MatcherFunction } from './moderation/scanner.ts';
export type { Match, Matcher, WordListOptions } from './moderation/word-list.ts';

export type ModerationAction = (typeof ACTIONS)[number];

export interface ModerationOptions extends WordListOptions {
  /** Words and phrases to find. Case, width, accents and invisible characters make no difference. @default [] */
  readonly bannedWords?: readonly string[] | undefined;
  /** Finds more of them: a function, or an object with `matches(text)`. @default none */
  readonly matcher?: Matcher | MatcherFunction | undefined;
  /**
   * What happens to a message with such a word: it is refused, sent with signs in place of the word, or sent as it is.
   * @default 'reject'
   */
  readonly action?: ModerationAction | undefined;
  /** The sign in place of a character. @default '*' */
  readonly mask?: string | undefined;
  /** Warnings in one room at which a member is muted; `false` for no warnings. @default 3 */
  readonly maxWarnings?: number | false | undefined;
  /**
   * Whether a member is muted then, and at each further warning. A message that mutes is refused, whatever the action.
   * @default true
   */
  readonly autoMute?: boolean | undefined;
  /** Milliseconds for which a member is muted. @default 3_600_000 */
  readonly muteDuration?: number | undefined;
  /** Whether rooms are moderated that do not say. @default true */
  readonly enabled?: boolean | undefined;
  /** Whether private messages are moderated, where `private-messages` is loaded. @default true */
  readonly privateMessages?: boolean | undefined;
}

export interface ModerationApi {
  /** What is found in a text, by the rules of a room if one is named. @throws ROOM_UNKNOWN */
  matches(text: string, roomId?: string): Promise<Match[]>;
  /** The text with signs in place of what is found. @throws ROOM_UNKNOWN */
  mask(text: string, roomId?: string): Promise<string>;
}

interface Moderated {
  readonly connection?: Connection | undefined;
  /** The action that was taken. */
  readonly action: ModerationAction;
  /** What was found, as it is in the list. */
  readonly words: readonly string[];
}
/** A member sent banned words to a room. */
export interface ModerationEvent extends Moderated {
  readonly room: Room;
  readonly userId: string;
  /** The warnings of the member in this room, with this one; 0 where none are given. */
  readonly warnings: number;
  readonly muted: boolean;
}
/** A user sent banned words to another one. */
export interface PrivateModerationEvent extends Moderated { readonly from: string; readonly to: string }
declare module '../src/index.ts' {
  interface PluginApis { moderation: ModerationApi }
  interface Hooks {
    'room:moderated': (event: ModerationEvent) => void;
    'private-message:moderated': (event: PrivateModerationEvent) => void;
  }
}

const ACTIONS = ['reject', 'mask', 'warn'] as const;
const MAX_WORD = 128;
const { boolean, callback, duration, either, integer, list, methods, oneOf, rule } = rules;
const isSign = (value: unknown): boolean => typeof value === 'string' && value !== '' && lengthUpTo(value, 8) <= 8;
const RULES: Rules<ModerationOptions> = {
  bannedWords: list(`words of up to ${MAX_WORD} characters`, (word) => lengthUpTo(word, MAX_WORD) <= MAX_WORD),
  matcher: either(callback, methods('a matcher', 'matches')),
  action: oneOf(...ACTIONS),
  mask: rule('a text of 1 to 8 characters', isSign),
  maxWarnings: either(integer(1, 1_000), rule('false', (value) => value === false)),
  autoMute: boolean,
  muteDuration: duration,
  enabled: boolean,
  privateMessages: boolean,
  lookAlikes: boolean,
  leet: boolean,
};

/**
 * Finds banned words in messages to rooms and in private messages, in any spelling. A message with such a word is
 * refused, masked, or sent with a warning; members with too many warnings are muted. What a room says in its own
 * `behavior.moderation` takes precedence.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(moderation({ bannedWords: ['spam'], action: 'mask', maxWarnings: 3, muteDuration: 600_000 }))
 */
export function moderation(options: ModerationOptions = {}): Plugin<'moderation', 'rooms', ModerationApi> {
  const given = check(options, RULES, 'moderation');
  const { bannedWords = [], matcher, action = 'reject', muteDuration = 3_600_000 } = given;
  const reading: WordListOptions = { lookAlikes: given.lookAlikes ?? true, leet: given.leet ?? false };
  const common = new WordList(bannedWords, reading, 'moderation.bannedWords');
  const find = typeof matcher === 'function' ? matcher : matcher && ((text: string) => matcher.matches(text));
  const scanner = new Scanner(find, given.mask ?? '*');

  return definePlugin({
    name: 'moderation',
    events: ['room:moderated', 'private-message:moderated'],
    requires: ['rooms'],
    setup(context, { rooms }): ModerationApi {
      /** Lists of rooms, each made when a member first sends a message. */
      const own = new WeakMap<readonly string[], WordList>();
      const counts = { reject: 0, mask: 0, warn: 0, muted: 0 };

      const listOf = (room: Room | undefined): WordList => {
        const words = room?.config.behavior.moderation.bannedWords;
        if (!room || !words) return common;
        const known = own.get(words);
        if (known) return known;
        const findable = words.filter((word) => WordList.canFind(word, reading));
        const lost = words.length - findable.length;
        if (lost > 0) context.log.warn('banned words that cannot be found are ignored', { room: room.id, lost });
        const made = new WordList(findable, reading);
        own.set(words, made);
        return made;
      };
      const roomOf = (roomId: string | undefined): Room | undefined => {
        const room = roomId === undefined ? undefined : rooms.get(roomId);
        if (roomId === undefined || room) return room;
        throw new ModuleError('ROOM_UNKNOWN', { room: roomId }, { message: `there is no room "${roomId}"` });
      };

      /** Counts a warning. The last one that a member may have mutes. */
      const warn = async (room: Room, userId: string): Promise<{ warnings: number; muted: boolean }> => {
        const { moderation: ofRoom } = room.config.behavior;
        const { maxWarnings = given.maxWarnings ?? 3, autoMute = given.autoMute ?? true } = ofRoom;
        if (maxWarnings === false) return { warnings: 0, muted: false };
        const warned = rooms.warn(room.id, userId, { reason: 'banned words', maxWarnings });
        const warnings = await unlessFull(warned) ?? 0;
        if (!autoMute || warnings < maxWarnings) return { warnings, muted: false };
        const muted = rooms.mute(room.id, userId, muteDuration, { reason: 'too many warnings' }).then(() => true);
        return { warnings, muted: await unlessFull(muted) ?? false };
      };

      const moderateRoom = async (message: RoomMessage): Promise<unknown> => {
        const { room, connection, content } = message;
        const { enabled = given.enabled ?? true } = room.config.behavior.moderation;
        if (!enabled) return undefined;
        const found = await scanner.scan(content, listOf(room));
        const { words } = found;
        if (words.length === 0) return undefined;
        // The client may have authenticated during the await.
        const userId = connection?.user?.id ?? message.userId;
        const warned = await warn(room, userId);
        // A message that mutes its sender is not sent, either.
        const taken = warned.muted ? 'reject' : action;
        counts[taken]++;
        if (warned.muted) counts.muted++;
        const by = { userId, ...(connection && { connection }) };
        context.emit('room:moderated', { room, ...by, action: taken, words, ...warned });
        if (taken === 'reject') throw new ModuleError('CONTENT_REJECTED', { room: room.id, words });
        return taken === 'mask' ? found.masked() : undefined;
      };
      context.onUnload(rooms.filter(moderateRoom));

      const moderatePrivate = async ({ from, to, content, connection }: PrivateAttempt): Promise<unknown> => {
        const found = await scanner.scan(content, common);
        const { words } = found;
        if (words.length === 0) return undefined;
        counts[action]++;
        context.emit('private-message:moderated', { from: from.id, to, connection, action, words });
        if (action === 'reject') throw new ModuleError('CONTENT_REJECTED', { to, words });
        return action === 'mask' ? found.masked() : undefined;
      };
      if (given.privateMessages ?? true) {
        const filtered = new WeakSet<PrivateMessagesApi>();
        context.on('private-messages:loaded', (api) => {
          if (filtered.has(api)) return;
          filtered.add(api);
          context.onUnload(api.filter(moderatePrivate));
        });
        context.emit('private-messages:wanted');
      }

      context.metrics(() => ({
        moderation_messages_total: {
          type: 'counter', help: 'Messages with banned words since start, by the action that was taken.',
          value: ACTIONS.map((label) => ({ labels: { action: label }, value: counts[label] })),
        },
        moderation_muted_total: {
          type: 'counter', help: 'Members that were muted for their warnings since start.', value: counts.muted,
        },
      }));
      return {
        matches: async (text, roomId) => scanner.matches(text, listOf(roomOf(roomId))),
        mask: async (text, roomId) => scanner.mask(text, listOf(roomOf(roomId))),
      };
    },
  });
}

/** The outcome, or nothing where the room's list is full: a message with banned words is not sent for that. */
async function unlessFull<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (error instanceof ModuleError && error.code === 'LIST_FULL') return undefined;
    throw error;
  });
}

moderation.moderation = moderation;
moderation.WordList = WordList;
export { WordList, moderation as default, moderation as 'module.exports' };
