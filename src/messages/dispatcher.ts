import type { ClientConnection } from '../connection/connection.ts';
import { isBinary } from '../connection/frame.ts';
import type { ErrorContext, Escape, MessageLayer } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import { isRecord, type Message } from '../protocol.ts';
import type { Core } from '../runtime/core.ts';
import { UndoList } from '../runtime/scope.ts';
import { TimeoutQueue } from '../runtime/timeout-queue.ts';
import { withArgumentFields } from './argument-fields.ts';
import { compose, isThenable, type Run } from './compose.ts';
import { escapeBefore, escapeNothing, escapeOf } from './escaping.ts';
import { HandlerTable } from './handler-table.ts';
import type { Hub } from './hub.ts';

/** A message whose handler has not finished. */
interface Task {
  readonly message: Message;
  readonly connection: ClientConnection;
  readonly startedAt: number;
  /** Called when it has finished. */
  finishWaiters: (() => void)[] | undefined;
}

type ErrorMap = (error: unknown) => ModuleError | undefined;

const handle: Run = (message, connection) => {
  if (!message.route) throw new ModuleError('UNKNOWN_TYPE', { type: message.typeAsSent });
  // Only a message that passed the layers resets the counter.
  (connection as ClientConnection).invalid = 0;
  return message.route.handler(message, connection);
};

/** Dispatcher runs each message through the layers and its handler, and sends the reply or the error. */
export class Dispatcher {
  readonly handlers = new HandlerTable();
  /** Functions of plugins that map errors to those that clients see. */
  readonly errorMaps = new UndoList<ErrorMap>();
  /** Folded into one function when they change. */
  readonly layers = new UndoList<MessageLayer>(() => this.#fold());

  readonly #core: Core;
  readonly #hub: Hub;
  readonly #finished: (connection: ClientConnection) => void;
  #run: Run = handle;
  #escape = escapeNothing;
  readonly #tasks: TimeoutQueue<Task>;

  /** @param finished called when an asynchronous handler of a connection has finished */
  constructor(hub: Hub, finished: (connection: ClientConnection) => void) {
    const { clock, settings: { message: { timeout } } } = hub.core;
    this.#core = hub.core;
    this.#hub = hub;
    this.#finished = finished;
    this.#tasks = new TimeoutQueue(clock, timeout, (task) => {
      this.#settle(task, new ModuleError('HANDLER_TIMEOUT', { type: task.message.type, timeout }), true);
    });
  }

  /** Escapes a client's text before it is sent on. */
  readonly escape: Escape = (value) => this.#escape(value);

  #fold(): void {
    const layers = [...this.layers];
    this.#escape = escapeOf(layers);
    const run = compose(layers, escapeBefore(handle, this.#escape));
    this.#run = layers.length === 0 ? run : withArgumentFields(run);
  }

  /** The number of its deadlines on the shared clock. */
  get deadlines(): number { return this.#tasks.deadlines; }

  /** The number of messages in a handler. */
  get inFlight(): number { return this.#tasks.items.size; }

  /** Resolves when the messages that are in a handler now have finished. Later messages are not awaited. */
  async quiesce(): Promise<void> {
    await Promise.all(
      [...this.#tasks.items].map((task) => new Promise<void>((resolve) => (task.finishWaiters ??= []).push(resolve))),
    );
  }

  /** Resolves when no message is in a handler. */
  async whenIdle(): Promise<void> {
    while (this.inFlight > 0) await this.quiesce();
  }

  /** Runs a message through layers and handler. */
  start(connection: ClientConnection, message: Message): void {
    const startedAt = performance.now();
    this.#core.statistics.received++;
    const until = this.handlers.settle(message, connection);
    if (this.#core.hooks.has('message:received')) this.#core.hooks.emit('message:received', { message, connection });
    let result: unknown;
    let isAsync: boolean;
    try {
      result = until ? this.#runAfter(until, message, connection) : this.#run(message, connection);
      isAsync = isThenable(result);
    } catch (error) {
      return this.#finish(connection, message, startedAt, error, true);
    }
    // Without a promise if nothing is asynchronous.
    if (!isAsync) return this.#finish(connection, message, startedAt, result);
    const task: Task = { message, connection, startedAt, finishWaiters: undefined };
    connection.running++;
    this.#tasks.add(task);
    Promise.resolve(result).then(
      (value) => this.#settle(task, value),
      (error: unknown) => this.#settle(task, error, true),
    );
  }

  async #runAfter(until: Promise<unknown>, message: Message, connection: ClientConnection): Promise<unknown> {
    let pending: Promise<unknown> | undefined = until;
    for (; pending; pending = this.handlers.settle(message, connection)) await pending;
    return this.#run(message, connection);
  }

  #settle(task: Task, outcome: unknown, failed = false): void {
    const { connection, message } = task;
    if (!this.#tasks.items.delete(task)) {
      // The client was sent HANDLER_TIMEOUT. A later error of the handler is reported.
      if (failed) this.#core.report(toError(outcome), { phase: 'message', message, connection });
      return;
    }
    connection.running--;
    this.#finish(connection, message, task.startedAt, outcome, failed);
    if (connection.inbox) this.#finished(connection);
    for (const resolve of task.finishWaiters ?? []) resolve();
  }

  // Replies

  /** @param outcome what the handler returned; if `failed`, what it threw */
  #finish(connection: ClientConnection, message: Message, startedAt: number, outcome: unknown, failed = false): void {
    let error: ModuleError | undefined;
    try {
      if (failed) error = this.fail(connection, outcome, message.id, message);
      else this.#reply(connection, message, outcome);
    } catch (cause) {
      error = this.fail(connection, cause, message.id, message);
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

  /** Sends the part of an error that clients may see, and reports the error. Returns the error that was sent. */
  fail(connection: ClientConnection, thrown: unknown, replyTo: string | undefined, message?: Message): ModuleError {
    const error = this.present(thrown, { phase: 'message', connection, ...(message ? { message } : {}) });
    this.#core.statistics.error(error.code);
    if (message?.isAnswered) {
      if (error.code !== 'INTERNAL_ERROR') this.#core.report(error, { phase: 'message', message, connection });
      return error;
    }
    if (message) message.isAnswered = true;
    const summary = { code: error.code, message: error.message };
    const where = message?.namespace === undefined ? {} : { namespace: message.namespace };
    // If the details cannot be encoded, send code and text alone.
    for (const content of [{ ...error.details, ...summary }, summary]) {
      try {
        this.#hub.transmit(connection, { type: 'error', content, ...where }, replyTo ?? '');
        break;
      } catch (cause) {
        this.#core.report(toError(cause), { phase: 'send', connection });
      }
    }
    return error;
  }

  /** Returns the error that clients may see instead of the given one. An error that is hidden from them is reported. */
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

/** Whether a handler returned a message or bytes. Any other value is the content of a reply. */
function isSendable(value: unknown): value is Parameters<Hub['transmit']>[1] {
  return isBinary(value) || (isRecord(value) && typeof value.type === 'string');
}
