import { compose, isThenable, type Run } from './compose.ts';
import type { ClientConnection } from '../connection/connection.ts';
import type { ErrorContext, Handler, MessageLayer } from '../contracts.ts';
import type { Core } from '../runtime/core.ts';
import { ModuleError, toError } from '../errors.ts';
import type { Hub } from './hub.ts';
import { LARGE } from '../runtime/options.ts';
import { TimeoutQueue } from '../runtime/timeout-queue.ts';
import { canonical, isRecord, json, Message, Refusal, toMessage, type Outgoing } from '../protocol.ts';
import { Registry } from '../runtime/registry.ts';
import { UndoList } from '../runtime/scope.ts';

/** A message whose handler has not finished. */
interface Task {
  readonly message: Message;
  readonly connection: ClientConnection;
  readonly startedAt: number;
  /** Told when it is finished. */
  whenSettled: (() => void)[] | undefined;
}

type ErrorMap = (error: unknown) => ModuleError | undefined;

/** Frame → message → layers → handler → reply. Whatever happens, the peer is told. */
export class Dispatcher {
  readonly handlers = new Registry<Handler>('handler');
  /** Maps of errors to what the peer sees. */
  readonly errorMaps = new UndoList<ErrorMap>();
  /** Folded anew when it changes. */
  readonly layers = new UndoList<MessageLayer>(() => {
    this.#run = compose([...this.layers], (message, connection) => this.#handle(message, connection as ClientConnection));
  });

  readonly #core: Core;
  readonly #hub: Hub;
  #run: Run = (message, connection) => this.#handle(message, connection as ClientConnection);
  readonly #tasks: TimeoutQueue<Task>;

  constructor(hub: Hub) {
    const { clock, settings: { message: { timeout } } } = hub.core;
    this.#core = hub.core;
    this.#hub = hub;
    this.#tasks = new TimeoutQueue(clock, timeout, (task) => {
      this.#settle(task, new ModuleError('HANDLER_TIMEOUT', { type: task.message.type, timeout }), true);
    });
  }

  /** Its own on the clock. */
  get deadlines(): number { return this.#tasks.deadlines; }

  /** Messages in a handler now. */
  get inFlight(): number { return this.#tasks.items.size; }

  /** Resolves when the messages that are in the layers and handlers now have left them. */
  async quiesce(): Promise<void> {
    await Promise.all([...this.#tasks.items].map((task) => new Promise<void>((resolve) => (task.whenSettled ??= []).push(resolve))));
  }

  /** Resolves when no message is in a handler. */
  async idle(): Promise<void> {
    while (this.inFlight > 0) await this.quiesce();
  }

  /** A frame came. Messages of one connection run one after the other, unless `message.concurrency` says otherwise. */
  receive(connection: ClientConnection, data: Buffer, binary: boolean): void {
    const { concurrency, maxWaiting } = this.#core.settings.message;
    this.#core.statistics.bytesReceived += data.length;
    const message = this.#decode(connection, data, binary);
    if (!message) return;
    if (message.replyTo !== undefined && (connection.settle(message) || message.type === 'ack')) return;
    if (connection.running < concurrency) return this.#start(connection, message);
    const waiting = (connection.waiting ??= []);
    waiting.push(message);
    if ((waiting.length >= maxWaiting || data.length > LARGE) && !connection.isPaused) connection.pause();
  }

  #decode(connection: ClientConnection, data: Buffer, binary: boolean): Message | undefined {
    const { maxDepth, message: { maxInvalid } } = this.#core.settings;
    const { codec } = connection;
    let value: unknown;
    try {
      if (binary === codec.binary) {
        value = codec.decode(binary ? data : data.toString(), maxDepth);
        const message = toMessage(value, maxDepth, codec === json ? data.length : undefined);
        // Its handler counts on bytes.
        if (message.type === 'binary' && !binary) throw new Refusal('INVALID_MESSAGE', { reason: 'the type "binary" is that of binary frames' });
        connection.invalid = 0;
        return message;
      }
      if (!binary) throw new Refusal('INVALID_MESSAGE', { reason: `the subprotocol "${codec.name}" has only binary frames` });
      if (!this.handlers.get('binary') && !this.handlers.get('*')) throw new ModuleError('BINARY_UNSUPPORTED');
      return new Message({ type: 'binary', content: data });
    } catch (thrown) {
      this.#core.statistics.received++;
      const id = isRecord(value) && typeof value.id === 'string' && value.id.length <= 128 ? value.id : undefined;
      this.#fail(connection, thrown instanceof Refusal ? new ModuleError<string>(thrown.code, thrown.details) : thrown, id);
      if (++connection.invalid >= maxInvalid) {
        const error = new ModuleError('TOO_MANY_INVALID', { limit: maxInvalid });
        connection.close(error.closeCode, error.message);
      }
      return undefined;
    }
  }

  #start(connection: ClientConnection, message: Message): void {
    const startedAt = performance.now();
    this.#core.statistics.received++;
    if (this.#core.hooks.has('message:received')) this.#core.hooks.emit('message:received', { message, connection });
    let result: unknown;
    let isAsync: boolean;
    try {
      result = this.#run(message, connection);
      isAsync = isThenable(result);
    } catch (error) {
      return this.#finish(connection, message, startedAt, error, true);
    }
    // No promise where nothing is asynchronous.
    if (!isAsync) return this.#finish(connection, message, startedAt, result);
    const task: Task = { message, connection, startedAt, whenSettled: undefined };
    connection.running++;
    this.#tasks.add(task);
    Promise.resolve(result).then((value) => this.#settle(task, value), (error: unknown) => this.#settle(task, error, true));
  }

  #handle(message: Message, connection: ClientConnection): unknown {
    const handler = this.handlers.get(message.type) ?? this.handlers.get(canonical(message.type)) ?? this.handlers.get('*');
    if (!handler) throw new ModuleError('UNKNOWN_TYPE', { type: message.type });
    return handler(message, connection);
  }

  #settle(task: Task, outcome: unknown, failed = false): void {
    const { connection, message } = task;
    if (!this.#tasks.items.delete(task)) {
      // The peer was told HANDLER_TIMEOUT; an error that comes later is still somebody's.
      if (failed) this.#core.report(toError(outcome), { phase: 'message', message, connection });
      return;
    }
    connection.running--;
    this.#finish(connection, message, task.startedAt, outcome, failed);
    this.#next(connection);
    for (const tell of task.whenSettled ?? []) tell();
  }

  #next(connection: ClientConnection): void {
    const { concurrency, maxWaiting } = this.#core.settings.message;
    const { waiting } = connection;
    if (!waiting) return;
    // A client that left may have sent these before; one that we sent away has no say any more.
    while (waiting.length > 0 && connection.running < concurrency && !connection.isEnded) this.#start(connection, waiting.shift()!);
    if (waiting.length <= maxWaiting / 2 && connection.isPaused && connection.isOpen) connection.resume();
  }

  // Answers

  /** @param outcome what the handler returned, or with `failed` what it threw */
  #finish(connection: ClientConnection, message: Message, startedAt: number, outcome: unknown, failed = false): void {
    let error: ModuleError | undefined;
    try {
      if (failed) error = this.#fail(connection, outcome, message.id, message);
      else this.#reply(connection, message, outcome);
    } catch (cause) {
      error = this.#fail(connection, cause, message.id, message);
    }
    const duration = performance.now() - startedAt;
    this.#core.statistics.response(duration);
    if (this.#core.log.isVerbose) {
      this.#core.log.child('message').debug('handled', { type: message.type, id: message.id, connection: connection.id, duration, code: error?.code });
    }
    if (this.#core.hooks.has('message:handled')) this.#core.hooks.emit('message:handled', error ? { message, connection, duration, error } : { message, connection, duration });
  }

  #reply(connection: ClientConnection, message: Message, result: unknown): void {
    if (result === undefined && !message.ack) return;
    const reply = result === undefined ? { type: 'ack' } : isSendable(result) ? result : { type: message.type, content: result };
    this.#hub.transmit(connection, reply, message.id ?? '');
    message.isAnswered = true;
  }

  /** Tells the peer what it may know of an error, and the `error` event the whole of it. Returns what the peer was told. */
  #fail(connection: ClientConnection, thrown: unknown, replyTo: string | undefined, message?: Message): ModuleError {
    const error = this.present(thrown, { phase: 'message', connection, ...(message ? { message } : {}) });
    this.#core.statistics.error(error.code);
    if (message?.isAnswered) {
      if (error.code !== 'INTERNAL_ERROR') this.#core.report(error, { phase: 'message', message, connection });
      return error;
    }
    if (message) message.isAnswered = true;
    const told = { code: error.code, message: error.message };
    const where = message?.namespace === undefined ? {} : { namespace: message.namespace };
    // Where the details are what cannot be written, the code and the text can.
    for (const content of [{ ...error.details, ...told }, told]) {
      try {
        this.#hub.transmit(connection, { type: 'error', content, ...where }, replyTo ?? '');
        break;
      } catch (cause) {
        this.#core.report(toError(cause), { phase: 'send', connection });
      }
    }
    return error;
  }

  /** An error as the peer may see it. One that it may not see is reported. */
  present(thrown: unknown, context: ErrorContext): ModuleError {
    const mapped = this.#map(thrown) ?? thrown;
    const shown = mapped instanceof ModuleError && mapped.expose ? mapped : new ModuleError('INTERNAL_ERROR', {}, { cause: thrown });
    if (shown.code === 'INTERNAL_ERROR') this.#core.report(toError(thrown), context);
    return shown;
  }

  #map(thrown: unknown): ModuleError | undefined {
    for (const map of this.errorMaps) {
      try {
        const mapped = map(thrown);
        if (mapped) return mapped;
      } catch (error) {
        this.#core.report(toError(error), { phase: 'message' });
      }
    }
    return undefined;
  }
}

/** Whether a handler gave a message or bytes; anything else is the content of a reply. */
function isSendable(value: unknown): value is Outgoing | Uint8Array {
  return value instanceof Uint8Array || (isRecord(value) && typeof value.type === 'string');
}
