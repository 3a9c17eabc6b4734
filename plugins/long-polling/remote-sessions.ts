import {
  ModuleError, type Answers, type Channel, type PluginContext,
} from '../../src/index.ts';
import type { PollingRequest } from './polling-request.ts';
import { pollOnce, type PollAnswer } from './polls.ts';
import type { Sessions } from './sessions.ts';

/** Milliseconds that the answer of another node may take, in addition to the time that the request waits. */
const MARGIN = 3_000;

type Question =
  & { readonly id: string; readonly origin: string | undefined; readonly received: number }
  & ({ readonly wait: number } | { readonly position: number; readonly bytes: string });
interface Answer { readonly position?: number | undefined; readonly bytes?: string | undefined }

/** RemoteSessions passes requests on to the node that has their session, through a channel. */
export class RemoteSessions {
  readonly #channel: Channel<Question, Answer>;
  readonly #peers: () => readonly string[];

  constructor(context: PluginContext, sessions: Sessions) {
    this.#peers = () => context.node.peers;
    this.#channel = context.channel<Question, Answer>('sessions', async (question: Question): Promise<Answer> => {
      const socket = sessions.find(question.id, question.origin);
      if ('wait' in question) {
        const { position, bytes } = await pollOnce(socket, question.received, question.wait);
        return { position, bytes: bytes.toString('base64') };
      }
      const end = socket.beginWriting();
      try {
        socket.confirm(question.received);
        await socket.receive(question.position, Buffer.from(question.bytes, 'base64'));
      } finally {
        end();
        sessions.touch(socket);
      }
      return {};
    });
  }

  /** Whether a node is running, so that it may have a session. */
  has(node: string): boolean { return this.#peers().includes(node); }

  /** @throws POLLING_INVALID, POLLING_SESSION_UNKNOWN, POLLING_NODE_UNREACHABLE, ORIGIN_REFUSED */
  async poll(node: string, { session, origin, received }: PollingRequest, wait: number): Promise<PollAnswer> {
    const question = { id: session!, origin, received, wait };
    const { position = received, bytes = '' } = await this.#ask(node, question, wait);
    return { position, bytes: Buffer.from(bytes, 'base64') };
  }

  /** @throws POLLING_INVALID, POLLING_SESSION_UNKNOWN, POLLING_BUSY, POLLING_NODE_UNREACHABLE, ORIGIN_REFUSED */
  async send(
    node: string, { session, origin, received, position }: PollingRequest, bytes: Buffer, wait: number,
  ): Promise<void> {
    await this.#ask(node, { id: session!, origin, received, position, bytes: bytes.toString('base64') }, wait);
  }

  async #ask(node: string, question: Question, wait: number): Promise<Answer> {
    const { answers: [first], failed: [failure] }: Answers<Answer> =
      await this.#channel.ask(question, { node, timeout: wait + MARGIN });
    if (first) return first.answer;
    throw failure?.error ?? new ModuleError('POLLING_NODE_UNREACHABLE');
  }
}
