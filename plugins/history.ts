import { AsyncLocalStorage } from 'node:async_hooks';
import {
  definePlugin, isRecord, MemoryJournal, ModuleError, newId,
  type AppendedEntry, type Outgoing, type Plugin, type Position,
} from '../src/index.ts';
import { CatchUp, type CatchUpHost } from './history/catch-up.ts';
import { Handles } from './history/handles.ts';
import type { HistoryApi } from './history/history-api.ts';
import './history/history-errors.ts';
import { HistoryHandlers } from './history/history-handlers.ts';
import { HistoryRules, resolveOptions, type HistoryOptions, type Kept } from './history/history-options.ts';
import { assertHistory, HistoryReader } from './history/history-reader.ts';
import {
  decodeStored, encodeStored, withPosition, type FeedEntry, type StoredMessage,
} from './history/stored-message.ts';
import { isWhole, TopicFeeds } from './history/topic-feeds.ts';
import type { FeedHost } from './history/topic-feed.ts';
import type { Room } from './rooms.ts';

export type { ByteBudget, CatchUp, MissedReason, TopicState } from './history/catch-up.ts';
export type * from './history/history-api.ts';
export type { HistoryOptions, KeptHistory, ReadAttempt } from './history/history-options.ts';

declare module '../src/index.ts' {
  interface PluginApis { history: HistoryApi }
  interface Hooks {
    /** The subscribers of this node did not get all messages between two positions, because the journal lost them. */
    'history:lost': (event: { readonly topic: string; readonly from: Position; readonly to: Position }) => unknown;
  }
}

/**
 * Keeps the last messages of topics and rooms, and delivers them in one order on all nodes.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN
 * @example manager.use(history({ topics: { 'news:*': { size: 100 } }, canRead: () => true }))
 */
export function history(options: HistoryOptions = {}): Plugin<'history', never, HistoryApi> {
  const settings = resolveOptions(options);

  return definePlugin({
    name: 'history',
    events: ['history:lost'],
    setup(context): HistoryApi {
      const { node } = context;
      const shared = settings.journal ?? context.journal;
      if (!shared && !node.isAlone) throw new ModuleError('HISTORY_UNSHARED');
      const journal = shared ?? new MemoryJournal();
      // Without a store, nodes do not share rooms: each node creates its own room with the same id.
      const areRoomsShared = node.isAlone || context.store !== undefined;
      const handles = new Handles();
      const historyRules = new HistoryRules(settings);
      /** Messages that this node is appending, by id. They need not be decoded when they come back from the journal. */
      const inFlight = new Map<string, StoredMessage>();
      const counts = { appended: 0, lost: 0 };
      /** Created at the first use, because an AsyncLocalStorage makes every promise of the process a little slower. */
      let keys: AsyncLocalStorage<DerivedKeys> | undefined;

      const decode: FeedHost['decode'] = (topic, { epoch, offset, id, value }) => {
        const stored = inFlight.get(id) ?? decodeStored(value);
        if (stored) {
          const isOther = stored.room !== undefined && stored.room !== historyRules.stampOf(topic);
          return isOther ? undefined : { ...stored, epoch, offset, id, size: Buffer.byteLength(value) };
        }
        context.log.warn('an entry of the journal is not a message', { topic, offset });
        return undefined;
      };
      const host: FeedHost = {
        journal,
        decode,
        whenSubscribed: (topic) => node.whenSubscribed(topic),
        deliver(topic, entry, held) {
          for (const handle of entry.except ?? []) held.push(handles.connectionWith(handle));
          node.deliverPrepared(topic, withPosition(topic, entry), held.length > 0 ? { except: held } : {});
        },
        lost(topic, from, to, held) {
          counts.lost++;
          const reason = from.epoch === to.epoch ? 'too-old' : 'epoch';
          const content = { topic, ...to, recovered: false, reason };
          const notice = node.prepare(topic, { type: context.named('messages-missed'), content });
          node.deliverPrepared(topic, notice, { except: held });
          context.emit('history:lost', { topic, from, to });
        },
        after: (milliseconds, work) => context.after(milliseconds, work),
        report: (error) => context.report(error),
      };
      const feeds = new TopicFeeds(context, historyRules, host, shared !== undefined);
      const reader = new HistoryReader(journal, decode, settings.maxBytes);
      const catchingUp: CatchUpHost = {
        journal, settings, handles, decode,
        release: (topic) => feeds.release(topic),
        deliver(topic, entry: FeedEntry, to) {
          if (node.subscribers(topic).has(to)) node.deliverPrepared(topic, withPosition(topic, entry), { to });
        },
      };
      // For journals without watch(): nodes send each other the entries that they have appended.
      const appended = context.channel('appended', (sent: unknown) => {
        if (!isRecord(sent) || typeof sent.topic !== 'string' || !isEntry(sent.entry)) return;
        feeds.receive(sent.topic, sent.entry);
      });

      const append = async (
        topic: string, given: Outgoing, kept: Kept, { except, idempotencyKey = nextKey(keys?.getStore()) }: AppendGiven,
      ) => {
        const message = node.prepare(topic, given);
        const id = message.id!;
        const excluded = except === undefined ? undefined : [except].flat().map((one) => handles.of(one));
        const room = areRoomsShared ? historyRules.stampOf(topic) : undefined;
        const stored = { message, except: excluded, room };
        const value = encodeStored(stored);
        const feed = feeds.get(topic);
        // The topic has just got its first subscriber, who must get this message: the feed has to begin before it.
        if (feed?.isOpening) await feed.open().catch(() => undefined);
        const seen = feed?.position;
        inFlight.set(id, stored);
        try {
          const appending = { ...kept, idempotencyKey, seen: seen && isWhole(seen) ? seen : undefined };
          const answer = await journal.append(topic, { id, value }, appending);
          if (answer.duplicate) return answer;
          counts.appended++;
          const entry = { epoch: answer.epoch, offset: answer.offset, id, value };
          feeds.receive(topic, entry);
          if (!journal.watch) appended.tell({ topic, entry });
          return answer;
        } finally {
          inFlight.delete(id);
        }
      };
      const keptOf = (topic: string): Kept => {
        const kept = historyRules.of(topic);
        assertHistory(topic, kept !== undefined);
        return kept!;
      };

      const api: HistoryApi = {
        handles,
        append: async (topic, message, more = {}) => append(topic, message, keptOf(topic), more),
        async history(topic, range = {}) {
          keptOf(topic);
          return reader.read(topic, range);
        },
        async position(topic) {
          keptOf(topic);
          return (await journal.positions([topic]))[0]!;
        },
        async redact(topic, { epoch, offset, id }) {
          const kept = keptOf(topic);
          const notice = { type: context.named('message-redacted'), content: { topic, epoch, offset, messageId: id } };
          const message = node.prepare(topic, { ...notice, id });
          const tombstone = { message, room: areRoomsShared ? historyRules.stampOf(topic) : undefined };
          if (!(await journal.redact(topic, { epoch, offset, id }, encodeStored(tombstone)))) return false;
          await append(topic, { ...notice, id: newId() }, kept, { idempotencyKey: `redacted ${epoch} ${offset}` });
          return true;
        },
        drop: (topic) => journal.drop(topic),
        withKey: (key, work) => (keys ??= new AsyncLocalStorage()).run({ key, used: 0 }, work),
        has: (topic) => historyRules.of(topic) !== undefined,
        subscriptions: (connection) => handlers.subscriptions(connection),
        subscribe: (connection, topic) => handlers.subscribe(connection, topic),
        catchUp(topic, connection) {
          keptOf(topic);
          return new CatchUp(feeds.ensure(topic), connection, catchingUp);
        },
      };
      const delivered = async (topic: string): Promise<Position> => {
        const feed = feeds.ensure(topic);
        await feed.open();
        return feed.position!;
      };
      const handlers = new HistoryHandlers(context, { api, delivered, rules: historyRules, settings });

      if (journal.watch) context.onUnload(journal.watch((topic, entry) => feeds.receive(topic, entry)));
      context.publishWith((topic, message, { except }) => {
        const kept = historyRules.ofTopic(topic);
        if (!kept) return false;
        append(topic, message, kept, { except }).catch((error: unknown) => context.report(error, { phase: 'send' }));
        return true;
      });
      let undoRecorder: (() => void) | undefined;
      context.on('rooms:loaded', (rooms) => {
        historyRules.rooms = rooms;
        undoRecorder?.();
        undoRecorder = rooms.recordWith((room, message, { except }) => {
          const kept = historyRules.ofRoom(room);
          return kept && append(room.topic, message, kept, { except });
        });
      });
      context.emit('rooms:wanted');
      /** Deletes the history of a deleted room. */
      const forget = async (room: Room): Promise<void> => {
        const { entries: [last] } = await journal.read(room.topic, { limit: 1, reverse: true });
        const stamp = last && decodeStored(last.value)?.room;
        // A new room with the same id may exist already, on another node. Its messages stay.
        if (stamp === undefined || stamp === Number(room.createdAt)) await journal.drop(room.topic);
      };
      context.on('room:deleted', ({ room }) => {
        if (historyRules.ofRoom(room)) forget(room).catch((error: unknown) => context.report(error));
      });
      if (!shared) context.on('node:joined', () => context.report(new ModuleError('HISTORY_UNSHARED')));
      context.on('connection:removed', (connection) => handles.forget(connection));
      context.onUnload(() => undoRecorder?.());
      context.metrics(() => ({
        history_topics: { type: 'gauge', help: 'Number of topics with a history and subscribers.', value: feeds.size },
        history_messages_total: { type: 'counter', help: 'Number of messages that were kept.', value: counts.appended },
        history_losses_total: {
          type: 'counter', help: 'Number of times that subscribers missed messages.', value: counts.lost,
        },
      }));
      return api;
    },
  });
}

interface AppendGiven {
  readonly except?: string | readonly string[] | undefined;
  readonly idempotencyKey?: string | undefined;
}

/** The idempotency keys of the work that withKey() runs: `key 1`, `key 2`, and so on. */
interface DerivedKeys { readonly key: string; used: number }

const nextKey = (keys: DerivedKeys | undefined): string | undefined => keys && `${keys.key} ${++keys.used}`;

/** Whether a value that another node sent is an entry with its epoch. */
function isEntry(given: unknown): given is AppendedEntry {
  if (!isRecord(given)) return false;
  const { epoch, offset, id, value } = given;
  return Number.isSafeInteger(offset) && [epoch, id, value].every((text) => typeof text === 'string');
}

history.history = history;
export { history as default, history as 'module.exports' };
