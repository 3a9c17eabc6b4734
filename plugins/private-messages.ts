import {
  check, definePlugin, isRecord, MAX_TTL, ModuleError, newId, publicProfile, rules, timestamp, UndoList, userTopic,
  type Connection, type Outgoing, type Plugin, type User,
} from '../src/index.ts';
import { contentIn, isTypingIn, messageIdIn, recipientIn } from './private-messages/contents.ts';
import { Inbox, type InboxOptions } from './private-messages/inbox.ts';
import './private-messages/private-message-errors.ts';
import { PrivateTyping } from './private-messages/private-typing.ts';
import { Receipts, type Stage } from './private-messages/receipts.ts';

export type { InboxOptions } from './private-messages/inbox.ts';

export interface PrivateMessagesOptions {
  /**
   * Maximum characters of the content. An emoji counts as one. For an object, its JSON counts.
   * @default 4_000
   */
  readonly maxLength?: number | undefined;
  /** Whether users may send messages to themselves, that is to their other connections. @default false */
  readonly allowSelf?: boolean | undefined;
  /**
   * Whether a user may send this content to another user. `false` rejects with FORBIDDEN. It is called first, so that a
   * blocked sender cannot learn whether the recipient is online. For typing notices, the content is `undefined`.
   * @default always
   */
  readonly canSend?: ((from: User, to: string, content: unknown) => boolean | Promise<boolean>) | undefined;
  /** Stores a message to an offline user, or throws to reject it. @default rejects with USER_OFFLINE */
  readonly offline?: ((message: PrivateMessage) => unknown) | undefined;
  /**
   * Keeps messages to offline users in the store of the adapter, and sends them when the user comes back to any node.
   * `true`: with the default limits. Cannot be combined with `offline`.
   * @default false
   */
  readonly inbox?: InboxOptions | boolean | undefined;
  /**
   * Whether a user without a connection on this node has one on another node.
   * @default asks the other nodes
   */
  readonly isElsewhere?: ((userId: string) => boolean | Promise<boolean>) | undefined;
  /** Maximum number of messages on this node that await receipts. With 0, there are no receipts. @default 50_000 */
  readonly maxReceipts?: number | undefined;
  /** Maximum number of messages of one sender that await receipts. @default 500 */
  readonly maxReceiptsPerUser?: number | undefined;
  /** Milliseconds for which a message awaits receipts. @default 86_400_000 */
  readonly receiptTimeout?: number | undefined;
  /** Milliseconds after which typing ends unless the client repeats it. @default 6_000 */
  readonly typingTimeout?: number | undefined;
  /** Minimum milliseconds between two notices that a user is typing. @default 3_000 */
  readonly typingInterval?: number | undefined;
}

/** A message as the recipient gets it, and as the option `offline` should store it. */
export interface PrivateMessage extends Outgoing {
  readonly id: string;
  readonly timestamp: string;
  readonly content: { readonly from: string; readonly to: string; readonly content: unknown };
}

/** A message before it is sent. */
export interface PrivateAttempt {
  readonly from: User;
  readonly to: string;
  readonly content: unknown;
  readonly connection: Connection;
}
/** Returns the new content, or `undefined` to keep it. Throws to reject the message. */
export type PrivateMessageFilter = (attempt: PrivateAttempt) => unknown;

/**
 * What happened to a message. `sent`: it was queued for `delivered` connections of the recipient on this node.
 * `forwarded`: it was published to the other nodes, where the recipient may be connected. `stored`: the recipient is
 * offline, and `offline` or the inbox has kept the message.
 */
export interface SendResult {
  readonly messageId: string;
  readonly delivered: number;
  readonly status: 'sent' | 'forwarded' | 'stored';
}

export interface PrivateMessagesApi {
  /**
   * Sends in the name of a user or of the application, without `canSend`, filters and `maxLength`.
   * @throws USER_OFFLINE, INBOX_LIMIT, STORE_UNAVAILABLE, and what `offline` throws
   */
  send(from: string, to: string, content: unknown): Promise<SendResult>;
  /** Adds a filter for messages of clients, after the existing filters. Returns its undo. */
  filter(step: PrivateMessageFilter): () => void;
}
declare module '../src/index.ts' {
  interface PluginApis { 'private-messages': PrivateMessagesApi }
  interface Hooks {
    /** A private message was sent, forwarded or stored. */
    'private-message:sent': (event: SendResult & { readonly message: PrivateMessage }) => void;
    /** The recipient confirmed a message. Repeated confirmations emit nothing. */
    'private-message:receipt': (event: {
      readonly messageId: string; readonly from: string; readonly to: string; readonly status: Stage;
    }) => void;
    /** Emitted when `private-messages` is loaded, and in response to `private-messages:wanted`. */
    'private-messages:loaded': (api: PrivateMessagesApi) => void;
    /** Emitted by a plugin that does not require `private-messages`, but uses its API if it is loaded. */
    'private-messages:wanted': () => void;
  }
}

const isInbox = (value: unknown): boolean => typeof value === 'boolean' || isRecord(value);
const COUNT = rules.integer(1, 2 ** 31 - 1);
const INBOX_RULES = { maxPerUser: COUNT, maxInAll: COUNT, ttl: rules.integer(1, MAX_TTL) };
const RULES = {
  maxLength: rules.integer(1, 2 ** 31 - 1),
  allowSelf: rules.boolean,
  canSend: rules.callback,
  offline: rules.callback,
  inbox: rules.rule('true, false, or the limits of the inbox; not beside "offline"', isInbox),
  isElsewhere: rules.callback,
  maxReceipts: rules.integer(0, 10_000_000),
  maxReceiptsPerUser: rules.integer(1, 10_000_000),
  receiptTimeout: rules.duration,
  typingTimeout: rules.duration,
  typingInterval: rules.duration,
};

/** Milliseconds between two checks for typing that has expired. */
const SWEEP_INTERVAL = 1_000;

/**
 * Sends messages from one user to another, on all connections of both. The reply to `private-message` is
 * `message-sent`. The recipient confirms with `message-delivered` and `message-read`, which are forwarded to the
 * sender. A message to an offline user is rejected with USER_OFFLINE, unless `offline` or the inbox keeps it.
 *
 * @example
 * manager.use(privateMessages({ canSend: (from, to) => !isBlocked(from.id, to), offline: (letter) => store(letter) }))
 */
export function privateMessages(
  options: PrivateMessagesOptions = {},
): Plugin<'private-messages', never, PrivateMessagesApi> {
  const given = check(options, RULES, 'privateMessages');
  const limits = isRecord(given.inbox) ? check<InboxOptions>(given.inbox, INBOX_RULES, 'privateMessages.inbox') : {};
  if (given.inbox && given.offline) check({ inbox: 'beside "offline"' }, { inbox: RULES.inbox }, 'privateMessages');
  const { maxLength = 4_000, allowSelf = false, canSend, offline, isElsewhere } = given;
  const { maxReceipts = 50_000, maxReceiptsPerUser = 500, receiptTimeout = 86_400_000 } = given;
  const { typingTimeout = 6_000, typingInterval = 3_000 } = given;

  return definePlugin({
    name: 'private-messages',
    events: [
      'private-message:sent', 'private-message:receipt', 'private-messages:loaded', 'private-messages:wanted',
    ],
    setup(context): PrivateMessagesApi {
      const { node } = context;
      const type = context.named('private-message');
      const filters = new UndoList<PrivateMessageFilter>();
      const counts = { sent: 0, forwarded: 0, stored: 0, offline: 0, delivered: 0, read: 0 };

      const receipts = maxReceipts === 0 ? undefined : new Receipts(maxReceipts, maxReceiptsPerUser, receiptTimeout);
      if (given.inbox && !context.store) throw new ModuleError('INBOX_UNSHARED');
      const inbox = !given.inbox || !context.store ? undefined : new Inbox(context, context.store, limits, {
        isConfirmed: receipts !== undefined,
        send(message, connection) {
          if (isPrivate(message)) receipts?.expect(message.id, message.content.from, message.content.to);
          connection.send(message);
        },
      });

      const isOnline = (userId: string, except?: Connection): boolean =>
        [...node.subscribers(userTopic(userId))].some((one) => one !== except && one.isOpen && !one.isHeld);
      const online = context.channel<{ readonly userId?: unknown }, boolean>('online', ({ userId }) =>
        typeof userId === 'string' && isOnline(userId));
      /** Whether a user is connected to another node. `undefined` if it is unknown, because a node did not answer. */
      const askNodes = async (userId: string): Promise<boolean | undefined> => {
        const { answers, failed, missing } = await online.ask({ userId });
        if (answers.some(({ answer }) => answer)) return true;
        return failed.length + missing.length > 0 ? undefined : false;
      };

      /** Handles a message to a user without a connection on this node. @throws USER_OFFLINE */
      const forwardOrStore = async (message: PrivateMessage, to: string): Promise<'forwarded' | 'stored'> => {
        const isThere = isElsewhere ? await isElsewhere(to) : await askNodes(to);
        if (isThere) return 'forwarded';
        if (inbox) await inbox.keep(to, message.id, message);
        else if (offline) await offline(message);
        if (inbox || offline) return 'stored';
        if (isThere === undefined) return 'forwarded';
        counts.offline++;
        throw new ModuleError('USER_OFFLINE', { to });
      };

      const post = async (from: string, to: string, content: unknown, by?: Connection): Promise<SendResult> => {
        const message: PrivateMessage = { type, id: newId(), timestamp: timestamp(), content: { from, to, content } };
        const topic = userTopic(to);
        const except = by ? { except: by.id } : {};
        const isHere = isOnline(to, by);
        let delivered = isHere ? node.publish(topic, message, except) : 0;
        let status: SendResult['status'] = 'sent';
        if (delivered === 0) {
          status = await forwardOrStore(message, to);
          // Published only now, because `offline` may have rejected the message. If the recipient connected during the
          // await, it may have read the store too early. To arrive twice is better than to be lost.
          if (!isHere) delivered = node.publish(topic, message, except);
        }
        if (from !== to) node.publish(userTopic(from), message, except);
        const result: SendResult = { messageId: message.id, delivered, status };
        counts[status]++;
        context.emit('private-message:sent', { ...result, message });
        return result;
      };

      const assertAllowed = async (from: User, to: string, content: unknown): Promise<void> => {
        if (canSend && !(await canSend(from, to, content))) throw new ModuleError('FORBIDDEN', {});
      };

      const typing = new PrivateTyping({
        timeout: typingTimeout,
        interval: typingInterval,
        tell(from, to, isTyping, { id, user }) {
          const content = { from, to, ...context.escape(publicProfile(user)), isTyping };
          node.publish(userTopic(to), { type: context.named('private-typing'), content }, { except: id });
        },
      });

      context.registerHandler('private-message', async (message, connection) => {
        const from = userOf(connection);
        const to = recipientIn(message, from.id, allowSelf);
        let content = contentIn(message, maxLength);
        await assertAllowed(from, to, content);
        for (const step of filters) content = (await step({ from, to, content, connection })) ?? content;
        const result = await post(from.id, to, context.escape(content), connection);
        typing.stop(from.id, to);
        return { type: context.named('message-sent'), content: result };
      }, { yields: true, raw: true });

      context.registerHandler('private-typing', async (message, connection) => {
        const from = userOf(connection);
        const to = recipientIn(message, from.id, allowSelf);
        if (!isTypingIn(message)) return typing.stop(from.id, to);
        await assertAllowed(from, to, undefined);
        // State may have changed during the await; check it again.
        if (connection.isOpen) typing.start(connection, from.id, to);
      }, { yields: true, raw: true });
      context.on('connection:removed', (connection) => typing.left(connection));
      context.every(SWEEP_INTERVAL, () => typing.sweep());

      const confirmed = context.channel<Confirmation, boolean>('confirm', (given) =>
        receipts !== undefined && isConfirmation(given) && confirmHere(receipts, given));
      /** Forwards a receipt, if a message on this node awaits it. Returns whether one does. */
      const confirmHere = (table: Receipts, { messageId, userId, status, except }: Confirmation): boolean => {
        if (!table.awaits(messageId, userId)) return false;
        const from = table.confirm(messageId, userId, status);
        if (from === undefined) return true;
        counts[status]++;
        const receipt: Outgoing = { type: context.named(`message-${status}`), content: { messageId, by: userId } };
        node.publish(userTopic(from), receipt);
        // The user's other devices should no longer show the message as unread.
        if (status === 'read') node.publish(userTopic(userId), receipt, { except });
        context.emit('private-message:receipt', { messageId, from, to: userId, status });
        return true;
      };
      /** @throws MESSAGE_UNKNOWN, also for messages to others, so that clients cannot test which ids exist */
      const confirm = (table: Receipts, given: Confirmation): void | Promise<void> => {
        const { messageId, userId } = given;
        void inbox?.remove(userId, messageId);
        if (confirmHere(table, given)) return undefined;
        const unknown = new ModuleError('MESSAGE_UNKNOWN', { messageId });
        if (node.peers.length === 0) throw unknown;
        // The user may have been connected to another node when the message was sent.
        return confirmed.ask(given).then(({ answers }) => {
          if (!answers.some(({ answer }) => answer)) throw unknown;
        });
      };

      if (receipts) {
        for (const status of ['delivered', 'read'] as const) {
          context.registerHandler(`message-${status}`, (message, connection) => {
            const { id: userId } = userOf(connection);
            return confirm(receipts, { messageId: messageIdIn(message), userId, status, except: connection.id });
          }, { yields: true, raw: true });
        }
        // Clients send receipts to their own node. So each node remembers the messages that it sent to its own clients.
        context.on('message:sent', ({ message, target }) => {
          if (message.type !== type || !('topic' in target) || !isPrivate(message)) return;
          const { id, content: { from, to } } = message;
          if (from !== to && target.topic === userTopic(to)) receipts.expect(id, from, to);
        });
      }

      context.metrics(() => ({
        private_messages_total: {
          type: 'counter', help: 'Number of private messages, by status.',
          value: labelled(['sent', 'forwarded', 'stored', 'offline'], counts),
        },
        private_message_receipts_total: {
          type: 'counter', help: 'Number of receipts, by status.',
          value: labelled(['delivered', 'read'], counts),
        },
        private_message_receipts_awaited: {
          type: 'gauge', help: 'Number of private messages that await receipts.', value: receipts?.size ?? 0,
        },
        private_message_typing: {
          type: 'gauge', help: 'Number of conversations in which a user is typing.', value: typing.size,
        },
      }));

      const api: PrivateMessagesApi = {
        send: (from, to, content) => post(from, to, content),
        filter: (step) => filters.add(step),
      };
      context.on('private-messages:wanted', () => context.emit('private-messages:loaded', api));
      context.emit('private-messages:loaded', api);
      return api;
    },
  });
}

/** @throws AUTH_REQUIRED */
function userOf({ user }: Connection): User {
  if (!user) throw new ModuleError('AUTH_REQUIRED');
  return user;
}

/** A receipt of a user. `except` is the id of the connection that sent it. */
interface Confirmation {
  readonly messageId: string; readonly userId: string; readonly status: Stage; readonly except: string;
}
const isConfirmation = (given: unknown): given is Confirmation =>
  isRecord(given) && (given.status === 'delivered' || given.status === 'read')
  && [given.messageId, given.userId, given.except].every((value) => typeof value === 'string');

/** Whether a message has the shape of a private message. Those of the application and of other nodes may have any. */
function isPrivate(message: Outgoing): message is PrivateMessage {
  const { id, content } = message;
  if (typeof id !== 'string' || !isRecord(content)) return false;
  return typeof content.from === 'string' && typeof content.to === 'string';
}

function labelled<Status extends string>(statuses: readonly Status[], counts: Readonly<Record<Status, number>>) {
  return statuses.map((status) => ({ labels: { status }, value: counts[status] }));
}

privateMessages.privateMessages = privateMessages;
export { privateMessages as default, privateMessages as 'module.exports' };
