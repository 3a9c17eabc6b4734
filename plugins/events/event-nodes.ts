import {
  ModuleError, nodeOf, timestamp, type Channel, type ChannelOptions, type PluginContext,
} from '../../src/index.ts';
import { readCall, toText, type Call, type CallTarget, type EmitCall } from './event-calls.ts';

/** Milliseconds for the bus, added to the time that clients of another node have to answer. */
export const BUS_DELAY = 1_000;

type Missing = readonly { readonly node: string; readonly code: string }[];

/** Some nodes did not answer. `missing` has their ids and error codes, `responses` the answers of the others. */
export class NodesMissing extends ModuleError {
  readonly responses: readonly any[];
  readonly missing: Missing;

  constructor(responses: readonly unknown[], missing: Missing) {
    super('NODES_MISSING', { nodes: missing.map(({ node }) => node) });
    this.responses = responses;
    this.missing = missing;
  }
}

/** The answers of other nodes, and the nodes without a valid one. */
export interface NodeAnswers<Answer> {
  readonly answers: readonly { readonly node: string; readonly answer: Answer }[];
  readonly missing: Missing;
}

export interface AskOptions extends ChannelOptions {
  /** Whether nodes that left before they answered count as missing. @default false */
  readonly leftAreMissing?: boolean | undefined;
}

/** EventNodes sends to the sockets of other nodes, over one channel and without a store. */
export class EventNodes {
  readonly #context: PluginContext;
  readonly #channel: Channel<Call, unknown>;
  readonly #timeout: number;

  /**
   * @param answer handles a call of another node
   * @param timeout milliseconds that other nodes have to answer
   */
  constructor(context: PluginContext, answer: (call: Call) => unknown, timeout: number) {
    this.#context = context;
    this.#timeout = timeout;
    this.#channel = context.channel<Call, unknown>('sockets', (given) => {
      let call: Call;
      try {
        call = readCall(given);
      } catch (error) {
        // A node that asked gets no valid answer, and counts this one as missing.
        return context.report(error, { phase: 'adapter' });
      }
      return answer(call);
    });
  }

  /** The node of a socket, if it is another running node. */
  nodeOf(socketId: string): string | undefined {
    const node = nodeOf(socketId);
    return this.#context.node.peers.includes(node) ? node : undefined;
  }

  /** The default time that clients have to answer, in milliseconds. */
  get messageTimeout(): number { return this.#context.node.messageTimeout; }

  tell(call: Call, node?: string): void { this.#channel.tell(call, { node }); }

  /** Sends an event to sockets of one other node, or of all. Returns the timestamp of the message. */
  emit(namespace: string, to: CallTarget, sent: Pick<EmitCall, 'id' | 'event' | 'args'>, node?: string): string {
    const now = timestamp();
    this.tell({ do: 'emit', namespace, to, ...sent, timestamp: now }, node);
    return now;
  }

  /**
   * Asks one other node, or all.
   * @param read returns `undefined` for an invalid answer
   * @throws TOO_MANY_QUESTIONS; DATA_NOT_JSON for arguments that cannot be sent
   */
  async ask<Answer>(
    call: Call, read: (given: unknown, node: string) => Answer | undefined, options: AskOptions = {},
  ): Promise<NodeAnswers<Answer>> {
    const { node, timeout = this.#timeout, leftAreMissing = false } = options;
    if ('args' in call) toText(call.args, `the arguments of "${call.event}"`);
    const { answers: given, failed, missing: silent } = await this.#channel.ask(call, { node, timeout });
    const answers: { node: string; answer: Answer }[] = [];
    const missing: { node: string; code: string }[] = [];
    for (const { node: from, answer: raw } of given) {
      const answer = read(raw, from);
      if (answer !== undefined) answers.push({ node: from, answer });
      else missing.push({ node: from, code: 'PACKET_INVALID' });
    }
    for (const { node: from, error } of failed) {
      if (node !== undefined) throw error;
      // A node without the plugin has no sockets.
      if (error.code !== 'CHANNEL_UNKNOWN') missing.push({ node: from, code: error.code });
    }
    const { peers } = this.#context.node;
    for (const from of silent) {
      if (leftAreMissing || peers.includes(from)) missing.push({ node: from, code: 'REQUEST_TIMEOUT' });
    }
    return { answers, missing };
  }
}
