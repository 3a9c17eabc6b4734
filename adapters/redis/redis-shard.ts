import { randomUUID } from 'node:crypto';
import { ModuleError, toError } from '../../src/index.ts';
import type { ConnectionStep } from './redis-commands.ts';
import { replyCode, type OpenConnection, type RedisConnection } from './redis-connection.ts';
import { COMMAND_TIMEOUT, RedisLink, TICK, within } from './redis-link.ts';
import { inspect, type RedisServerInfo } from './redis-server-info.ts';
import type { RedisSubscriptions } from './redis-subscriptions.ts';
import { ReplicaWait } from './replica-wait.ts';

/** Ticks without a received message after which a probe is sent; and after which a late probe is a dead connection. */
const QUIET_TICKS = 3_000 / TICK;
/** Ticks for which a refused command makes the health `degraded`. */
const REFUSAL_TICKS = 10_000 / TICK;
/** Replies of a server that can no longer be used. Its role may have changed, so all connections are replaced. */
const UNUSABLE = new Set(['READONLY', 'NOAUTH', 'MASTERDOWN']);
/** Replies of a server that can run only some of the commands. They make the health `degraded`. */
const IMPAIRED = new Set(['OOM', 'LOADING', 'MISCONF', 'BUSY', 'NOREPLICAS']);

export interface ShardOptions {
  readonly open: { readonly commands: OpenConnection; readonly subscriber: OpenConnection };
  readonly subscriptions: RedisSubscriptions;
  /** Steps of each new connection for commands. */
  readonly steps: readonly ConnectionStep[];
  /** Whether it is a server of a cluster: a channel belongs to one server. */
  readonly isSharded: boolean;
  /** The beginning of the name of the channel for probes. In a cluster, this server must have its slot. */
  probePrefix(): string;
  /** The number of replicas that must confirm writes. */
  readonly waitReplicas: number;
  /** Called when the health may have changed. */
  changed(): void;
  /** Called when the connection that receives was replaced. */
  interrupted(reason: string): void;
  /** Called when the server refused a command. */
  refused?(code: string): void;
  /** Called when the server has ended the subscription of a channel. */
  moved?(): void;
}

/**
 * RedisShard holds the connections of a node to one server: one sends commands, one receives, one waits for replicas.
 * If nothing arrives for a while, it publishes a probe on the first one, which must arrive on the second one.
 */
export class RedisShard {
  readonly #options: ShardOptions;
  readonly #commands: RedisLink;
  #subscriber: RedisLink | undefined;
  #replicas: RedisLink | undefined;
  #replicaWait: ReplicaWait | undefined;
  #isOpen = false;
  #ticks = 0;
  #quiet = { commands: 0, subscriber: 0 };
  #probeChannel = '';
  #probe: { isTaken: boolean; overdue: number } | undefined;
  #server: RedisServerInfo | undefined;
  #refusal: { readonly code: string; readonly at: number } | undefined;
  #wasUp = false;

  constructor(options: ShardOptions) {
    this.#options = options;
    this.#commands = new RedisLink({
      open: options.open.commands,
      prepare: async (connection) => {
        this.#server = await this.#ask(connection);
        for (const step of options.steps) await prepared(step, connection);
      },
      changed: () => options.changed(),
      silent: (reason) => this.#replaceAll(reason),
      refused: (code, error) => this.#refused(code, error),
    });
  }

  /** The link that receives. The first call creates it. */
  subscriber(): RedisLink {
    if (this.#subscriber) return this.#subscriber;
    const { subscriptions } = this.#options;
    let reason = '';
    const link: RedisLink = new RedisLink({
      open: this.#options.open.subscriber,
      prepare: async (connection) => {
        await this.#ask(connection);
        await subscriptions.prepare(connection, link);
      },
      changed: () => {
        if (link.isUp && this.#wasUp) this.#options.interrupted(reason);
        if (link.isUp) this.#wasUp = true;
        reason = link.trouble?.reason ?? '';
        this.#options.changed();
      },
      silent: (error) => this.#replaceAll(error),
      refused: (code, error) => this.#refused(code, error),
      message: (channel, message) => subscriptions.message(channel, message, link),
      moved: () => this.#options.moved?.(),
    });
    this.#subscriber = link;
    this.moveProbe();
    if (this.#isOpen) link.open();
    return link;
  }

  /** The link that waits for replicas. The first call creates it. */
  replicas(): RedisLink {
    if (this.#replicas) return this.#replicas;
    this.#replicas = new RedisLink({
      open: this.#options.open.commands,
      prepare: async (connection) => { await this.#ask(connection); },
      changed: () => this.#options.changed(),
      silent: (reason) => this.#replaceAll(reason),
      refused: (code, error) => this.#refused(code, error),
    });
    if (this.#isOpen) this.#replicas.open();
    return this.#replicas;
  }

  get server(): RedisServerInfo | undefined { return this.#server; }
  get waiting(): number { return this.#commands.waiting; }
  /** The number of channels that the shard itself uses, for probes. */
  get ownChannels(): number { return this.#subscriber ? 1 : 0; }
  get isUp(): boolean { return this.#commands.isUp; }
  get trouble(): RedisLink['trouble'] { return this.#links().find((link) => link.trouble)?.trouble; }

  /** Why the health is `degraded`. */
  get impairment(): string | undefined {
    if (this.#refusal) return `Redis refuses commands: ${this.#refusal.code}`;
    return evictionOf(this.#server);
  }

  /** Connects the links that exist, and rejects if one of them does not connect. */
  async start(): Promise<void> {
    this.#isOpen = true;
    await Promise.all(this.#links().map((link) => link.start()));
  }

  /** Connects in the background. */
  open(): void {
    this.#isOpen = true;
    for (const link of this.#links()) link.open();
  }

  async stop(reason?: string): Promise<void> {
    await Promise.all(this.#links().map((link) => link.stop(reason)));
    if (this.#probeChannel !== '') this.#options.subscriptions.unsubscribe(this.#probeChannel);
  }

  /** Runs work on the connection for commands. */
  run<T>(name: string, bytes: number, work: (connection: RedisConnection) => Promise<T>): Promise<T> {
    return this.#commands.run(name, bytes, work);
  }

  /** Resolves when replicas have all writes that were answered until now. @throws REPLICAS_MISSING */
  replicated(key: string): Promise<void> {
    this.#replicaWait ??= new ReplicaWait(this.replicas(), this.#options.waitReplicas);
    return this.#replicaWait.confirm(key);
  }

  /** Called every TICK milliseconds. */
  tick(): void {
    this.#ticks++;
    if (this.#refusal && this.#ticks - this.#refusal.at > REFUSAL_TICKS) {
      this.#refusal = undefined;
      this.#options.changed();
    }
    const quiet = this.#quiet;
    quiet.commands = this.#commands.tick() ? 0 : quiet.commands + 1;
    quiet.subscriber = this.#subscriber?.tick() === false ? quiet.subscriber + 1 : 0;
    this.#replicas?.tick();
    if (!this.#commands.isUp || this.#subscriber?.isUp === false) this.#probe = undefined;
    else if (this.#probe) this.#checkProbe(this.#probe);
    else if (Math.max(quiet.commands, quiet.subscriber) >= QUIET_TICKS) this.#sendProbe();
  }

  /** Subscribes to a new channel for probes: there is none yet, or this server does not have its slot any more. */
  moveProbe(): void {
    if (!this.#subscriber) return;
    const { subscriptions } = this.#options;
    const before = this.#probeChannel;
    this.#probeChannel = `${this.#options.probePrefix()}${randomUUID()}`;
    this.#probe = undefined;
    if (before !== '') subscriptions.unsubscribe(before);
    void subscriptions.subscribe(this.#probeChannel, () => { this.#probe = undefined; });
  }

  get probeChannel(): string { return this.#probeChannel; }

  /** Replaces the connection that receives. */
  replaceSubscriber(reason: string): void {
    this.#probe = undefined;
    this.#subscriber?.replace(new Error(reason));
  }

  #links(): RedisLink[] {
    return [this.#commands, this.#subscriber, this.#replicas].filter((link) => link !== undefined);
  }

  #sendProbe(): void {
    const probe = { isTaken: false, overdue: 0 };
    this.#probe = probe;
    const taken = (receivers: unknown): void => {
      probe.isTaken = true;
      if (receivers !== 0 || this.#probe !== probe) return;
      this.replaceSubscriber('the subscription is dead: Redis does not know its subscriptions');
    };
    const { isSharded, subscriptions } = this.#options;
    const canArrive = subscriptions.isSubscribed(this.#probeChannel);
    const args = canArrive ? [isSharded ? 'SPUBLISH' : 'PUBLISH', this.#probeChannel, ''] : ['PING'];
    // A failed command needs no handling here: the link replaces its connection.
    this.#commands.run(args[0]!, 0, (connection) => connection.command(args)).then(taken, () => undefined);
    if (!canArrive) this.#probe = undefined;
  }

  #checkProbe(probe: { isTaken: boolean; overdue: number }): void {
    if (this.#quiet.subscriber === 0) this.#probe = undefined;
    else if (probe.isTaken && ++probe.overdue >= QUIET_TICKS) {
      this.replaceSubscriber('the subscription is dead: nothing arrives on it');
    }
  }

  #replaceAll(reason: Error): void {
    for (const link of this.#links()) link.replace(reason);
  }

  #refused(code: string, error: Error): void {
    if (UNUSABLE.has(code)) this.#replaceAll(error);
    this.#options.refused?.(code);
    if (!IMPAIRED.has(code)) return;
    this.#refusal = { code, at: this.#ticks };
    this.#options.changed();
  }

  #ask(connection: RedisConnection): Promise<RedisServerInfo> {
    const late = new ModuleError('ADAPTER_TIMEOUT', { command: 'INFO', timeout: COMMAND_TIMEOUT });
    return within(COMMAND_TIMEOUT, inspect(connection, this.#options.isSharded), late);
  }
}

/** Why shared state may be evicted by a server. */
function evictionOf(server: RedisServerInfo | undefined): string | undefined {
  const policy = server?.evictionPolicy;
  if (policy === undefined || policy === 'noeviction') return undefined;
  return `maxmemory-policy is ${policy}: shared state may be evicted; set it to noeviction`;
}

/** Warns if shared state may be evicted by a server. */
export function warnOfEviction(address: string, server: RedisServerInfo | undefined): void {
  const eviction = evictionOf(server);
  if (eviction !== undefined) process.emitWarning(`Redis (${address}): ${eviction}`, { code: 'REDIS_EVICTION' });
}

async function prepared(step: ConnectionStep, connection: RedisConnection): Promise<void> {
  const late = new ModuleError('ADAPTER_TIMEOUT', { command: 'SCRIPT', timeout: COMMAND_TIMEOUT });
  try {
    await within(COMMAND_TIMEOUT, step((args) => connection.command(args)), late);
  } catch (error) {
    // If Redis refuses the step, it may still accept other commands. If it does not answer, the connection is not used.
    if (replyCode(toError(error)) === undefined) throw error;
  }
}
