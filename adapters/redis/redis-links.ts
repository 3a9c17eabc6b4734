import { ModuleError, toError, type HealthReport } from '../../src/index.ts';
import type { ConnectionStep, RedisBus, RedisBusEvents, RedisCommands } from './redis-commands.ts';
import { RedisHealth } from './redis-health.ts';
import { TICK } from './redis-link.ts';
import type { ServerSettings } from './redis-settings.ts';
import { RedisShard, warnOfEviction } from './redis-shard.ts';
import { RedisSubscriptions, type Receive } from './redis-subscriptions.ts';

/** RedisLinks holds the connections of a node to one server. */
export class RedisLinks implements RedisBus {
  readonly keyPrefix: string;
  readonly database: number;
  readonly isSharded = false;
  readonly #settings: ServerSettings;
  readonly #subscriptions = new RedisSubscriptions({ linkOf: () => this.#shard.subscriber() });
  readonly #steps: ConnectionStep[] = [];
  readonly #health: RedisHealth;
  #shard!: RedisShard;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: ServerSettings, events: RedisBusEvents) {
    this.keyPrefix = settings.keyPrefix;
    this.database = settings.database;
    this.#settings = settings;
    this.#health = new RedisHealth(() => events.changed(), (reason) => events.interrupted(reason));
  }

  /** @throws REDIS_UNREACHABLE, REDIS_PACKAGE_MISSING */
  async start(): Promise<void> {
    const { waitReplicas, channelPrefix, address } = this.#settings;
    const open = await this.#settings.open();
    if (this.#isStopped) throw new ModuleError('REDIS_UNREACHABLE', { address, reason: 'the adapter is stopped' });
    this.#shard = new RedisShard({
      open,
      subscriptions: this.#subscriptions,
      steps: this.#steps,
      isSharded: false,
      waitReplicas,
      probePrefix: () => `${channelPrefix}p:`,
      changed: () => this.#health.compare(this.report()),
      interrupted: (reason) => this.#health.interruption(reason),
    });
    this.#shard.subscriber();
    if (waitReplicas > 0) this.#shard.replicas();
    try {
      await this.#shard.start();
    } catch (cause) {
      await this.stop();
      throw new ModuleError('REDIS_UNREACHABLE', { address, reason: toError(cause).message }, { cause });
    }
    // Unreferenced: the connections keep the process alive, not the timer.
    this.#timer = setInterval(() => this.#tick(), TICK).unref();
    warnOfEviction(address, this.#shard.server);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await (this.#shard as RedisShard | undefined)?.stop();
    this.#subscriptions.clear();
  }

  command(args: readonly (string | Buffer)[]): Promise<unknown> {
    return this.#shard.run(String(args[0]), bytesOf(args), (connection) => connection.command(args));
  }

  publish(channel: string, message: Buffer): Promise<void> {
    return this.#shard.run('PUBLISH', message.length, (connection) =>
      connection.command(['PUBLISH', channel, message]) as Promise<void>);
  }

  subscribe(channel: string, receive: Receive): Promise<void> | undefined {
    return this.#subscriptions.subscribe(channel, receive);
  }

  unsubscribe(channel: string): void { this.#subscriptions.unsubscribe(channel); }

  onInterrupted(listener: () => void): () => void { return this.#health.onInterrupted(listener); }

  onConnected(step: ConnectionStep): void { this.#steps.push(step); }

  get replicated(): RedisCommands['replicated'] {
    if (this.#settings.waitReplicas === 0) return undefined;
    return (base) => this.#shard.replicated(`${base}wait`);
  }

  report(): HealthReport {
    const version = this.#shard.server?.version;
    return this.#health.report([this.#shard], {
      ...version === undefined ? {} : { version },
      topics: Math.max(0, this.#subscriptions.size - this.#shard.ownChannels),
      waiting: this.#shard.waiting,
    });
  }

  #tick(): void {
    this.#shard.tick();
    this.#subscriptions.tick();
  }
}

/** The bytes of a command, as its bound counts them. */
export const bytesOf = (args: readonly (string | Buffer)[]): number =>
  args.reduce((sum, argument) => sum + argument.length, 0);
