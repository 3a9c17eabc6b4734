import {
  check, definePlugin, hasCode, lengthUpTo, ModuleError, rules, type Connection, type Plugin, type Rules,
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
  /** Finds further words: a function, or an object with `matches(text)`. @default none */
  readonly matcher?: Matcher | MatcherFunction | undefined;
  /**
   * What happens to a message with such a word: it is rejected, sent with the word masked, or sent unchanged.
   * @default 'reject'
   */
  readonly action?: ModerationAction | undefined;
  /** What replaces each character of a word. @default '*' */
  readonly mask?: string | undefined;
  /** Warnings in one room after which a member is muted; `false` for no warnings. @default 3 */
  readonly maxWarnings?: number | false | undefined;
  /**
   * Whether a member is muted then, and after each further warning. A message that causes a mute is rejected, whatever
   * the action is.
   * @default true
   */
  readonly autoMute?: boolean | undefined;
  /** Duration of a mute in milliseconds. @default 3_600_000 */
  readonly muteDuration?: number | undefined;
  /** Whether rooms without a setting of their own are moderated. @default true */
  readonly enabled?: boolean | undefined;
  /** Whether private messages are moderated, if `private-messages` is loaded. @default true */
  readonly privateMessages?: boolean | undefined;
}

export interface ModerationApi {
  /** Finds banned words in a text, with the settings of a room if one is given. @throws ROOM_UNKNOWN */
  matches(text: string, roomId?: string): Promise<Match[]>;
  /** Returns the text with its banned words masked. @throws ROOM_UNKNOWN */
  mask(text: string, roomId?: string): Promise<string>;
}

interface Moderated {
  readonly connection?: Connection | undefined;
  /** The action that was taken. */
  readonly action: ModerationAction;
  /** The banned words, as they are in the list. */
  readonly words: readonly string[];
}
/** A member sent banned words to a room. */
export interface ModerationEvent extends Moderated {
  readonly room: Room;
  readonly userId: string;
  /** The warnings of the member in this room, including this one. 0: there was no warning. */
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
 * rejected, masked, or sent with a warning; members with too many warnings are muted. The `behavior.moderation` of a
 * room takes precedence.
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
      /** Word lists of rooms, each created at the first message to its room. */
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

      /** Warns a member. The warning that reaches the maximum mutes the member. */
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
        // A message that causes a mute is always rejected.
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
          type: 'counter', help: 'Number of messages with banned words, by the action that was taken.',
          value: ACTIONS.map((label) => ({ labels: { action: label }, value: counts[label] })),
        },
        moderation_muted_total: {
          type: 'counter', help: 'Number of members muted because of their warnings.', value: counts.muted,
        },
      }));
      return {
        matches: async (text, roomId) => scanner.matches(text, listOf(roomOf(roomId))),
        mask: async (text, roomId) => scanner.mask(text, listOf(roomOf(roomId))),
      };
    },
  });
}

/** Returns nothing if a list of the room is full. The message is rejected or masked all the same. */
async function unlessFull<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (hasCode(error, 'LIST_FULL')) return undefined;
    throw error;
  });
}

moderation.moderation = moderation;
moderation.WordList = WordList;
export { WordList, moderation as default, moderation as 'module.exports' };
