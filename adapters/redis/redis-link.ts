import { setTimeout as delay } from 'node:timers/promises';
import { ModuleError, toError } from '../../src/index.ts';
import { CONNECT_TIMEOUT, replyCode, type OpenConnection, type RedisConnection } from './redis-connection.ts';
import { isPermanent } from './redis-server-info.ts';

/**
 * A link counts time in these steps, because a process that was suspended has its answers waiting: a clock would say
 * that they are late.
 */
export const TICK = 250;
/** Milliseconds after which a command that is not answered fails, and the links are replaced. */
export const COMMAND_TIMEOUT = 2_000;
/** Commands that may wait for a link that is down. */
export const MAX_WAITING = 1_000;
/** Bytes that may be unanswered on a link that is up. */
const MAX_UNANSWERED_BYTES = 16 * 2 ** 20;
/** Full jitter between attempts, up to these milliseconds. */
const [FIRST_DELAY, MAX_DELAY] = [100, 1_000];
/** Milliseconds for which the first connection is tried. */
const START_TIMEOUT = 5_000;
/** A link that was up for so long starts again with the shortest delay. */
const STEADY_TICKS = 10_000 / TICK;

type Work = (connection: RedisConnection) => Promise<unknown>;

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
  /** Makes a new connection usable; the link is up when it resolves. */
  prepare(connection: RedisConnection): Promise<void>;
  /** The link is up, or down, or down for another reason. */
  changed(): void;
  /** A command was not answered in time. */
  silent(reason: Error): void;
  /** Redis refused a command; `code` is the first word of its reply. */
  refused?(code: string, error: Error): void;
  message?(channel: string, message: Buffer): void;
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
  #heard = false;
  #idle: (() => void) | undefined;
  readonly #end = new AbortController();

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get isUp(): boolean { return this.#state === 'up'; }

  /** Why it is down, and since when; `undefined` while it is up. */
  get trouble(): { readonly reason: string; readonly since: Date } | undefined {
    if (this.isUp) return undefined;
    return { reason: this.#reason?.message ?? 'it is not connected yet', since: this.#downSince };
  }

  get waiting(): number { return this.#waiting.size + this.#sent.size; }

  /** Connects, and tries again for some seconds where that can help. */
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

  /**
   * Does work on the connection, or on the next one when it is down.
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

  /** Destroys the connection, and makes another one. */
  replace(reason: Error): void {
    if (this.#state === 'up') this.#lose(reason);
  }

  /** Called every TICK milliseconds. Returns whether anything came since the last time. */
  tick(): boolean {
    this.#ticks++;
    const heard = this.#heard;
    this.#heard = false;
    const limit = this.#ticks - COMMAND_TIMEOUT / TICK;
    for (const call of this.#waiting) {
      if (call.since > limit) break;
      this.#waiting.delete(call);
      this.#settle(call).reject(unavailable(call.name, this.trouble?.reason ?? ''));
    }
    // Redis answers in order: the oldest one tells of all.
    const [oldest] = this.#sent;
    if (oldest && oldest.since <= limit) {
      const error = new ModuleError('ADAPTER_TIMEOUT', { command: oldest.name, timeout: COMMAND_TIMEOUT });
      this.#sent.delete(oldest);
      this.#settle(oldest).reject(error);
      this.#lose(error);
      this.#options.silent(error);
    }
    return heard;
  }

  /** Waits for what is sent, for one deadline at most, and ends. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#end.abort();
    if (this.#sent.size > 0) {
      const answered = new Promise<void>((resolve) => { this.#idle = resolve; });
      await within(COMMAND_TIMEOUT, answered, new Error('late')).catch(() => undefined);
    }
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#fail('the adapter is stopped');
  }

  #send(call: Call): void {
    this.#sent.add(call);
    // A client that is closed may throw.
    const answer = (async () => call.work(this.#connection!))();
    answer.then((value) => {
      this.#heard = true;
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
    this.#heard = true;
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

  /** Tries for ever. */
  async #reconnect(): Promise<void> {
    const { signal } = this.#end;
    while (this.#state === 'down') {
      const longest = Math.min(MAX_DELAY, FIRST_DELAY * 2 ** this.#failures++);
      try {
        await delay(Math.random() * longest, undefined, { signal });
        await this.#connect();
      } catch (error) {
        if (signal.aborted) return;
        this.#reason = toError(error);
        this.#options.changed();
      }
    }
  }

  async #connect(): Promise<void> {
    let lost: (reason: Error) => void = () => undefined;
    const failed = new Promise<never>((_, reject) => { lost = reject; });
    failed.catch(() => undefined);
    const connection = this.#options.open({
      message: (channel, message) => {
        this.#heard = true;
        this.#options.message?.(channel, message);
      },
      closed: (reason) => {
        if (this.#state === 'up' && this.#connection === connection) this.#lose(reason);
        else lost(reason);
      },
    });
    this.#connection = connection;
    try {
      const late = new Error(`the connection was not ready within ${CONNECT_TIMEOUT} ms`);
      await Promise.race([within(CONNECT_TIMEOUT, connection.ready, late), failed]);
      await Promise.race([this.#options.prepare(connection), failed]);
      // Nothing may come between the end of prepare() and this.
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
    this.#heard = true;
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

/** Resolves as the work does, or fails when it takes longer. */
export async function within<T>(milliseconds: number, work: Promise<T>, late: Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(reject, milliseconds, late);
  });
  return Promise.race([work, expiry]).finally(() => clearTimeout(timer));
}
