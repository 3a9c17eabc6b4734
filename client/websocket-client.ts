import { canonical } from '../src/protocol.ts';
import type { ClientError } from './client-error.ts';
import { fail, serverError, textOf } from './client-error.ts';
import { ClientEventEmitter } from './client-event-emitter.ts';
import type { ClientEvents, HistoryRange, RequestOptions, ServerMessage, SubscribeOptions } from './client-types.ts';
import { makeLog, type Log } from './client-log.ts';
import type { ClientPart, OutboxPart } from './client-part.ts';
import type { ClientConfig } from './config.ts';
import { ConnectWaiters } from './connect-waiters.ts';
import { connectionState, type ConnectionState, type ConnectionTimes } from './connection-state.ts';
import { EventTurns } from './event-turns.ts';
import {
  argumentsOf, decode, encode, eventOf, isBinary, withData, type OutgoingMessage, type Sendable,
} from './frames.ts';
import type { Received } from './link-hooks.ts';
import { Link } from './link.ts';
import { callListeners, listenerFailed, type Handled } from './listener-calls.ts';
import { Memberships } from './memberships.ts';
import type { MessageStream, StreamOptions } from './message-stream.ts';
import { MessageStreams } from './message-streams.ts';
import type { Phase, Step } from './phases.ts';
import { ReceiveBuffer } from './receive-buffer.ts';
import { Recovery, type Recovered } from './recovery.ts';
import { RequestAnswers, type Outcome } from './request-answers.ts';
import { RoomMembership } from './room-membership.ts';
import { SendQueue, type QueueItem, type SendOptions } from './send-queue.ts';
import { resolveSettings, type Settings } from './settings.ts';
import type { Position } from './topic-positions.ts';

const OWN_EVENTS = ['open', 'close', 'error', 'reconnecting', 'reconnected', 'message', 'missed', 'state', 'outbox'];

type Acknowledge = (error: ClientError | undefined, ...answer: any[]) => void;

/** A client for browsers, workers and Node: connects, reconnects, and loses no message in silence. */
export class WebSocketClient {
  /** The messages that are not acknowledged yet. */
  readonly queue: Pick<SendQueue, 'size' | 'bytes' | 'entries' | 'cancel' | 'clear'>;
  readonly rooms: RoomMembership;
  readonly #settings: Settings;
  readonly #link: Link;
  readonly #log: Log;
  readonly #queue: SendQueue;
  readonly #received: ReceiveBuffer<Received | Recovered>;
  readonly #recovery: Recovery;
  readonly #events = new ClientEventEmitter();
  readonly #streams = new MessageStreams();
  readonly #turns = new EventTurns();
  readonly #answers: RequestAnswers;
  readonly #memberships: Memberships;
  readonly #connecting = new ConnectWaiters();
  readonly #parts: readonly ClientPart[];
  #times: ConnectionTimes = {};

  /** @throws {ClientError} CONFIG_INVALID, naming every option that is wrong */
  constructor(config: ClientConfig | string) {
    const settings = resolveSettings(typeof config === 'string' ? { url: config } : config);
    const { message, buffer } = this.#settings = settings;
    this.#log = makeLog(settings.debug);
    const recovery = this.#recovery = new Recovery(settings.recovery.enabled && settings.heartbeat.enabled, {
      insert: (items) => this.#received.insert(items),
      missed: (missed) => this.#later('missed', missed),
      report: (error) => this.#report(error),
      isMember: (topic) => this.#memberships.has(topic),
    });
    const { user, persistence, offline } = settings.state;
    const parts = this.#parts = [persistence, offline].filter((part) => part !== undefined) as ClientPart[];
    const link = this.#link = new Link(settings, {
      ready: () => (parts[0] ? Promise.all(parts.map((part) => part.ready())) : undefined),
      changed: (step) => this.#changed(step),
      session: (greeting) => this.#recovery.request(greeting),
      answered: (reply) => this.#recovery.answered(reply),
      canSwitch: () => (recovery.sessionId !== undefined ? this.#queue.size === 0 : undefined),
      up: () => this.#up(),
      down: (code, reason, wasUp) => this.#down(code, reason, wasUp),
      planned: (attempt, delay) => this.#later('reconnecting', attempt, delay),
      failed: (error, isFinal) => this.#failed(error, isFinal),
      received: (item) => this.#received.push(item),
    });
    this.queue = this.#queue = new SendQueue(
      { ...message.queue, ...buffer.send, maxSize: Math.min(message.queue.maxSize, buffer.send.maxSize) },
      link, () => recovery.answerWindow,
    );
    this.#answers = new RequestAnswers((answer) => { if (link.isOpen) link.write(answer); });
    this.#received = new ReceiveBuffer(buffer.receive, (item) => this.#receive(item));
    this.#memberships = new Memberships({
      request: (outgoing) => this.request(outgoing),
      send: (outgoing) => this.send(outgoing),
      ask: (outgoing, onReply) => void link.ask(outgoing, onReply),
      fail: (error) => this.#report(error),
    }, recovery);
    this.rooms = new RoomMembership(this.#memberships);
    const core = { url: settings.url, user, fail, link, queue: this.#queue, recovery, memberships: this.#memberships };
    for (const part of parts) part.attach({ ...core, emit: (event, ...args) => this.#later(event, ...args) });
  }

  get isConnected(): boolean { return this.#link.isUp; }
  get isConnecting(): boolean { return ['connecting', 'authenticating'].includes(this.#link.phase); }
  get phase(): Phase { return this.#link.phase; }

  getState(): ConnectionState { return connectionState(this.#link, this.#times); }

  /** The last steps that led to the present phase, oldest first. */
  explain(): readonly Step[] { return this.#link.steps; }

  /**
   * Connects. Resolves when the server has accepted the connection, and rejects when the client stops trying. While it
   * waits for the next attempt, the attempt starts now.
   */
  connect(): Promise<void> {
    if (this.#link.isUp) return Promise.resolve();
    const connected = this.#connecting.add();
    this.#link.connect();
    return connected;
  }

  /** Disconnects, and rejects what is not settled. Does not wait for the server. */
  disconnect(): Promise<void> {
    this.#link.disconnect();
    this.#received.clear();
    this.#end(fail('CONNECTION_CLOSED', 'disconnect() was called'), true);
    this.#memberships.clear();
    this.#recovery.clear();
    return Promise.resolve();
  }

  /**
   * Sends a message, or bytes. Without a connection it waits in the queue. Resolves when the server has acknowledged
   * the message, and rejects with the error of the server.
   */
  send(message: Sendable, options: SendOptions = {}): Promise<void> {
    const until = options.ack === false || isBinary(message) ? 'written' : 'ack';
    return this.#quietly(this.#enqueue(message, until, options).then(() => undefined));
  }

  /** Sends a message and resolves with the reply. Rejects with the error of the server. */
  request(message: OutgoingMessage, options: RequestOptions = {}): Promise<ServerMessage> {
    return this.#quietly(this.#enqueue(message, 'reply', { timeout: this.#settings.requestTimeout, ...options }));
  }

  /**
   * Sends an event. If the last argument is a function, it is called with an error, or with `undefined` and the
   * arguments of the acknowledgement. Without it, the event is sent once, and a failure is an `error` event.
   */
  emit(type: string, ...args: [...content: unknown[], acknowledge: Acknowledge]): void;
  emit(type: string, ...args: unknown[]): void;
  emit(type: string, ...args: unknown[]): void {
    const callback = typeof args.at(-1) === 'function' ? args.pop() as Acknowledge : undefined;
    const message = eventOf(type, args);
    // An acknowledgement that is not wanted would be an argument more for the listeners of the server.
    if (!callback) {
      this.send(message, { ack: false }).catch((error: unknown) => this.#report(error as ClientError));
    } else {
      this.request(message).then((reply) => callback(undefined, ...argumentsOf(reply)), callback)
        .catch((error: unknown) => this.#report(listenerFailed(type, error)));
    }
  }

  /** Sends an event and resolves with the content of the acknowledgement. */
  async emitWithAck(type: string, ...args: unknown[]): Promise<any> {
    return (await this.request(eventOf(type, args))).content;
  }

  /**
   * Adds a listener for an event of the client, or for a type of messages: it gets the content and the message. What it
   * returns (or its promise) answers a request of the server. Returns a function that removes the listener.
   */
  on<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => unknown): () => void;
  on(type: string, listener: (...args: any[]) => unknown): () => void;
  on(event: string, listener: (...args: any[]) => unknown): () => void {
    return this.#events.on(canonical(event), listener);
  }

  once<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => unknown): () => void;
  once(type: string, listener: (...args: any[]) => unknown): () => void;
  once(event: string, listener: (...args: any[]) => unknown): () => void {
    return this.#events.once(canonical(event), listener);
  }

  /** Removes a listener, or all listeners of an event. */
  off(event: string, listener?: (...args: any[]) => unknown): void {
    this.#events.off(canonical(event), listener);
  }

  /** The messages of a type (of all types, if not given), for a `for await` loop. Ends with `disconnect()`. */
  messages(type = 'message', options: StreamOptions = {}): MessageStream<ServerMessage> {
    return this.#streams.open(options, (listener) => this.on(type, listener));
  }

  /**
   * Subscribes to a topic of the server's plugin `history`. Subscribed again after each reconnect. Resolves with the
   * state of the topic. With a position, the messages after it follow.
   */
  subscribe(topic: string, { position }: SubscribeOptions = {}): Promise<any> {
    return this.#quietly(this.#memberships.add(topic, { type: 'subscribe', topic }, position));
  }

  /** Messages of the topic that were recovered and not handed out yet are dropped. */
  unsubscribe(topic: string): Promise<void> {
    return this.#quietly(this.#memberships.remove(topic, { type: 'unsubscribe', topic }));
  }

  /**
   * The last message of a topic (`room:…` for a room) whose listeners have returned. Read it before you load the state
   * of the topic from elsewhere, and subscribe with it.
   */
  position(topic: string): Position | undefined { return this.#recovery.positions.get(topic); }

  /** Messages that a topic or room kept, as the server answers `get-history`. */
  async history(range: HistoryRange): Promise<any> {
    return (await this.request({ type: 'get-history', ...range })).content;
  }

  async #enqueue(message: Sendable, until: QueueItem['until'], options: SendOptions): Promise<any> {
    const { maxSize, queue } = this.#settings.message;
    const outgoing = encode(message, until !== 'written', maxSize);
    const { priority = 'interactive', signal, durable = true } = options;
    const retry = until === 'ack' && (options.retry ?? queue.retryOnReconnect);
    const outbox = durable && retry ? this.#settings.state.offline as OutboxPart | undefined : undefined;
    const timeout = options.timeout ?? (outbox ? Infinity : queue.ttl);
    this.#log('debug', 'send', message, outgoing.type, outgoing.id);
    return await (outbox ?? this.#queue).add({ ...outgoing, priority, until, retry, timeout, signal });
  }

  /** A caller may ignore the result: a rejection that is not awaited must not end a Node process. */
  #quietly<T>(result: Promise<T>): Promise<T> {
    result.catch((error: unknown) => this.#log('warn', textOf(error)));
    return result;
  }

  #changed({ from, to, why }: Step): void {
    this.#log('info', `${from} → ${to}: ${why}`);
    this.#later('state', this.getState());
  }

  #up(): void {
    const isAgain = this.#times.lastConnected !== undefined;
    this.#times = { ...this.#times, lastConnected: new Date() };
    this.#memberships.restore();
    // First what listeners send when the connection opens: queued messages may need it.
    this.#queue.hold();
    this.#connecting.resolve();
    this.#later('open');
    if (isAgain) this.#later('reconnected');
    this.#turns.add(() => {
      this.#queue.release();
      // Listeners of `open` may have disconnected.
      if (this.#link.isUp) for (const part of this.#parts) part.up();
    });
  }

  #down(code: number, reason: string, wasUp: boolean): void {
    this.#queue.interrupt();
    if (!wasUp) return;
    for (const part of this.#parts) part.down();
    this.#times = { ...this.#times, lastDisconnected: new Date() };
    this.#later('close', code, reason);
  }

  #failed(error: ClientError, isFinal: boolean): void {
    this.#report(error);
    if (this.#link.phase !== 'failed') return;
    this.#connecting.reject(error);
    if (isFinal) this.#end(error);
  }

  #end(error: ClientError, isDisconnected = false): void {
    for (const part of this.#parts) part.end(error, isDisconnected);
    this.#queue.clear(error);
    this.#connecting.reject(error);
    this.#streams.end();
  }

  #report(error: ClientError): void { this.#later('error', error); }

  /** Delivers an event when the state machine is at rest. */
  #later(event: string, ...args: unknown[]): void {
    this.#turns.add(() => this.#emit(event, args));
  }

  #emit(event: string, args: unknown[], handled: Handled = []): Outcome {
    const listeners = this.#events.listeners(event);
    if (event === 'error') {
      const [error] = args as [ClientError];
      const isHeard = listeners.length > 0;
      this.#log(isHeard ? 'warn' : 'error', `${error.code}: ${error.message}`);
      if (!isHeard && !this.#settings.debug.enabled) this.#settings.debug.logger.error(error);
    }
    return callListeners(listeners, args, (cause) => {
      // A failing listener of `error` would fail again.
      if (event === 'error') this.#log('error', textOf(cause));
      else this.#report(listenerFailed(event, cause));
    }, handled);
  }

  #receive(item: Received | Recovered): void {
    this.#turns.run();
    if ('topic' in item) this.#recovered(item);
    else this.#frame(item);
    this.#turns.run();
  }

  #recovered({ topic, message, position }: Recovered): void {
    // The application may have left the topic meanwhile, or the connection is a later one, which recovers again.
    if (!this.#recovery.isRestored(topic)) return;
    if (position) this.#recovery.positions.begin(topic, position)?.(true);
    else this.#recovery.track(withData(message!), () => this.#dispatch(message!, false));
  }

  #frame(item: Received): void {
    const { data, end } = item;
    try {
      if (!end) this.#deliver(decode(data, this.#settings.transport.websocket.maxPayload), item);
      else if (this.#link.isCurrent(item)) this.#link.ended(end.code, end.reason);
    } catch (error) {
      if (this.#link.isCurrent(item)) this.#link.abandon(error as ClientError);
    }
  }

  #deliver(message: ServerMessage, item: Received): void {
    const { type, content } = message;
    this.#log('debug', 'receive', message, type, message.id);
    if (this.#link.isCurrent(item) && this.#link.handle(message)) return;
    const name = canonical(type);
    if (name === 'message-batch' && Array.isArray(content?.messages)) {
      for (const each of content.messages as ServerMessage[]) this.#deliver(withData(each), item);
      return;
    }
    const awaited = message.replyTo === undefined ? undefined : this.#queue.answer(message);
    if (awaited === 'reply' || name === 'ack') return;
    if (['room-deleted', 'kicked', 'banned'].includes(name)) this.#memberships.forget(`room:${content?.roomId}`);
    if (name === 'messages-missed') this.#recovery.state(content);
    this.#recovery.track(message, () => this.#dispatch(message, awaited !== undefined));
  }

  #dispatch(message: ServerMessage, isAwaited: boolean): Handled {
    const name = canonical(message.type);
    const handled: Handled = [];
    const isRequest = message['ack'] === true && message.id !== undefined;
    if (isRequest && this.#answers.isKnown(message.id)) {
      this.#answers.repeat(message.id);
      return handled;
    }
    this.#emit('message', [message], handled);
    // The error of a message without id. That of a sent one rejects its promise.
    if (name === 'error' && !isAwaited) this.#report(serverError(message));
    const outcome = OWN_EVENTS.includes(name) ? {} : this.#emit(name, [...argumentsOf(message), message], handled);
    if (isRequest) this.#answers.add(message, this.#events.listeners(name).length > 0, outcome);
    return handled;
  }
}
