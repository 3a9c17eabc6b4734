import type { Clock } from './clock.ts';
import { compose, type Run } from './compose.ts';
import type { ClientConnection } from './connection.ts';
import type { ErrorContext, Handler, MessageLayer } from './contracts.ts';
import { ModuleError, toError } from './errors.ts';
import type { HookBus } from './hooks.ts';
import type { Hub } from './hub.ts';
import type { Settings } from './options.ts';
import { canonical, isRecord, Message, Refusal, toMessage } from './protocol.ts';
import { Registry } from './registry.ts';
import type { Statistics } from './statistics.ts';

/** A message whose handler has not finished. */
interface Task {
  readonly message: Message;
  readonly connection: ClientConnection;
  readonly fold: Fold;
  readonly startedAt: number;
  settled: boolean;
}

/** The layers as they stood when a message came, and how many messages are still in them. */
class Fold {
  readonly run: Run;
  running = 0;

  constructor(run: Run) {
    this.run = run;
  }
}

/** What a dispatcher needs of its kernel. */
export interface DispatcherParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly hub: Hub;
  readonly hooks: HookBus;
  readonly statistics: Statistics;
  report(error: Error, context: ErrorContext): void;
}

type ErrorMap = (error: unknown) => ModuleError | undefined;

/** Frame → message → layers → handler → reply. Whatever happens, the peer is told. */
export class Dispatcher {
  readonly handlers = new Registry<Handler>('handler');
  /** Maps of errors to what the peer sees. */
  readonly errorMaps = new Set<ErrorMap>();
  readonly #layers: MessageLayer[] = [];
  readonly #parts: DispatcherParts;
  #fold = new Fold(compose([], (message, connection) => this.#handle(message, connection as ClientConnection)));
  /** Unfinished tasks in the order of their deadlines, with finished ones between. */
  #tasks: Task[] = [];
  #live = 0;
  #watched = false;
  #whenIdle: (() => void)[] = [];
  /** Folds that were replaced with messages in them. */
  readonly #retired = new Set<Fold>();
  #whenRetired: (() => void)[] = [];

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  get layerCount(): number {
    return this.#layers.length;
  }

  /** Messages in a handler now. */
  get inFlight(): number {
    return this.#live;
  }

  addLayer(layer: MessageLayer): () => void {
    this.#layers.push(layer);
    this.#refold();
    return () => {
      this.#layers.splice(this.#layers.indexOf(layer), 1);
      this.#refold();
    };
  }

  #refold(): void {
    const old = this.#fold;
    this.#fold = new Fold(compose([...this.#layers], (message, connection) => this.#handle(message, connection as ClientConnection)));
    if (old.running > 0) this.#retired.add(old);
  }

  /** Resolves when the messages that are in the layers and handlers now have left them. */
  async quiesce(): Promise<void> {
    this.#refold();
    const retired = [...this.#retired];
    while (retired.some((fold) => this.#retired.has(fold))) await new Promise<void>((resolve) => this.#whenRetired.push(resolve));
  }

  /** Resolves when no message is in a handler. */
  idle(): Promise<void> {
    return this.#live === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** A frame came. Messages of one connection run one after the other, unless `message.concurrency` says otherwise. */
  receive(connection: ClientConnection, data: Buffer, binary: boolean): void {
    const { concurrency, maxWaiting } = this.#parts.settings.message;
    this.#parts.statistics.bytesReceived += data.length;
    const message = this.#decode(connection, data, binary);
    if (!message) return;
    if (message.replyTo !== undefined && (connection.settle(message) || message.type === 'ack')) return;
    if (connection.running < concurrency) return this.#run(connection, message);
    const waiting = (connection.waiting ??= []);
    waiting.push(message);
    if (waiting.length >= maxWaiting && !connection.isPaused) connection.pause();
  }

  #decode(connection: ClientConnection, data: Buffer, binary: boolean): Message | undefined {
    const { maxDepth, message: { maxInvalid } } = this.#parts.settings;
    const { codec } = connection;
    let value: unknown;
    try {
      if (binary === codec.binary) {
        value = codec.decode(binary ? data : data.toString(), maxDepth);
        const message = toMessage(value, maxDepth);
        connection.invalid = 0;
        return message;
      }
      if (!binary) throw new Refusal('INVALID_MESSAGE', { reason: `the subprotocol "${codec.name}" has only binary frames` });
      if (!this.handlers.get('binary') && !this.handlers.get('*')) throw new ModuleError('BINARY_UNSUPPORTED');
      return new Message({ type: 'binary', content: data });
    } catch (thrown) {
      this.#parts.statistics.message(performance.now());
      const id = isRecord(value) && typeof value['id'] === 'string' && value['id'].length <= 128 ? value['id'] : undefined;
      this.#fail(connection, thrown instanceof Refusal ? new ModuleError<string>(thrown.code, thrown.details) : thrown, id);
      if (++connection.invalid >= maxInvalid) {
        const error = new ModuleError('TOO_MANY_INVALID', { limit: maxInvalid });
        connection.close(error.closeCode, error.message);
      }
      return undefined;
    }
  }

  #run(connection: ClientConnection, message: Message): void {
    const startedAt = performance.now();
    const fold = this.#fold;
    this.#parts.statistics.message(startedAt);
    if (this.#parts.hooks.has('message:received')) this.#parts.hooks.emit('message:received', { message, connection });
    let result: unknown;
    try {
      result = fold.run(message, connection);
    } catch (error) {
      return this.#finish(connection, message, startedAt, error, undefined);
    }
    // No promise where nothing is asynchronous.
    if (!isThenable(result)) return this.#finish(connection, message, startedAt, undefined, result);
    const task: Task = { message, connection, fold, startedAt, settled: false };
    connection.running++;
    fold.running++;
    this.#live++;
    this.#watch(task);
    result.then((value) => this.#settle(task, undefined, value), (error: unknown) => this.#settle(task, error ?? new Error('rejected without a reason'), undefined));
  }

  #handle(message: Message, connection: ClientConnection): unknown {
    const handler = this.handlers.get(message.type) ?? this.handlers.get(canonical(message.type)) ?? this.handlers.get('*');
    if (!handler) throw new ModuleError('UNKNOWN_TYPE', { type: message.type });
    return handler(message, connection);
  }

  // Deadlines. All tasks have the same patience, so the order of their start is the order of their deadlines; one deadline of the clock serves them all.

  #watch(task: Task): void {
    // Finished tasks are swept out when they are the larger part: a constant cost per task, however long one hangs.
    if (this.#tasks.length > 2 * this.#live + 64) this.#tasks = this.#tasks.filter(({ settled }) => !settled);
    this.#tasks.push(task);
    if (!this.#watched) this.#wakeAt(task.startedAt);
  }

  #wakeAt(startedAt: number): void {
    this.#watched = true;
    this.#parts.clock.after(startedAt + this.#parts.settings.message.timeout - performance.now(), () => this.#expire());
  }

  #expire(): void {
    const { timeout } = this.#parts.settings.message;
    const before = performance.now() - timeout;
    this.#watched = false;
    this.#tasks = this.#tasks.filter(({ settled }) => !settled);
    const late = this.#tasks.filter(({ startedAt }) => startedAt <= before);
    for (const task of late) this.#settle(task, new ModuleError('HANDLER_TIMEOUT', { type: task.message.type, timeout }), undefined);
    const next = this.#tasks.find(({ settled }) => !settled);
    if (next && !this.#watched) this.#wakeAt(next.startedAt);
  }

  #settle(task: Task, error: unknown, value: unknown): void {
    if (task.settled) {
      // The peer was told HANDLER_TIMEOUT; an error that comes later is still somebody's.
      if (error !== undefined) this.#parts.report(toError(error), { phase: 'message', message: task.message, connection: task.connection });
      return;
    }
    const { connection, fold } = task;
    task.settled = true;
    connection.running--;
    this.#live--;
    this.#finish(connection, task.message, task.startedAt, error, value);
    if (--fold.running === 0 && this.#retired.delete(fold)) for (const resolve of this.#whenRetired.splice(0)) resolve();
    this.#next(connection);
    if (this.#live === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #next(connection: ClientConnection): void {
    const { concurrency, maxWaiting } = this.#parts.settings.message;
    const { waiting } = connection;
    if (!waiting) return;
    // A client that left may have sent these before; one that we sent away has no say any more.
    while (waiting.length > 0 && connection.running < concurrency && !connection.isEnded) this.#run(connection, waiting.shift()!);
    if (waiting.length <= maxWaiting / 2 && connection.isPaused && connection.isOpen) connection.resume();
  }

  // Answers

  #finish(connection: ClientConnection, message: Message, startedAt: number, thrown: unknown, result: unknown): void {
    let error = thrown === undefined ? undefined : this.#fail(connection, thrown, message.id, message);
    if (error === undefined) {
      try {
        this.#reply(connection, message, result);
      } catch (cause) {
        error = this.#fail(connection, cause, message.id, message);
      }
    }
    const duration = performance.now() - startedAt;
    this.#parts.statistics.response(duration);
    if (this.#parts.hooks.has('message:handled')) this.#parts.hooks.emit('message:handled', { message, connection, duration, ...(error ? { error } : {}) });
  }

  #reply(connection: ClientConnection, message: Message, result: unknown): void {
    const replyTo = message.id;
    if (result === undefined) {
      if (message.ack) this.#parts.hub.send(connection, { type: 'ack' }, replyTo ?? '');
    } else if (result instanceof Uint8Array) {
      this.#parts.hub.send(connection, result, replyTo ?? '');
    } else if (typeof result === 'object' && result !== null && typeof (result as { type?: unknown }).type === 'string') {
      this.#parts.hub.send(connection, result as { type: string }, replyTo);
    } else {
      this.#parts.hub.send(connection, { type: message.type, content: result }, replyTo);
    }
  }

  /** Tells the peer what it may know of an error, and the `error` event the whole of it. Returns what the peer was told. */
  #fail(connection: ClientConnection, thrown: unknown, replyTo: string | undefined, message?: Message): ModuleError {
    const error = this.present(thrown);
    this.#parts.statistics.error(error.code);
    if (error.code === 'INTERNAL_ERROR') this.#parts.report(toError(thrown), { phase: 'message', connection, ...(message ? { message } : {}) });
    try {
      const content = { ...error.details, code: error.code, message: error.message };
      this.#parts.hub.send(connection, { type: 'error', content }, replyTo ?? '');
    } catch (cause) {
      this.#parts.report(toError(cause), { phase: 'send', connection });
    }
    return error;
  }

  /** An error as the peer may see it. */
  present(thrown: unknown): ModuleError {
    for (const map of this.errorMaps) {
      try {
        const mapped = map(thrown);
        if (mapped) return mapped.expose ? mapped : new ModuleError('INTERNAL_ERROR', {}, { cause: thrown });
      } catch (error) {
        this.#parts.report(toError(error), { phase: 'message' });
      }
    }
    if (thrown instanceof ModuleError && thrown.expose) return thrown;
    return new ModuleError('INTERNAL_ERROR', {}, { cause: thrown });
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
