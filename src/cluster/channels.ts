import type { Answers, ChannelAnswer, ChannelOptions, TellOptions } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import type { Core } from '../runtime/core.ts';
import { Registry } from '../runtime/registry.ts';
import type { Labelled, Undo } from '../runtime/scope.ts';
import type { AnswerBody, Body, ChannelBody } from './packet.ts';

/** Maximum number of questions that wait for answers. */
const MAX_QUESTIONS = 10_000;
/** Milliseconds within which nodes must answer. */
const TIMEOUT = 2_000;

interface Question {
  readonly waiting: Set<string>;
  readonly answers: { readonly node: string; readonly answer: unknown }[];
  readonly failed: { readonly node: string; readonly error: ModuleError }[];
  done(): void;
}

/** What Channels uses of its node. */
export interface ChannelsHost {
  /** The ids of the other running nodes. */
  peers(): readonly string[];
  /** Sends to one node, to the nodes with subscribers of a topic, or to all others. */
  forward(body: Body, to: TellOptions): void;
}

/** Channels carries messages and questions of a plugin to the same plugin on other nodes. */
export class Channels {
  readonly #core: Core;
  readonly #host: ChannelsHost;
  readonly #channels = new Registry<ChannelAnswer>('channel');
  readonly #questions = new Map<number, Question>();
  #asked = 0;

  constructor(core: Core, host: ChannelsHost) {
    this.#core = core;
    this.#host = host;
  }

  inventory(): Labelled[] { return this.#channels.inventory(); }

  /** @throws DUPLICATE */
  add(name: string, answer: ChannelAnswer, owner: string): Undo { return this.#channels.add(name, answer, owner); }

  /** Sends a message. There is no answer. */
  tell(channel: string, payload: unknown, to: TellOptions = {}): void { this.#host.forward({ channel, payload }, to); }

  /**
   * Asks one node, or all others. Resolves when all have answered or stopped, or at the timeout.
   * @throws TOO_MANY_QUESTIONS
   */
  async ask(channel: string, payload: unknown, { node, timeout = TIMEOUT }: ChannelOptions = {}): Promise<Answers> {
    const peers = this.#host.peers();
    const asked = node === undefined ? peers : peers.filter((peer) => peer === node);
    // A node that is not running cannot answer.
    if (asked.length === 0) return { answers: [], failed: [], missing: node === undefined ? [] : [node] };
    if (this.#questions.size >= MAX_QUESTIONS) throw new ModuleError('TOO_MANY_QUESTIONS', { limit: MAX_QUESTIONS });
    const number = ++this.#asked;
    const question: Question = { waiting: new Set(asked), answers: [], failed: [], done: () => undefined };
    const answered = new Promise<void>((resolve) => (question.done = resolve));
    this.#questions.set(number, question);
    try {
      this.#host.forward({ channel, payload, ask: number }, { node });
      await this.#core.clock.within(timeout, answered, () => undefined);
    } finally {
      this.#questions.delete(number);
    }
    const { answers, failed } = question;
    const replied = new Set([...answers, ...failed].map((one) => one.node));
    return { answers, failed, missing: asked.filter((one) => !replied.has(one)) };
  }

  /** Handles a message or question of another node. */
  receive(from: string, { channel, payload, ask }: ChannelBody): void {
    const answer = this.#channels.get(channel);
    const fail = (error: unknown): void => {
      if (ask === undefined) this.#core.report(toError(error), { phase: 'adapter' });
      else this.#host.forward({ answer: ask, error: encodeError(error) }, { node: from });
    };
    // The plugin may be loaded on some nodes only, for example during a deploy.
    if (!answer) {
      if (ask !== undefined) fail(new ModuleError('CHANNEL_UNKNOWN', { channel }));
      return;
    }
    void (async () => answer(payload, from))()
      .then((given) => {
        if (ask !== undefined) this.#host.forward({ answer: ask, payload: given }, { node: from });
      })
      .catch(fail);
  }

  /** Handles an answer of another node. An answer after the timeout is ignored. */
  settle(from: string, { answer, payload, error }: AnswerBody): void {
    const question = this.#questions.get(answer);
    if (!question?.waiting.delete(from)) return;
    if (error) question.failed.push({ node: from, error: decodeError(error) });
    else question.answers.push({ node: from, answer: payload });
    if (question.waiting.size === 0) question.done();
  }

  /** Called when a node stopped: its answers are no longer awaited. */
  forget(node: string): void {
    for (const question of this.#questions.values()) {
      if (question.waiting.delete(node) && question.waiting.size === 0) question.done();
    }
  }
}

function encodeError(thrown: unknown): NonNullable<AnswerBody['error']> {
  const error = toError(thrown);
  if (!(error instanceof ModuleError)) return { code: 'INTERNAL_ERROR', message: error.message };
  return { code: error.code, message: error.message, details: error.details };
}

const decodeError = ({ code, message, details }: NonNullable<AnswerBody['error']>): ModuleError =>
  new ModuleError(code, (details ?? {}) as Record<string, unknown>, { message });
