import {
  check, definePlugin, isRecord, ModuleError, newId, rules, timestamp, userTopic, type Connection, type Message, type Outgoing, type Plugin, type User,
} from '../src/index.ts';
import { Receipts, type Stage } from './private-messages/receipts.ts';

export interface PrivateMessagesOptions {
  /** Characters that the content of a message may have; of its JSON, where it is no text. @default 4_000 */
  readonly maxLength?: number;
  /** Whether a user may write to himself, which is to say to his other connections. @default false */
  readonly allowSelf?: boolean;
  /** Whether a user may write to another one; `false` is answered FORBIDDEN. Asked before anything can be learned of the other. @default everybody may */
  readonly canSend?: (from: User, to: string) => boolean | Promise<boolean>;
  /** Takes a message to somebody who is not there, to store it; throws to refuse it. @default the sender is told USER_OFFLINE */
  readonly offline?: (message: PrivateMessage) => unknown;
  /** Whether a user, of whom no connection is on this node, is on another one. @default not known where there is an adapter, and else false */
  readonly isElsewhere?: (userId: string) => boolean | Promise<boolean>;
  /** Messages sent to connections of this node that may still be confirmed; with 0 there are no receipts. @default 10_000 */
  readonly maxReceipts?: number;
  /** How many of them may be of one sender. @default 1_000 */
  readonly maxReceiptsPerUser?: number;
  /** Milliseconds for which they may be. @default 86_400_000 */
  readonly receiptTimeout?: number;
}

/** A message as its recipient gets it, and as a store should keep it. */
export interface PrivateMessage extends Outgoing {
  readonly id: string;
  readonly timestamp: string;
  readonly content: { readonly from: string; readonly to: string; readonly content: unknown };
}

/**
 * What became of a message. It was `sent` to connections of the recipient, `delivered` says to how many on this node; or it was
 * `forwarded` to other nodes, one of which may have him; or it was `stored`.
 */
export interface Posted { readonly messageId: string; readonly delivered: number; readonly status: 'sent' | 'forwarded' | 'stored' }

export interface PrivateMessagesApi {
  /** Sends in a user's name, or in the application's. It asks nobody, and holds to no length. @throws USER_OFFLINE, and what `offline` throws */
  send(from: string, to: string, content: unknown): Promise<Posted>;
}
declare module '../src/index.ts' {
  interface PluginApis { 'private-messages': PrivateMessagesApi }
  interface Hooks {
    /** A private message went its way. */
    'private-message:sent': (event: Posted & { readonly message: PrivateMessage }) => void;
    /** Its recipient confirmed one, for the first time in this way. */
    'private-message:receipt': (event: { readonly messageId: string; readonly from: string; readonly to: string; readonly status: Stage }) => void;
  }
}

const RULES = {
  maxLength: rules.integer(1, 2 ** 31 - 1),
  allowSelf: rules.boolean,
  canSend: rules.callback,
  offline: rules.callback,
  isElsewhere: rules.callback,
  maxReceipts: rules.integer(0, 10_000_000),
  maxReceiptsPerUser: rules.integer(1, 10_000_000),
  receiptTimeout: rules.duration,
};

/** Characters that a user's id and a message's id may have: as many as the kernel lets an envelope's own have. */
const LONGEST_ID = 128;

/**
 * Messages from one user to another, on all connections of both: `private-message`, answered `message-sent`, and confirmed by
 * its recipient with `message-delivered` and `message-read`, which the sender is told. Who is not there is not there:
 * `USER_OFFLINE`, unless somebody stores it.
 *
 * @example manager.use(privateMessages({ canSend: (from, to) => !blocked(to, from.id), offline: (message) => inbox.add(message) }))
 */
export function privateMessages(options: PrivateMessagesOptions = {}): Plugin<'private-messages', never, PrivateMessagesApi> {
  const given = check(options, RULES, 'privateMessages');
  const { maxLength = 4_000, allowSelf = false, canSend, offline, isElsewhere } = given;
  const { maxReceipts = 10_000, maxReceiptsPerUser = 1_000, receiptTimeout = 86_400_000 } = given;

  return definePlugin({
    name: 'private-messages',
    setup(context): PrivateMessagesApi {
      const { node } = context;
      const type = context.named('private-message');
      const receipts = new Receipts(maxReceipts, maxReceiptsPerUser, receiptTimeout);
      const counts = { sent: 0, forwarded: 0, stored: 0, offline: 0, delivered: 0, read: 0 };

      /** What is to become of a message that no connection of this node takes. */
      const hand = async (message: PrivateMessage, to: string): Promise<'forwarded' | 'stored'> => {
        const there = isElsewhere ? await isElsewhere(to) : node.isAlone ? false : undefined;
        if (there) return 'forwarded';
        if (offline) {
          await offline(message);
          return 'stored';
        }
        if (there === undefined) return 'forwarded';
        counts.offline++;
        throw new ModuleError('USER_OFFLINE', { to }, { message: 'this user is not there' });
      };

      const post = async (from: string, to: string, content: unknown, by?: Connection): Promise<Posted> => {
        const message: PrivateMessage = { type, id: newId(), timestamp: timestamp(), content: { from, to, content } };
        const topic = userTopic(to);
        const except = by ? { except: by.id } : {};
        const isHere = [...node.subscribers(topic)].some((connection) => connection !== by && connection.isOpen && !connection.isHeld);
        let delivered = isHere ? node.publish(topic, message, except) : 0;
        let status: Posted['status'] = 'sent';
        if (delivered === 0) {
          status = await hand(message, to);
          // Only now, when nobody can refuse it any more. Who came here meanwhile gets it, too: he may have read the store before it
          // was in it, and twice with the same id is better than never.
          if (!isHere) delivered = node.publish(topic, message, except);
        }
        if (from !== to) node.publish(userTopic(from), message, except);
        const posted: Posted = { messageId: message.id, delivered, status };
        counts[status]++;
        context.emit('private-message:sent', { ...posted, message });
        return posted;
      };

      context.registerHandler('private-message', async (message, connection) => {
        const { user } = connection;
        if (!user) throw new ModuleError('AUTH_REQUIRED');
        const { to, content } = letterIn(message, maxLength);
        if (to === user.id && !allowSelf) throw invalid('to', 'must be somebody else');
        if (canSend && !(await canSend(user, to))) throw new ModuleError('FORBIDDEN');
        return { type: context.named('message-sent'), content: await post(user.id, to, content, connection) };
      }, { yields: true });

      const confirm = (status: Stage, message: Message, { id, user }: Connection): void => {
        if (!user) throw new ModuleError('AUTH_REQUIRED');
        const messageId = messageIdIn(message);
        const from = receipts.confirm(messageId, user.id, status);
        if (from === undefined) return;
        counts[status]++;
        const receipt: Outgoing = { type: context.named(`message-${status}`), content: { messageId, by: user.id } };
        node.publish(userTopic(from), receipt);
        // What he read on one device is nothing new on the others.
        if (status === 'read') node.publish(userTopic(user.id), receipt, { except: id });
        context.emit('private-message:receipt', { messageId, from, to: user.id, status });
      };

      if (maxReceipts > 0) {
        context.registerHandler('message-delivered', (message, connection) => confirm('delivered', message, connection), { yields: true });
        context.registerHandler('message-read', (message, connection) => confirm('read', message, connection), { yields: true });
        // Each node learns here what came to its own clients, from wherever it was sent: it is the node that they will confirm it to.
        context.on('message:sent', ({ message, target }) => {
          if (message.type !== type || !('topic' in target) || !isPrivate(message)) return;
          const { id, content: { from, to } } = message;
          if (from !== to && target.topic === userTopic(to)) receipts.expect(id, from, to);
        });
      }

      context.metrics(() => ({
        private_messages_total: {
          type: 'counter', help: 'Private messages since start, by what became of them.',
          value: (['sent', 'forwarded', 'stored', 'offline'] as const).map((status) => ({ labels: { status }, value: counts[status] })),
        },
        private_message_receipts_total: {
          type: 'counter', help: 'Private messages that were confirmed, by how.',
          value: (['delivered', 'read'] as const).map((status) => ({ labels: { status }, value: counts[status] })),
        },
        private_message_receipts_awaited: { type: 'gauge', help: 'Private messages that may still be confirmed.', value: receipts.size },
      }));
      return { send: (from, to, content) => post(from, to, content) };
    },
  });
}

/** The recipient and the content, beside the envelope's own fields or together in its content. */
function letterIn({ content: payload, fields }: Message, maxLength: number): { to: string; content: unknown } {
  const isTogether = fields.to === undefined && isRecord(payload);
  const to: unknown = isTogether ? payload.to : fields.to;
  // Where the fields are the payload, there is no content.
  const content: unknown = isTogether ? payload.content : payload === fields ? undefined : payload;
  if (!isId(to)) throw invalid('to', `must be the id of a user, of at most ${LONGEST_ID} characters`);
  const isText = typeof content === 'string';
  if (!isText && !isRecord(content)) throw invalid('content', 'must be a text or an object');
  if (isText && content.trim() === '') throw invalid('content', 'must not be empty');
  const { length } = isText ? content : JSON.stringify(content);
  if (length > maxLength) throw new ModuleError('MESSAGE_TOO_LONG', { length, limit: maxLength, of: 'content' });
  return { to, content };
}

function messageIdIn({ content, fields }: Message): string {
  const messageId: unknown = fields.messageId ?? (isRecord(content) ? content.messageId : undefined);
  if (isId(messageId)) return messageId;
  throw invalid('messageId', 'must be the id of a message');
}

/** What comes from another node, or from the application, may be anything. */
function isPrivate(message: Outgoing): message is PrivateMessage {
  const { id, content } = message;
  return isId(id) && isRecord(content) && typeof content.from === 'string' && typeof content.to === 'string';
}

const isId = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= LONGEST_ID;

const invalid = (path: string, message: string): ModuleError => new ModuleError('VALIDATION_FAILED', { issues: [{ path, message }] });

privateMessages.privateMessages = privateMessages;
export { privateMessages as default, privateMessages as 'module.exports' };
