import { ModuleError, toError } from '../../src/index.ts';
import { COMMAND_TIMEOUT, TICK, within, type RedisLink } from './redis-link.ts';
import type { RedisConnection } from './redis-connection.ts';

/** Maximum number of channels in one SUBSCRIBE command. */
const CHUNK = 1_000;
/**
 * Ticks for which an unsubscribed channel stays subscribed in Redis, so that leaving and joining again costs nothing.
 */
const LINGER_TICKS = 3_000 / TICK;
/** Maximum number of such channels. Beyond it, the oldest ones are unsubscribed early. */
const MAX_LINGERING = 10_000;

export type Receive = (message: Buffer) => void;

/** The channels of all subscribe() calls in one turn, and the promise that these calls return. */
interface Batch {
  readonly promise: Promise<void>;
  readonly since: number;
  readonly channels: string[];
  resolve(): void;
  reject(error: Error): void;
}

interface Channel {
  readonly name: string;
  receive: Receive;
  isWanted: boolean;
  isSubscribed: boolean;
  batch: Batch | undefined;
  leftAt: number;
}

/** RedisSubscriptions keeps the channels of a node subscribed, also after the link has replaced its connection. */
export class RedisSubscriptions {
  readonly #channels = new Map<string, Channel>();
  readonly #lingering = new Set<Channel>();
  /** Batches that wait for the link to come up. */
  readonly #unsettled = new Set<Batch>();
  #link: RedisLink | undefined;
  #batch: Batch | undefined;
  #ticks = 0;

  get size(): number { return this.#channels.size - this.#lingering.size; }

  attach(link: RedisLink): void { this.#link = link; }

  /** @returns a promise that resolves when the channel is subscribed; undefined if it already is */
  subscribe(name: string, receive: Receive): Promise<void> | undefined {
    let channel = this.#channels.get(name);
    if (channel) {
      channel.receive = receive;
      channel.isWanted = true;
      this.#lingering.delete(channel);
    } else {
      channel = { name, receive, isWanted: true, isSubscribed: false, batch: undefined, leftAt: 0 };
      this.#channels.set(name, channel);
    }
    if (channel.isSubscribed) return undefined;
    if (!channel.batch) {
      channel.batch = this.#batch ??= this.#newBatch();
      channel.batch.channels.push(name);
    }
    return channel.batch.promise;
  }

  unsubscribe(name: string): void {
    const channel = this.#channels.get(name);
    if (!channel?.isWanted) return;
    channel.isWanted = false;
    channel.leftAt = this.#ticks;
    this.#lingering.add(channel);
  }

  message(name: string, message: Buffer): void {
    const channel = this.#channels.get(name);
    if (channel?.isWanted) channel.receive(message);
  }

  /** Subscribes a new connection to all wanted channels. The link is up as soon as it resolves. */
  async prepare(connection: RedisConnection): Promise<void> {
    for (const channel of this.#channels.values()) channel.isSubscribed = false;
    for (const { name } of this.#lingering) this.#channels.delete(name);
    this.#lingering.clear();
    // In a loop, because channels may be added during an await.
    for (;;) {
      const missing = [...this.#channels.values()].filter((channel) => !channel.isSubscribed).map(({ name }) => name);
      if (missing.length === 0) break;
      for (const names of chunks(missing)) {
        const late = new ModuleError('ADAPTER_TIMEOUT', { command: 'SUBSCRIBE', timeout: COMMAND_TIMEOUT });
        await within(COMMAND_TIMEOUT, connection.subscribe(names), late);
        this.#subscribed(names);
      }
    }
    for (const batch of this.#unsettled) this.#settle(batch);
  }

  /** Called every TICK milliseconds. */
  tick(): void {
    this.#ticks++;
    for (const batch of this.#unsettled) {
      if (this.#ticks - batch.since <= COMMAND_TIMEOUT / TICK) continue;
      this.#settle(batch, unavailable(this.#link?.trouble?.reason));
    }
    if (this.#link?.isUp) this.#sweep(this.#link);
  }

  /** Removes all channels. */
  clear(): void {
    this.#channels.clear();
    this.#lingering.clear();
    for (const batch of [...this.#unsettled, ...this.#batch ? [this.#batch] : []]) {
      this.#settle(batch, unavailable('the adapter is stopped'));
    }
    this.#batch = undefined;
  }

  #newBatch(): Batch {
    const { promise, resolve, reject } = withResolvers();
    // Each caller handles the rejection; without this line, it would also be reported as unhandled.
    promise.catch(() => undefined);
    const batch: Batch = { promise, resolve, reject, since: this.#ticks, channels: [] };
    // In the next turn, so that all channels of this turn are sent in one command.
    setImmediate(() => this.#flush(batch));
    return batch;
  }

  #flush(batch: Batch): void {
    if (this.#batch !== batch) return;
    this.#batch = undefined;
    const link = this.#link;
    if (!link?.isUp) {
      this.#unsettled.add(batch);
      return;
    }
    // A new connection may have subscribed to some already.
    const missing = batch.channels.filter((name) => this.#channels.get(name)?.isSubscribed === false);
    const done = chunks(missing).map((names) =>
      link.run('SUBSCRIBE', 0, (connection) => connection.subscribe(names)).then(() => this.#subscribed(names)));
    Promise.all(done).then(() => this.#settle(batch), (error: unknown) => {
      // If the connection was lost, prepare() subscribes the channels on the next one.
      if (link.isUp) this.#settle(batch, toError(error));
      else this.#unsettled.add(batch);
    });
  }

  #subscribed(names: readonly string[]): void {
    for (const name of names) {
      const channel = this.#channels.get(name);
      if (channel) channel.isSubscribed = true;
    }
  }

  #settle(batch: Batch, error?: Error): void {
    this.#unsettled.delete(batch);
    for (const name of batch.channels) {
      const channel = this.#channels.get(name);
      if (channel?.batch === batch) channel.batch = undefined;
    }
    if (error) batch.reject(error);
    else batch.resolve();
  }

  #sweep(link: RedisLink): void {
    const names: string[] = [];
    for (const channel of this.#lingering) {
      const isDue = this.#ticks - channel.leftAt >= LINGER_TICKS || this.#lingering.size > MAX_LINGERING;
      if (!isDue) break;
      this.#lingering.delete(channel);
      this.#channels.delete(channel.name);
      names.push(channel.name);
    }
    for (const some of chunks(names)) {
      // If the command fails, the connection is lost, and its subscriptions with it.
      link.run('UNSUBSCRIBE', 0, (connection) => connection.unsubscribe(some)).catch(() => undefined);
    }
  }
}

const unavailable = (reason = 'the link is down'): ModuleError =>
  new ModuleError('ADAPTER_UNAVAILABLE', { command: 'SUBSCRIBE', reason });

function chunks(names: readonly string[]): string[][] {
  const count = Math.ceil(names.length / CHUNK);
  return Array.from({ length: count }, (_, index) => names.slice(index * CHUNK, (index + 1) * CHUNK));
}

function withResolvers(): Pick<Batch, 'promise' | 'resolve' | 'reject'> {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  return { promise, resolve, reject };
}
