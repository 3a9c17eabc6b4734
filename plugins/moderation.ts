import { check, definePlugin, describe, ModuleError, rules, type Connection, type Plugin, type Rules } from '../src/index.ts';
import { mask } from './moderation/mask.ts';
import { textsIn, withTexts } from './moderation/texts.ts';
import { WordList, type Match, type Matcher, type WordListOptions } from './moderation/word-list.ts';
import type { Room, RoomMessage } from './rooms.ts';

export type { Match, Matcher, WordListOptions } from './moderation/word-list.ts';

/** A function that finds what is not to be said; it may be asynchronous. */
export type MatcherFunction = (text: string) => Iterable<Match> | Promise<Iterable<Match>>;
export type ModerationAction = 'reject' | 'mask' | 'warn';

export interface ModerationOptions extends WordListOptions {
  /** Words and phrases that are not to be said. Case, width, accents and what is not seen make no difference. @default [] */
  readonly bannedWords?: readonly string[];
  /** Finds more of them: a function, or an object with `matches(text)`. @default none */
  readonly matcher?: Matcher | MatcherFunction;
  /** What becomes of a message: refused, sent with signs in place of letters, or sent as it is. @default 'reject' */
  readonly action?: ModerationAction;
  /** The sign in place of a letter. @default '*' */
  readonly mask?: string;
  /** Warnings at which a member is muted, in one room; `false` for no warnings. @default 3 */
  readonly maxWarnings?: number | false;
  /** Whether a member is muted then, and with each further warning; what he said is refused, whatever the action. @default true */
  readonly autoMute?: boolean;
  /** Milliseconds for which he is. @default 3_600_000 */
  readonly muteDuration?: number;
  /** Whether rooms are moderated that do not say. @default true */
  readonly enabled?: boolean;
}

export interface ModerationApi {
  /** What is found in a text, by the rules of a room if one is named. @throws ROOM_UNKNOWN */
  matches(text: string, roomId?: string): Promise<Match[]>;
  /** The text with signs in place of what is found. @throws ROOM_UNKNOWN */
  mask(text: string, roomId?: string): Promise<string>;
}

/** That somebody said what is not to be said. */
export interface ModerationEvent {
  readonly room: Room;
  readonly userId: string;
  readonly connection?: Connection;
  readonly action: ModerationAction;
  /** What was found, as it is in the list. */
  readonly words: readonly string[];
  /** The member's warnings in this room with this one; 0 where none are given. */
  readonly warnings: number;
  readonly muted: boolean;
}
declare module '../src/index.ts' {
  interface PluginApis { moderation: ModerationApi }
  interface Hooks { 'room:moderated': (event: ModerationEvent) => void }
}

const MOST_CHARACTERS = 128;
const { boolean, callback, duration, either, integer, list, methods, oneOf, rule } = rules;
const RULES: Rules<ModerationOptions> = {
  bannedWords: list(`words of up to ${MOST_CHARACTERS} characters`, (word) => word.length <= MOST_CHARACTERS),
  matcher: either(callback, methods('a matcher', 'matches')),
  action: oneOf('reject', 'mask', 'warn'),
  mask: rule('a text of 1 to 8 characters', (value) => typeof value === 'string' && value.length > 0 && value.length <= 8),
  maxWarnings: either(integer(1, 1_000), rule('false', (value) => value === false)),
  autoMute: boolean,
  muteDuration: duration,
  enabled: boolean,
  lookAlikes: boolean,
  leet: boolean,
};

/**
 * Keeps words out of rooms, whatever they are written in: a message that has some is refused, masked, or sent with a warning; who is
 * warned too often is muted. What a room's own `behavior.moderation` says comes first.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(moderation({ bannedWords: ['spam'], action: 'mask', maxWarnings: 3, muteDuration: 600_000 }))
 */
export function moderation(options: ModerationOptions = {}): Plugin<'moderation', 'rooms', ModerationApi> {
  const given = check(options, RULES, 'moderation');
  const { bannedWords = [], matcher, action = 'reject', mask: sign = '*', muteDuration = 3_600_000, lookAlikes = true, leet = false } = given;
  const find: MatcherFunction | undefined = typeof matcher === 'function' ? matcher : matcher && ((text) => matcher.matches(text));

  return definePlugin({
    name: 'moderation',
    requires: ['rooms'],
    setup(context, { rooms }): ModerationApi {
      const common = new WordList(bannedWords, { lookAlikes, leet });
      /** Lists of rooms that have one, made when somebody first speaks. */
      const own = new WeakMap<readonly string[], WordList>();
      const counts = { reject: 0, mask: 0, warn: 0, muted: 0 };

      const listOf = (room: Room | undefined): WordList => {
        const words = room?.config.behavior.moderation.bannedWords;
        if (!words) return common;
        const known = own.get(words) ?? new WordList(words, { lookAlikes, leet });
        own.set(words, known);
        return known;
      };
      const matchesIn = async (text: string, room: Room | undefined): Promise<Match[]> => {
        const found = listOf(room).matches(text);
        return find ? [...found, ...held(await find(text), text)].sort((a, b) => a.start - b.start) : found;
      };
      const roomOf = (roomId: string | undefined): Room | undefined => {
        const room = roomId === undefined ? undefined : rooms.get(roomId);
        if (roomId !== undefined && !room) throw new ModuleError('ROOM_UNKNOWN', { room: roomId }, { message: `there is no room "${roomId}"` });
        return room;
      };

      /** Counts a warning; the one too many mutes. */
      const warn = async (room: Room, userId: string): Promise<{ warnings: number; muted: boolean }> => {
        const { maxWarnings = given.maxWarnings ?? 3, autoMute = given.autoMute ?? true } = room.config.behavior.moderation;
        if (maxWarnings === false) return { warnings: 0, muted: false };
        const warnings = await unlessFull(rooms.warn(room.id, userId, { reason: 'banned words', maxWarnings })) ?? 0;
        if (!autoMute || warnings < maxWarnings) return { warnings, muted: false };
        const muted = await unlessFull(rooms.mute(room.id, userId, muteDuration, { reason: 'too many warnings' }).then(() => true)) ?? false;
        return { warnings, muted };
      };

      const moderate = async (message: RoomMessage): Promise<unknown> => {
        const { room, connection, content } = message;
        const { enabled = given.enabled ?? true } = room.config.behavior.moderation;
        if (!enabled) return undefined;
        const texts = textsIn(content);
        const found: Match[][] = [];
        for (const text of texts) found.push(await matchesIn(text, room));
        const words = [...new Set(found.flat().map(({ word }) => word))];
        if (words.length === 0) return undefined;
        // While the matcher took its time a nobody may have said who he is.
        const userId = connection?.user?.id ?? message.userId;
        const warned = await warn(room, userId);
        // Who is muted for what he said is not heard with it either.
        const done = warned.muted ? 'reject' : action;
        counts[done]++;
        if (warned.muted) counts.muted++;
        context.emit('room:moderated', { room, userId, ...(connection && { connection }), action: done, words, ...warned });
        if (done === 'reject') throw new ModuleError('CONTENT_REJECTED', { room: room.id, words }, { message: 'this has words that are not allowed here' });
        return done === 'mask' ? withTexts(content, texts.map((text, index) => mask(text, found[index]!, sign))) : undefined;
      };

      context.onUnload(rooms.filter(moderate));
      context.metrics(() => ({
        moderation_messages_total: {
          type: 'counter', help: 'Messages with banned words since start, by what became of them.',
          value: (['reject', 'mask', 'warn'] as const).map((label) => ({ labels: { action: label }, value: counts[label] })),
        },
        moderation_muted_total: { type: 'counter', help: 'Times a member was muted for his warnings since start.', value: counts.muted },
      }));
      return {
        matches: async (text, roomId) => matchesIn(text, roomOf(roomId)),
        mask: async (text, roomId) => mask(text, await matchesIn(text, roomOf(roomId)), sign),
      };
    },
  });
}

/** The outcome, if the room could remember another one: what was said is not let through because it cannot. */
async function unlessFull<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (error instanceof ModuleError && error.code === 'LIST_FULL') return undefined;
    throw error;
  });
}

/** What a matcher of somebody else's found, if it can be: nothing else is to be masked. */
function held(found: Iterable<Match>, { length }: string): Match[] {
  return [...found].map((match) => {
    const { start, end, word } = match;
    const isIn = Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end && end <= length && typeof word === 'string';
    if (isIn) return match;
    throw new ModuleError('OPTION_INVALID', { path: 'moderation.matcher(text)', given: describe(match), expected: 'matches { start, end, word } within the text' });
  });
}

moderation.moderation = moderation;
moderation.WordList = WordList;
export { WordList, moderation as default, moderation as 'module.exports' };
