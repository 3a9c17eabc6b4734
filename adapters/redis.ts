import { randomBytes } from 'node:crypto';
import {
  describe, isRecord, ModuleError, toError, type Adapter, type HealthReport, type Journal, type Store,
} from '../src/index.ts';
import { RedisClusterLinks } from './redis/cluster-links.ts';
import { NOTICE } from './redis/journal-notice.ts';
import type { RedisBus } from './redis/redis-commands.ts';
import { RedisJournal } from './redis/redis-journal.ts';
import { RedisLinks } from './redis/redis-links.ts';
import { RedisStore } from './redis/redis-store.ts';
import { redisSettings, type RedisAdapterOptions } from './redis/redis-options.ts';
import type { RedisSettings } from './redis/redis-settings.ts';

export type { RedisAdapterOptions, RedisClusterOptions, RedisSentinelOptions } from './redis/redis-options.ts';
export { redisErrors } from './redis/redis-errors.ts';

type Receiver = Parameters<Adapter['start']>[0];

/** The first byte of each published packet. It is a control character: no text of another program begins with it. */
const FORMAT = 1;
/** One byte for the format, and 8 random bytes that identify the sender. */
const HEADER_BYTES = 9;

/**
 * RedisAdapter carries the packets of topics between nodes over Redis Pub/Sub, each at most once. A node receives only
 * topics that have subscribers on it. It uses two connections to each server: one for commands, one for subscriptions.
 *
 * @example WebSocketModule.create({ server, adapter: new RedisAdapter({ url: process.env.REDIS_URL }) });
 */
export class RedisAdapter implements Adapter {
  static readonly RedisAdapter: typeof RedisAdapter = RedisAdapter;
  static readonly createAdapter: typeof createAdapter = (...given) => createAdapter(...given);

  readonly name = 'redis';
  /** State that all nodes share, in Redis. */
  readonly store: Store;
  /** The history of topics, which all nodes share, in Redis. */
  readonly journal: Journal;
  readonly #journal: RedisJournal;
  readonly #settings: RedisSettings;
  readonly #header = Buffer.concat([Buffer.of(FORMAT), randomBytes(HEADER_BYTES - 1)]);
  #node: Receiver | undefined;
  #links: RedisBus | undefined;

  /** @throws OPTION_INVALID, OPTION_UNKNOWN */
  constructor(options: RedisAdapterOptions = {}) {
    this.#settings = redisSettings(options);
    const commands = (): RedisBus | undefined => (this.#node ? this.#links : undefined);
    this.store = new RedisStore({ commands });
    this.journal = this.#journal = new RedisJournal({ commands, channelOf: (topic) => this.#channel(topic) });
  }

  /** @throws REDIS_UNREACHABLE, REDIS_PACKAGE_MISSING */
  async start(node: Receiver): Promise<void> {
    if (this.#links) throw new Error('this adapter is already started; every manager needs its own adapter');
    const events = {
      changed: () => this.#node?.healthChanged?.(),
      interrupted: (reason: string) => this.#node?.interrupted?.(reason),
    };
    const settings = this.#settings;
    const links = settings.type === 'cluster'
      ? new RedisClusterLinks(settings, events)
      : new RedisLinks(settings, events);
    this.#links = links;
    try {
      await links.start();
    } catch (error) {
      if (this.#links === links) this.#links = undefined;
      throw error;
    }
    this.#node = node;
  }

  /** @throws ADAPTER_UNAVAILABLE, ADAPTER_TIMEOUT, ADAPTER_REFUSED, ADAPTER_BACKLOG_FULL */
  publish(topic: string, packet: Uint8Array): Promise<void> {
    const links = this.#started();
    // A copy, because the caller may change the bytes before they are written.
    const framed = Buffer.allocUnsafe(HEADER_BYTES + packet.length);
    this.#header.copy(framed);
    framed.set(packet, HEADER_BYTES);
    return links.publish(this.#channel(topic), framed);
  }

  subscribe(topic: string): Promise<void> | undefined {
    return this.#started().subscribe(this.#channel(topic), (framed) => this.#receive(topic, framed));
  }

  unsubscribe(topic: string): void { this.#links?.unsubscribe(this.#channel(topic)); }

  async check(): Promise<HealthReport> {
    if (!this.#node || !this.#links) return { status: 'unhealthy', reason: 'the adapter is not started' };
    return this.#links.report();
  }

  async stop(): Promise<void> {
    const links = this.#links;
    this.#node = undefined;
    this.#links = undefined;
    await links?.stop();
  }

  #receive(topic: string, framed: Buffer): void {
    if (framed[0] === NOTICE && this.#journal.receive(topic, framed)) return;
    const isFramed = framed[0] === FORMAT && framed.length >= HEADER_BYTES;
    // Redis sends a node its own packets, too.
    if (isFramed && framed.compare(this.#header, 0, HEADER_BYTES, 0, HEADER_BYTES) === 0) return;
    try {
      // A message of another program is passed on unchanged: the kernel reports it as invalid.
      this.#node?.receive(topic, isFramed ? framed.subarray(HEADER_BYTES) : framed);
    } catch (error) {
      process.emitWarning(toError(error));
    }
  }

  /**
   * The channel of a topic. Its prefix has the number of the database, because Pub/Sub ignores databases. A topic with
   * a lone surrogate is written as JSON, because UTF-8 cannot encode it. Braces of a topic are encoded, because in a
   * cluster they would be the hash tag of the channel.
   */
  #channel(topic: string): string {
    const { channelPrefix } = this.#settings;
    const name = /[%{}]/.test(topic) ? topic.replace(/[%{}]/g, encodeURIComponent) : topic;
    return name.isWellFormed() ? `${channelPrefix}t:${name}` : `${channelPrefix}j:${JSON.stringify(name)}`;
  }

  #started(): RedisBus {
    if (!this.#links || !this.#node) throw new Error('this adapter is not started');
    return this.#links;
  }
}

/**
 * Creates a RedisAdapter with the arguments of `createAdapter()` of `@socket.io/redis-adapter`.
 *
 * @param client a client whose settings the connection that publishes gets; it need not be connected, and is not closed
 * @param subscriber a client whose settings the connection that receives gets
 * @throws OPTION_INVALID
 */
export function createAdapter(
  client: object,
  subscriber: object = client,
  options: Pick<RedisAdapterOptions, 'keyPrefix'> = {},
): RedisAdapter {
  if (!isRecord(options)) {
    throw new ModuleError('OPTION_INVALID', { path: 'options', given: describe(options), expected: 'an object' });
  }
  return new RedisAdapter({ ...options, client, subscriber });
}

export { RedisAdapter as default, RedisAdapter as 'module.exports' };
