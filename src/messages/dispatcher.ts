import type { ClientConnection } from '../connection/connection.ts';
import { InboxBudget } from '../connection/inbox.ts';
import type { ErrorContext, FrameGuard, MessageLayer } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import { closeCodes, isRecord, json, Message, Refusal, toMessage, type Outgoing, type Route } from '../protocol.ts';
import type { Core } from '../runtime/core.ts';
import { UndoList } from '../runtime/scope.ts';
import { TimeoutQueue } from '../runtime/timeout-queue.ts';
import { compose, isThenable, type Run } from './compose.ts';
import { HandlerTable } from './handler-table.ts';
import type { Hub } from './hub.ts';

/** A message whose handler has not finished. */
interface Task {
  readonly message: Message;
  readonly connection: ClientConnection;
  readonly startedAt: number;
  /** Called when it is finished. */
  whenSettled: (() => void)[] | undefined;
}

type ErrorMap = (error: unknown) => ModuleError | undefined;

/** Largest refused frame, in bytes, that is parsed to find the id for the reply. */
const MAX_BYTES_FOR_ID = 4_096;
/** Bytes of one connection that may wait, in addition to two messages of the largest size. */
const INBOX_MARGIN = 1_048_576;
/** Waiting bytes of one connection at which reading pauses. */
const LARGE = 65_536;

const handle: Run = (message, connection) => {
  if (!message.route) throw new ModuleError('UNKNOWN_TYPE', { type: message.typeAsSent });
  // Only a message that passed the layers resets the counter.
  (connection as ClientConnection).invalid = 0;
  return message.route.handler(message, connection);
};

/** Dispatcher turns a frame into a message, runs it through layers and handler, and sends the reply or the error. */
export class Dispatcher {
  readonly handlers = new HandlerTable();
  /** Maps of errors to what the peer sees. */
  readonly errorMaps = new UndoList<ErrorMap>();
  /** Folded anew when they change. */
  readonly layers = new UndoList<MessageLayer>(() => (this.#run = compose([...this.layers], handle)));
  /** Consulted before a frame is parsed. */
  readonly guards = new UndoList<FrameGuard>();
  /** The waiting bytes of all connections. */
  readonly inboxes = new InboxBudget<ClientConnection>();

  readonly #core: Core;
  readonly #hub: Hub;
  #run: Run = handle;
  readonly #tasks: TimeoutQueue<Task>;

  constructor(hub: Hub) {
    const { clock, settings: { message: { timeout } } } = hub.core;
    this.#core = hub.core;
    this.#hub = hub;
    this.#tasks = new TimeoutQueue(clock, timeout, (task) => {
      this.#settle(task, new ModuleError('HANDLER_TIMEOUT', { type: task.message.type, timeout }), true);
    });
  }

  /** Deadlines of its own on the shared clock. */
  get deadlines(): number { return this.#tasks.deadlines; }

  /** Messages in a handler now. */
  get inFlight(): number { return this.#tasks.items.size; }

  /** Resolves when the messages that are in the layers and handlers now have left them. */
  async quiesce(): Promise<void> {
    await Promise.all(
      [...this.#tasks.items].map((task) => new Promise<void>((resolve) => (task.whenSettled ??= []).push(resolve))),
    );
  }

  /** Resolves when no message is in a handler. */
  async whenIdle(): Promise<void> {
    while (this.inFlight > 0) await this.quiesce();
  }

  // Messages in

  /** A frame came. */
  receive(connection: ClientConnection, data: Buffer, binary: boolean): void {
    this.#core.statistics.bytesReceived += data.length;
    if (connection.isAdmitted && !connection.isMuted && !connection.inbox?.frames.length && !this.#isFull(connection)) {
      return this.#take(connection, data, binary);
    }
    connection.keep(data, binary);
    this.#bound(connection);
  }

  /** Whether another message could neither run now nor wait in parsed form. */
  #isFull({ running, inbox }: ClientConnection): boolean {
    const { concurrency, maxWaiting } = this.#core.settings.message;
    return running >= concurrency && inbox?.isFull(maxWaiting) === true;
  }

  /** Pauses a connection with many waiting messages, and closes one with too many. */
  #bound(connection: ClientConnection): void {
    const { maxPayload, message: { maxWaiting, maxWaitingBytes } } = this.#core.settings;
    const inbox = connection.inbox!;
    if (connection.isMuted || inbox.isFull(maxWaiting) || inbox.frames.length >= maxWaiting || inbox.bytes >= LARGE) {
      if (!connection.isPaused) connection.pause();
    }
    // Pausing is not a bound: frames that were already read, or are being inflated, still arrive.
    if (inbox.bytes > 2 * maxPayload + INBOX_MARGIN) this.#overflow(connection);
    while (this.inboxes.bytes > maxWaitingBytes) {
      const { largest } = this.inboxes;
      if (!largest) break;
      this.#overflow(largest);
    }
  }

  #overflow(connection: ClientConnection): void {
    this.#hub.dropped(connection, 'BACKLOG_FULL', connection.inbox!.clear());
    connection.cut(closeCodes.rateLimited, 'BACKLOG_FULL: too many messages wait');
  }

  /**
   * Handles a frame now, or queues its message. Messages of one connection run in order, unless `message.concurrency`
   * exceeds 1.
   */
  #take(connection: ClientConnection, data: Buffer, binary: boolean): void {
    const size = data.length;
    if (this.guards.size > 0 && !this.#passes(connection, data, binary)) return;
    const message = this.#decode(connection, data, binary);
    if (!message) return;
    if (message.replyTo !== undefined) {
      const outcome = connection.settle(message);
      if (outcome === 'settled') for (const guard of this.guards) guard.refund(connection, size);
      if (outcome !== 'unknown' || message.type === 'ack') return;
    }
    if (connection.running < this.#core.settings.message.concurrency && !connection.inbox?.messages.length) {
      return this.#start(connection, message);
    }
    connection.keepMessage(message, size);
    this.#bound(connection);
  }

  /** Whether the guards let a frame pass. */
  #passes(connection: ClientConnection, data: Buffer, binary: boolean): boolean {
    for (const guard of this.guards) {
      const verdict = guard.charge(connection, data.length);
      if (verdict === undefined) continue;
      if (verdict instanceof ModuleError) this.#refuse(connection, data, binary, verdict);
      else this.#mute(connection, data, binary, verdict);
      return false;
    }
    return true;
  }

  /** Replies to a refused frame. A short frame is parsed for its id. */
  #refuse(connection: ClientConnection, data: Buffer, binary: boolean, error: ModuleError): void {
    this.#core.statistics.received++;
    let id: string | undefined;
    if (!binary && connection.codec === json && data.length <= MAX_BYTES_FOR_ID) {
      try {
        id = idOf(JSON.parse(data.toString()));
      } catch {
        // It is not JSON, so it has no id to reply to.
      }
    }
    this.#fail(connection, error, id);
  }

  /** Keeps a client's frames waiting, unparsed, until the promise resolves. */
  #mute(connection: ClientConnection, data: Buffer, binary: boolean, until: Promise<void>): void {
    connection.isMuted = true;
    connection.keepFirst(data, binary);
    this.#bound(connection);
    const end = (): void => {
      connection.isMuted = false;
      this.proceed(connection);
    };
    until.then(end, (error: unknown) => {
      this.#core.report(toError(error), { phase: 'message', connection });
      end();
    });
  }

  #decode(connection: ClientConnection, data: Buffer, binary: boolean): Message | undefined {
    const { maxDepth, maxValues, message: { maxInvalid } } = this.#core.settings;
    const { codec } = connection;
    let value: unknown;
    try {
      if (binary === codec.binary) {
        value = codec.decode(binary ? data : data.toString(), maxDepth, maxValues);
        const message = toMessage(value, maxDepth, codec === json ? data.length : undefined);
        // The handler of `binary` expects bytes.
        if (message.type === 'binary' && !binary) {
          throw new Refusal('INVALID_MESSAGE', { reason: 'the type "binary" is that of binary frames' });
        }
        return message;
      }
      if (!binary) {
        throw new Refusal('INVALID_MESSAGE', { reason: `the subprotocol "${codec.name}" has only binary frames` });
      }
      const message = new Message({ type: 'binary', content: data });
      if (!this.handlers.find(message, connection)) throw new ModuleError('BINARY_UNSUPPORTED');
      return message;
    } catch (thrown) {
      this.#core.statistics.received++;
      this.#fail(
        connection,
        thrown instanceof Refusal ? new ModuleError<string>(thrown.code, thrown.details) : thrown,
        idOf(value),
      );
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
    const route = (message.route = this.#find(message, connection));
    if (route !== undefined && route.type !== '*') message.type = route.type;
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
    Promise.resolve(result).then(
      (value) => this.#settle(task, value),
      (error: unknown) => this.#settle(task, error, true),
    );
  }

  #find(message: Message, connection: ClientConnection): Route | undefined {
    try {
      return this.handlers.find(message, connection);
    } catch (error) {
      // A route that throws refuses after the layers, like a handler.
      return { type: '*', handler: () => { throw error; } };
    }
  }

  #settle(task: Task, outcome: unknown, failed = false): void {
    const { connection, message } = task;
    if (!this.#tasks.items.delete(task)) {
      // The peer was told HANDLER_TIMEOUT; a later error is reported all the same.
      if (failed) this.#core.report(toError(outcome), { phase: 'message', message, connection });
      return;
    }
    connection.running--;
    this.#finish(connection, message, task.startedAt, outcome, failed);
    if (connection.inbox) this.proceed(connection);
    for (const tell of task.whenSettled ?? []) tell();
  }

  /** Handles waiting messages, as far as possible now. */
  proceed(connection: ClientConnection): void {
    const { message: { concurrency, maxWaiting } } = this.#core.settings;
    const { inbox } = connection;
    // Messages of a client that left are still handled; those of a connection that was closed are not.
    while (inbox && connection.running < concurrency && !connection.isEnded && !connection.isMuted) {
      const message = inbox.shiftMessage();
      if (message) this.#start(connection, message);
      else if (!this.#takeNext(connection)) break;
    }
    // Parse further frames while a handler runs: one of them may be the reply that it awaits.
    while (
      inbox
      && !connection.isEnded
      && !connection.isMuted
      && !inbox.isFull(maxWaiting)
      && this.#takeNext(connection)
    );
    const isLow = !inbox || (inbox.messages.length + inbox.frames.length <= maxWaiting / 2 && inbox.bytes < LARGE);
    if (isLow && connection.isPaused && connection.isOpen && !connection.isMuted) connection.resume();
  }

  #takeNext(connection: ClientConnection): boolean {
    const frame = connection.inbox!.shiftFrame();
    if (frame) this.#take(connection, ...frame);
    return frame !== undefined;
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
      this.#core.log
        .child('message')
        .debug('handled', {
          type: message.type,
          id: message.id,
          connection: connection.id,
          duration,
          code: error?.code,
        });
    }
    if (this.#core.hooks.has('message:handled')) {
      this.#core.hooks.emit(
        'message:handled',
        error ? { message, connection, duration, error } : { message, connection, duration },
      );
    }
  }

  #reply(connection: ClientConnection, message: Message, result: unknown): void {
    if (result === undefined && !message.ack) return;
    const reply =
      result === undefined
        ? { type: 'ack' }
        : isSendable(result)
          ? result
          : { type: message.typeAsSent, content: result };
    this.#hub.transmit(connection, reply, message.id ?? '');
    message.isAnswered = true;
  }

  /** Sends the exposed part of an error to the peer, and reports all of it. Returns what the peer was told. */
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
    // If the details cannot be encoded, send code and text alone.
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

  /** The error as the peer may see it. An error that is not exposed is reported. */
  present(thrown: unknown, context: ErrorContext): ModuleError {
    const mapped = this.#map(thrown) ?? thrown;
    const shown =
      mapped instanceof ModuleError && mapped.expose
        ? mapped
        : new ModuleError('INTERNAL_ERROR', {}, { cause: thrown });
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

/** The id of a decoded value, where it has one. */
function idOf(value: unknown): string | undefined {
  return isRecord(value) && typeof value.id === 'string' && value.id.length <= 128 ? value.id : undefined;
}
