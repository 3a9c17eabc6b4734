import { setTimeout as delay } from 'node:timers/promises';
import { ModuleError, toError } from '../../src/index.ts';
import { CONNECT_TIMEOUT, replyCode, type OpenConnection, type RedisConnection } from './redis-connection.ts';
import { isPermanent } from './redis-server-info.ts';

/**
 * Milliseconds of one tick. Links count time in ticks, and do not read a clock: if the process was suspended, answers
 * that arrived in this time would be late by a clock.
 */
export const TICK = 250;
/** Milliseconds after which a command without an answer fails, and the connections are replaced. */
export const COMMAND_TIMEOUT = 2_000;
/** Maximum number of commands that wait while the link is down. */
export const MAX_WAITING = 1_000;
/** Maximum bytes of all commands that wait for an answer. */
export const MAX_UNANSWERED_BYTES = 16 * 2 ** 20;
/** Maximum milliseconds between two attempts to connect: at first, and after some attempts. The delay is random. */
const [FIRST_DELAY, MAX_DELAY] = [100, 1_000];
/** Milliseconds after which start() gives up. */
export const START_TIMEOUT = 5_000;
/** If a link was up for this many ticks, the delays begin again with FIRST_DELAY. */
const STEADY_TICKS = 10_000 / TICK;

type Work = (connection: RedisConnection) => Promise<unknown>;

/** A command that waits for the link or for its answer. */
interface Call {
  readonly name: string;
  readonly bytes: number;
  readonly work: Work;
  readonly since: number;
  resolve(value: any): void;
  reject(error: Error): void;
}

export interface LinkOptions {
  readonly open: OpenConnection;
  /** Prepares a new connection. The link is up when it resolves. */
  prepare(connection: RedisConnection): Promise<void>;
  /** Called when the link has come up or gone down, and when the reason why it is down has changed. */
  changed(): void;
  /** Called when a command was not answered in time. */
  silent(reason: Error): void;
  /** Called when Redis refused a command. `code` is the first word of the reply. */
  refused?(code: string, error: Error): void;
  message?(channel: string, message: Buffer): void;
  /** Called when the server has ended the subscription of a channel, because another server has its slot now. */
  moved?(): void;
}

/** RedisLink holds one connection to Redis, and replaces it when it is lost or silent. */
export class RedisLink {
  readonly #options: LinkOptions;
  readonly #waiting = new Set<Call>();
  readonly #sent = new Set<Call>();
  #connection: RedisConnection | undefined;
  #state: 'new' | 'up' | 'down' | 'stopped' = 'new';
  #reason: Error | undefined;
  #downSince = new Date();
  #ticks = 0;
  #upAt = 0;
  #failures = 0;
  #unanswered = 0;
  #hasReceived = false;
  #idle: (() => void) | undefined;
  readonly #end = new AbortController();

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get isUp(): boolean { return this.#state === 'up'; }

  /** Why the link is down, and since when. Undefined while it is up. */
  get trouble(): { readonly reason: string; readonly since: Date } | undefined {
    if (this.isUp) return undefined;
    return { reason: this.#reason?.message ?? 'it is not connected yet', since: this.#downSince };
  }

  get waiting(): number { return this.#waiting.size + this.#sent.size; }

  /** Connects. Tries again for START_TIMEOUT, unless the error is permanent. */
  async start(): Promise<void> {
    const end = performance.now() + START_TIMEOUT;
    for (;;) {
      try {
        await this.#connect();
        return;
      } catch (error) {
        if (isPermanent(toError(error)) || performance.now() > end || this.#end.signal.aborted) throw error;
        await delay(Math.random() * MAX_DELAY / 2);
      }
    }
  }

  /** Connects in the background. Tries again until an attempt succeeds. */
  open(): void {
    if (this.#state !== 'new') return;
    this.#state = 'down';
    void this.#reconnect(0);
  }

  /**
   * Runs work on the connection. While the link is down, the work waits for the next connection.
   * @throws ADAPTER_REFUSED, ADAPTER_TIMEOUT, ADAPTER_UNAVAILABLE, ADAPTER_BACKLOG_FULL
   */
  run<T>(name: string, bytes: number, work: (connection: RedisConnection) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#state === 'stopped') throw unavailable(name, 'the adapter is stopped');
      if (this.#waiting.size >= MAX_WAITING) throw full(name, MAX_WAITING, 'commands');
      if (this.#unanswered + bytes > MAX_UNANSWERED_BYTES) throw full(name, MAX_UNANSWERED_BYTES, 'bytes');
      this.#unanswered += bytes;
      const call: Call = { name, bytes, work, since: this.#ticks, resolve, reject };
      if (this.#state === 'up') this.#send(call);
      else this.#waiting.add(call);
    });
  }

  /** Destroys the connection, and opens a new one. */
  replace(reason: Error): void {
    if (this.#state === 'up') this.#lose(reason);
  }

  /** Called every TICK milliseconds. Returns whether anything was received since the previous call. */
  tick(): boolean {
    this.#ticks++;
    const hasReceived = this.#hasReceived;
    this.#hasReceived = false;
    const limit = this.#ticks - COMMAND_TIMEOUT / TICK;
    for (const call of this.#waiting) {
      if (call.since > limit) break;
      this.#waiting.delete(call);
      this.#settle(call).reject(unavailable(call.name, this.trouble?.reason ?? ''));
    }
    // Redis answers in order, so only the oldest command is checked.
    const [oldest] = this.#sent;
    if (oldest && oldest.since <= limit) {
      const error = new ModuleError('ADAPTER_TIMEOUT', { command: oldest.name, timeout: COMMAND_TIMEOUT });
      this.#sent.delete(oldest);
      this.#settle(oldest).reject(error);
      this.#lose(error);
      this.#options.silent(error);
    }
    return hasReceived;
  }

  /** Waits for the answers to sent commands, up to COMMAND_TIMEOUT, and destroys the connection. */
  async stop(reason = 'the adapter is stopped'): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#end.abort();
    if (this.#sent.size > 0) {
      const answered = new Promise<void>((resolve) => { this.#idle = resolve; });
      await within(COMMAND_TIMEOUT, answered, new Error('late')).catch(() => undefined);
    }
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#fail(reason);
  }

  #send(call: Call): void {
    this.#sent.add(call);
    // In an async function, because a closed client may throw.
    const answer = (async () => call.work(this.#connection!))();
    answer.then((value) => {
      this.#hasReceived = true;
      if (this.#sent.delete(call)) this.#settle(call).resolve(value);
    }, (cause: unknown) => {
      if (this.#sent.delete(call)) this.#refuse(call, toError(cause));
    });
  }

  #refuse(call: Call, cause: Error): void {
    const code = replyCode(cause);
    this.#settle(call);
    if (code === undefined) {
      call.reject(unavailable(call.name, cause.message, cause));
      return;
    }
    this.#hasReceived = true;
    call.reject(new ModuleError('ADAPTER_REFUSED', { command: call.name, reply: cause.message }, { cause }));
    this.#options.refused?.(code, cause);
  }

  #settle(call: Call): Call {
    this.#unanswered -= call.bytes;
    if (this.#sent.size === 0) this.#idle?.();
    return call;
  }

  #lose(reason: Error): void {
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#state = 'down';
    this.#reason = reason;
    this.#downSince = new Date();
    if (this.#ticks - this.#upAt >= STEADY_TICKS) this.#failures = 0;
    for (const call of [...this.#sent]) {
      this.#sent.delete(call);
      this.#settle(call).reject(unavailable(call.name, reason.message, reason));
    }
    this.#options.changed();
    void this.#reconnect();
  }

  /** Tries to connect until an attempt succeeds or the link is stopped. */
  async #reconnect(longest = this.#nextDelay()): Promise<void> {
    const { signal } = this.#end;
    let wait = longest;
    while (this.#state === 'down') {
      try {
        await delay(Math.random() * wait, undefined, { signal });
        await this.#connect();
      } catch (error) {
        if (signal.aborted) return;
        this.#reason = toError(error);
        wait = this.#nextDelay();
        this.#options.changed();
      }
    }
  }

  #nextDelay(): number { return Math.min(MAX_DELAY, FIRST_DELAY * 2 ** this.#failures++); }

  async #connect(): Promise<void> {
    let lost: (reason: Error) => void = () => undefined;
    const failed = new Promise<never>((_, reject) => { lost = reject; });
    failed.catch(() => undefined);
    const connection = this.#options.open({
      message: (channel, message) => {
        this.#hasReceived = true;
        this.#options.message?.(channel, message);
      },
      closed: (reason) => {
        if (this.#state === 'up' && this.#connection === connection) this.#lose(reason);
        else lost(reason);
      },
      moved: () => this.#options.moved?.(),
    });
    this.#connection = connection;
    try {
      const late = new Error(`the connection was not ready within ${CONNECT_TIMEOUT} ms`);
      await Promise.race([within(CONNECT_TIMEOUT, connection.ready, late), failed]);
      await Promise.race([this.#options.prepare(connection), failed]);
      // In the same turn as the end of prepare(), so that no subscription is missed.
      this.#up();
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  #up(): void {
    if (this.#state === 'stopped') throw new Error('the adapter is stopped');
    this.#state = 'up';
    this.#reason = undefined;
    this.#upAt = this.#ticks;
    this.#hasReceived = true;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const call of waiting) this.#send({ ...call, since: this.#ticks });
    this.#options.changed();
  }

  #fail(reason: string): void {
    for (const call of [...this.#sent, ...this.#waiting]) this.#settle(call).reject(unavailable(call.name, reason));
    this.#sent.clear();
    this.#waiting.clear();
  }
}

const unavailable = (command: string, reason: string, cause?: Error): ModuleError =>
  new ModuleError('ADAPTER_UNAVAILABLE', { command, reason }, { cause });

const full = (command: string, limit: number, of: 'commands' | 'bytes'): ModuleError =>
  new ModuleError('ADAPTER_BACKLOG_FULL', { command, limit, of });

/** Settles like the work, or rejects with `late` if the work takes longer. */
export async function within<T>(milliseconds: number, work: Promise<T>, late: Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(reject, milliseconds, late);
  });
  return Promise.race([work, expiry]).finally(() => clearTimeout(timer));
}
