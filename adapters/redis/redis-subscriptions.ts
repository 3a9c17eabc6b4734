import { groupBy, ModuleError, toError } from '../../src/index.ts';
import { COMMAND_TIMEOUT, TICK, within, type RedisLink } from './redis-link.ts';
import { isMisrouted } from './misrouted.ts';
import type { RedisConnection } from './redis-connection.ts';

/** Maximum number of channels in one SUBSCRIBE command. */
const CHUNK = 1_000;
/** Ticks for which an unsubscribed channel stays subscribed in Redis, in case that it is subscribed again soon. */
const LINGER_TICKS = 3_000 / TICK;
/** Maximum number of such channels. Beyond it, the oldest ones are unsubscribed early. */
const MAX_LINGERING = 10_000;

export type Receive = (message: Buffer) => void;

export interface SubscriptionsOptions {
  /** The link to the server of a channel. Undefined while no server has the channel. */
  linkOf(channel: string): RedisLink | undefined;
  /** The slot of a channel, in a cluster. One command has channels of one slot only. */
  readonly slotOf?: ((channel: string) => number) | undefined;
  /** Called when a server cannot serve the slot of a channel. The subscription is tried again. */
  misrouted?(): void;
  /** Called when all channels that were moved to other servers are subscribed again. */
  moved?(): void;
}

/** The new channels of all subscribe() calls in one turn, and the promise that these calls return. */
interface Batch {
  readonly promise: Promise<void>;
  readonly since: number;
  /** The channels that are not subscribed yet. */
  readonly pending: Set<Channel>;
  resolve(): void;
  reject(error: Error): void;
}

interface Channel {
  readonly name: string;
  receive: Receive;
  isWanted: boolean;
  link: RedisLink | undefined;
  state: 'missing' | 'sent' | 'subscribed';
  batch: Batch | undefined;
  leftAt: number;
}

/** RedisSubscriptions keeps the channels of a node subscribed, also after a link has replaced its connection. */
export class RedisSubscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #lingering = new Set<Channel>();
  /** Batches whose channels are not all subscribed yet. */
  readonly #unsettled = new Set<Batch>();
  /** Channels that must be subscribed again without a new call of subscribe(). */
  readonly #missing = new Set<Channel>();
  /** Channels that were moved to another server, and are not subscribed there yet. */
  readonly #moved = new Set<Channel>();
  #batch: Batch | undefined;
  #ticks = 0;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  get size(): number { return this.#channels.size - this.#lingering.size; }

  /** The number of channels that were moved, and are not subscribed again yet. */
  get moving(): number { return this.#moved.size; }

  isSubscribed(name: string): boolean { return this.#channels.get(name)?.state === 'subscribed'; }

  /** @returns a promise that resolves when the channel is subscribed; undefined if it already is */
  subscribe(name: string, receive: Receive): Promise<void> | undefined {
    let channel = this.#channels.get(name);
    if (channel) {
      channel.receive = receive;
      channel.isWanted = true;
      this.#lingering.delete(channel);
    } else {
      const link = this.#options.linkOf(name);
      channel = { name, receive, isWanted: true, link, state: 'missing', batch: undefined, leftAt: 0 };
      this.#channels.set(name, channel);
    }
    if (channel.state === 'subscribed') return undefined;
    if (!channel.batch) {
      channel.batch = this.#batch ??= this.#newBatch();
      channel.batch.pending.add(channel);
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

  /**
   * Gives a message to the receiver of its channel.
   * @param link the link on which the message arrived. If the channel has moved to another link, the message is dropped
   */
  message(name: string, message: Buffer, link: RedisLink): void {
    const channel = this.#channels.get(name);
    if (channel?.isWanted && channel.link === link) channel.receive(message);
  }

  /** Subscribes a new connection of a link to all its wanted channels. The link is up as soon as it resolves. */
  async prepare(connection: RedisConnection, link: RedisLink): Promise<void> {
    for (const channel of this.#channels.values()) {
      if (channel.link !== link) continue;
      channel.state = 'missing';
      if (!channel.isWanted) this.#delete(channel);
    }
    // In a loop, because channels may be added during an await.
    for (;;) {
      const missing = [...this.#channels.values()].filter((channel) =>
        channel.link === link && channel.state === 'missing');
      if (missing.length === 0) break;
      for (const some of slices(missing)) {
        const late = new ModuleError('ADAPTER_TIMEOUT', { command: this.#command, timeout: COMMAND_TIMEOUT });
        await within(COMMAND_TIMEOUT, this.#subscribeAll(connection, link, some), late);
      }
    }
  }

  /**
   * Asks again for the link of each channel, and subscribes the channels that have another one now.
   * @returns the number of channels that each link has lost
   */
  reassign(): ReadonlyMap<RedisLink, number> {
    const lost = new Map<RedisLink, number>();
    for (const channel of [...this.#channels.values()]) {
      const link = this.#options.linkOf(channel.name);
      const before = channel.link;
      if (link === before) continue;
      if (before && channel.state !== 'missing') {
        lost.set(before, (lost.get(before) ?? 0) + 1);
        if (channel.isWanted) this.#moved.add(channel);
      }
      channel.link = link;
      channel.state = 'missing';
      if (channel.isWanted) this.#missing.add(channel);
      else this.#delete(channel);
    }
    this.#send(this.#missing);
    return lost;
  }

  /** Called every TICK milliseconds. */
  tick(): void {
    this.#ticks++;
    for (const batch of this.#unsettled) {
      if (this.#ticks - batch.since <= COMMAND_TIMEOUT / TICK) continue;
      const [first] = batch.pending;
      this.#fail(batch, this.#unavailable(first?.link?.trouble?.reason));
    }
    this.#send(this.#missing);
    this.#sweep();
  }

  /** Removes all channels. */
  clear(): void {
    for (const set of [this.#channels, this.#lingering, this.#missing, this.#moved]) set.clear();
    for (const batch of [...this.#unsettled, ...this.#batch ? [this.#batch] : []]) {
      this.#fail(batch, this.#unavailable('the adapter is stopped'));
    }
    this.#batch = undefined;
  }

  #newBatch(): Batch {
    const { promise, resolve, reject } = withResolvers();
    // Each caller handles the rejection; without this line, it would also be reported as unhandled.
    promise.catch(() => undefined);
    const batch: Batch = { promise, resolve, reject, since: this.#ticks, pending: new Set() };
    // Sent in a later turn, so that all channels of this turn are in one command.
    setImmediate(() => this.#flush(batch));
    return batch;
  }

  #flush(batch: Batch): void {
    if (this.#batch !== batch) return;
    this.#batch = undefined;
    // A new connection may have subscribed to all of them already.
    if (batch.pending.size === 0) return;
    this.#unsettled.add(batch);
    this.#send(batch.pending);
  }

  /** Sends the channels that are missing on links that are up. prepare() subscribes those of the other links. */
  #send(channels: Iterable<Channel>): void {
    const sent: Channel[] = [];
    for (const channel of channels) {
      const { link } = channel;
      if (channel.state !== 'missing' || !channel.isWanted) continue;
      // No server has its slot.
      if (!link) this.#options.misrouted?.();
      if (!link?.isUp) continue;
      channel.state = 'sent';
      sent.push(channel);
    }
    for (const [link, list] of groupBy(sent, linkOf)) {
      for (const chunk of this.#chunks(list)) {
        link.run(this.#command, 0, (connection) => this.#subscribeTo(connection, chunk)).then(
          () => { for (const channel of chunk) if (isSentOn(link, channel)) this.#subscribed(channel); },
          (error: unknown) => this.#refused(chunk.filter((channel) => isSentOn(link, channel)), link, toError(error)));
      }
    }
  }

  async #subscribeAll(connection: RedisConnection, link: RedisLink, channels: readonly Channel[]): Promise<void> {
    for (const channel of channels) channel.state = 'sent';
    try {
      await Promise.all(this.#chunks(channels).map(async (chunk) => {
        await this.#subscribeTo(connection, chunk);
        for (const channel of chunk) if (isSentOn(link, channel)) this.#subscribed(channel);
      }));
    } catch (error) {
      if (isMisrouted(error)) this.#options.misrouted?.();
      throw error;
    }
  }

  #subscribeTo(connection: RedisConnection, channels: readonly Channel[]): Promise<void> {
    return connection.subscribe(channels.map(({ name }) => name), this.#isSharded);
  }

  #subscribed(channel: Channel): void {
    const { batch } = channel;
    channel.state = 'subscribed';
    channel.batch = undefined;
    this.#missing.delete(channel);
    batch?.pending.delete(channel);
    if (batch?.pending.size === 0) {
      this.#unsettled.delete(batch);
      batch.resolve();
    }
    this.#arrived(channel);
  }

  #refused(channels: readonly Channel[], link: RedisLink, error: Error): void {
    for (const channel of channels) channel.state = 'missing';
    // If the connection was lost, prepare() subscribes the channels on the next one.
    if (!link.isUp) return;
    if (isMisrouted(error)) {
      for (const channel of channels) this.#missing.add(channel);
      this.#options.misrouted?.();
      return;
    }
    for (const { batch } of channels) if (batch) this.#fail(batch, error);
  }

  #fail(batch: Batch, error: Error): void {
    this.#unsettled.delete(batch);
    for (const channel of batch.pending) channel.batch = undefined;
    batch.reject(error);
  }

  #sweep(): void {
    const left: Channel[] = [];
    for (const channel of this.#lingering) {
      const isDue = this.#ticks - channel.leftAt >= LINGER_TICKS || this.#lingering.size > MAX_LINGERING;
      if (!isDue) break;
      this.#delete(channel);
      // Connections that are lost have no subscriptions.
      if (channel.link?.isUp) left.push(channel);
    }
    for (const [link, list] of groupBy(left, linkOf)) {
      for (const chunk of this.#chunks(list)) {
        const names = chunk.map(({ name }) => name);
        // If the command fails, the subscriptions are lost with the connection, or the server has lost their slot.
        link.run(`UN${this.#command}`, 0, (connection) => connection.unsubscribe(names, this.#isSharded))
          .catch(() => undefined);
      }
    }
  }

  #delete(channel: Channel): void {
    this.#lingering.delete(channel);
    this.#missing.delete(channel);
    this.#channels.delete(channel.name);
    this.#arrived(channel);
  }

  /** Called when a channel is subscribed or deleted. If it was the last one that had moved, calls `moved`. */
  #arrived(channel: Channel): void {
    if (this.#moved.delete(channel) && this.#moved.size === 0) this.#options.moved?.();
  }

  get #isSharded(): boolean { return this.#options.slotOf !== undefined; }

  get #command(): string { return this.#isSharded ? 'SSUBSCRIBE' : 'SUBSCRIBE'; }

  #unavailable(reason = 'the link is down'): ModuleError {
    return new ModuleError('ADAPTER_UNAVAILABLE', { command: this.#command, reason });
  }

  #chunks(channels: readonly Channel[]): Channel[][] {
    const { slotOf } = this.#options;
    if (!slotOf) return slices(channels);
    return [...groupBy(channels, ({ name }) => slotOf(name)).values()].flatMap(slices);
  }
}

const linkOf = ({ link }: Channel): RedisLink => link!;

const isSentOn = (link: RedisLink | undefined, channel: Channel): boolean =>
  channel.link === link && channel.state === 'sent';

function slices(channels: readonly Channel[]): Channel[][] {
  const count = Math.ceil(channels.length / CHUNK);
  return Array.from({ length: count }, (_, index) => channels.slice(index * CHUNK, (index + 1) * CHUNK));
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
