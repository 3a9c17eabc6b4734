import type { Reply } from './authentication.ts';
import { serverError, type ClientError } from './client-error.ts';
import type { ServerMessage } from './client-types.ts';
import type { Handled } from './listener-calls.ts';
import type { Missed, MissedReason } from './missed.ts';
import { TopicPositions, type Position } from './topic-positions.ts';

/** A message of the server, or a position that is reached when all before it is handled. */
export interface Recovered {
  readonly topic: string;
  readonly message?: ServerMessage | undefined;
  readonly position?: Position | undefined;
}

export interface RecoveryPort {
  /** Hands out items before all that was received later. */
  insert(items: readonly Recovered[]): void;
  missed(missed: Missed): void;
  report(error: ClientError): void;
  /** Whether the client has joined the topic itself, and joins it again if the server did not. */
  isMember(topic: string): boolean;
}

/** The user of a session, whether it was resumed, and whether repeated messages are recognized by their outbox. */
export interface PresentSession {
  readonly userId?: string | undefined;
  readonly resumed: boolean;
  readonly outbox?: boolean | undefined;
  readonly topics?: undefined;
}

/** The session of the client at the server's plugin `recovery`, and the positions in its topics. */
export class Recovery {
  readonly positions: TopicPositions;
  readonly #port: RecoveryPort;
  readonly #isEnabled: boolean;
  #sessionId: string | undefined;
  /** The milliseconds for which the server remembers messages. `undefined` without a session. */
  answerWindow: number | undefined;
  /** What the server says of the session on the present connection. */
  present: PresentSession | undefined;
  /** The name of the outbox, if there is one. */
  outbox: string | undefined;
  /** Topics that the server restored on the present connection. */
  #restored = new Set<string>();

  constructor(isEnabled: boolean, port: RecoveryPort) {
    this.#isEnabled = isEnabled;
    this.#port = port;
    this.positions = new TopicPositions((topic) => {
      const to = this.positions.get(topic);
      port.missed({ topic, reason: 'failed', from: undefined, to });
    });
  }

  get sessionId(): string | undefined { return this.#sessionId; }

  /** Takes up what an earlier page left. */
  load(sessionId: string | undefined, positions: readonly (Position & { readonly topic: string })[]): void {
    this.#sessionId = sessionId;
    for (const { topic, ...position } of positions) this.positions.set(topic, position);
  }

  /** The message that asks for the session. `undefined` if the first answer of the server names no sessions. */
  request(greeting: Reply | undefined): Reply | undefined {
    const features: unknown = greeting?.['meta']?.features;
    this.#restored.clear();
    this.answerWindow = this.present = undefined;
    if (!this.#isEnabled || !Array.isArray(features) || !features.includes('recovery')) return undefined;
    const { outbox } = this;
    return { type: 'recover', content: { sessionId: this.#sessionId, positions: this.positions.all(), outbox } };
  }

  /** Whether the server restored a topic, so that it need not be joined again. */
  isRestored(topic: string): boolean { return this.#restored.has(topic); }

  /** Hands out a message, and moves its position when the listeners have handled it. Not if it was handled before. */
  track(message: ServerMessage, handOut: () => Handled): void {
    const { topic, epoch, offset } = message;
    const isPositioned = typeof topic === 'string' && typeof epoch === 'string' && Number.isSafeInteger(offset);
    if (!this.#isEnabled || !isPositioned) return void handOut();
    const finish = this.positions.begin(topic, message as unknown as Position);
    if (!finish) return;
    const handled = handOut();
    // Without promises the position moves at once.
    if (handled.every((each) => typeof each === 'boolean')) return finish(!handled.includes(false));
    void Promise.all(handled.map(async (each) => await each)).then((results) => finish(!results.includes(false)));
  }

  /** The application left a topic: the rest of what was recovered is not handed out. */
  leave(topic: string): void {
    this.positions.delete(topic);
    this.#restored.delete(topic);
  }

  /** The application disconnected: the next connection is a new session. */
  clear(): void {
    this.#sessionId = this.answerWindow = undefined;
    this.#restored.clear();
    this.positions.clear();
  }

  /** Reads the answer to `request()`. */
  answered({ type, content, ...rest }: Reply): void {
    if (type !== 'error') {
      this.#sessionId = content.sessionId as string;
      this.answerWindow = content.answerWindow as number;
      const topics = content.topics as Reply[];
      this.present = { ...content as PresentSession, topics: undefined };
      // A topic that the client joins again with its position is decided by that answer.
      const isDecided = ({ topic, reason }: Reply): boolean =>
        reason !== 'unknown' || !this.#port.isMember(topic as string);
      return this.#port.insert(topics.filter(isDecided).flatMap((state) => this.#restore(state)));
    }
    const error = serverError({ content, ...rest });
    this.#port.report(error);
    // The server refuses what the client remembers. With the same positions it would refuse each time.
    for (const { topic } of this.positions.all()) this.#lose(topic, 'unknown');
    this.#sessionId = this.answerWindow = undefined;
  }

  /** Reads the state of a topic, as `subscribe`, `join-room` and `messages-missed` have it. */
  state(state: Reply | undefined): void {
    if (typeof state?.['topic'] === 'string') this.#port.insert(this.#restore(state));
  }

  #restore({ topic, recovered, reason, messages = [], epoch, offset, id }: Reply): Recovered[] {
    const to = epoch === undefined ? undefined : { epoch, offset, id } as Position;
    if (to || reason === 'no-history') this.#restored.add(topic as string);
    // A topic without history has no position, so nothing is known to be missing.
    if (recovered === false) {
      this.#lose(topic as string, reason as MissedReason, to);
    } else if (recovered === undefined && to && !this.positions.get(topic as string)) {
      this.positions.set(topic as string, to);
    }
    return recovered
      ? [...(messages as ServerMessage[]).map((message) => ({ topic, message })), { topic, position: to! }]
      : [];
  }

  #lose(topic: string, reason: MissedReason, to?: Position): void {
    const from = this.positions.get(topic);
    if (to) this.positions.set(topic, to);
    else this.positions.delete(topic);
    if (from) this.#port.missed({ topic, reason, from, to });
  }
}
