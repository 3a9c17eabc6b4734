import { randomUUID } from 'node:crypto';
import { ModuleError, toError, type HealthReport } from '../../src/index.ts';
import type { ConnectionStep, RedisCommands } from './redis-commands.ts';
import { replyCode, type OpenConnection, type RedisConnection } from './redis-connection.ts';
import { COMMAND_TIMEOUT, RedisLink, TICK, within } from './redis-link.ts';
import type { RedisSettings } from './redis-options.ts';
import { inspect, type RedisServerInfo } from './redis-server-info.ts';
import { ReplicaWait } from './replica-wait.ts';
import { RedisSubscriptions, type Receive } from './redis-subscriptions.ts';

/** Ticks without a received message after which a link is probed; and ticks after which a late probe replaces it. */
const QUIET_TICKS = 3_000 / TICK;
/** Ticks for which a refused command makes the health `degraded`. */
const REFUSAL_TICKS = 10_000 / TICK;
/** Replies of a server that can no longer be used. Its role may have changed, so both connections are replaced. */
const MISPLACED = new Set(['READONLY', 'NOAUTH', 'MASTERDOWN']);
/** Replies of a server that can run only some commands. They make the health `degraded`. */
const IMPAIRED = new Set(['OOM', 'LOADING', 'MISCONF', 'BUSY', 'NOREPLICAS']);

export interface RedisLinksOptions {
  /** Called when the health has changed. */
  changed(): void;
  /** Called when the connection that receives was replaced. */
  interrupted(reason: string): void;
}

/**
 * RedisLinks holds the two connections of a node: one sends commands, one receives. A probe that is sent on the first
 * must arrive on the second.
 */
export class RedisLinks implements RedisCommands {
  readonly keyPrefix: string;
  readonly database: number;
  readonly isSharded = false;
  readonly #settings: RedisSettings;
  readonly #options: RedisLinksOptions;
  readonly #subscriptions = new RedisSubscriptions();
  readonly #probeChannel: string;
  readonly #interrupted = new Set<() => void>();
  readonly #steps: ConnectionStep[] = [];
  #commands!: RedisLink;
  #subscriber!: RedisLink;
  #replicas: RedisLink | undefined;
  #replicaWait: ReplicaWait | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;
  #quiet = { commands: 0, subscriber: 0 };
  #probe: { isTaken: boolean; overdue: number } | undefined;
  #server: RedisServerInfo | undefined;
  #refusal: { readonly code: string; readonly at: number } | undefined;
  #wasUp = false;
  #lastInterruption: { readonly at: Date; readonly reason: string } | undefined;
  #interruptions = 0;
  #reported = '';

  constructor(settings: RedisSettings, options: RedisLinksOptions) {
    this.keyPrefix = settings.keyPrefix;
    this.database = settings.database;
    this.#settings = settings;
    this.#options = options;
    this.#probeChannel = `${settings.channelPrefix}p:${randomUUID()}`;
    void this.#subscriptions.subscribe(this.#probeChannel, () => { this.#probe = undefined; });
  }

  /** @throws REDIS_UNREACHABLE, REDIS_PACKAGE_MISSING */
  async start(): Promise<void> {
    const open = await this.#settings.open();
    const silent = (reason: Error): void => this.#replaceAll(reason);
    this.#commands = new RedisLink({
      open: open.commands,
      prepare: async (connection) => {
        this.#server = await ask(connection);
        for (const step of this.#steps) await prepared(step, connection);
      },
      changed: () => this.#changed(),
      silent,
      refused: (code, error) => this.#refused(code, error),
    });
    let reason = '';
    this.#subscriber = new RedisLink({
      open: open.subscriber,
      prepare: async (connection) => {
        await ask(connection);
        await this.#subscriptions.prepare(connection);
      },
      changed: () => {
        const { isUp, trouble } = this.#subscriber;
        if (isUp && this.#wasUp) this.#interruption(reason);
        if (isUp) this.#wasUp = true;
        reason = trouble?.reason ?? '';
        this.#changed();
      },
      silent,
      message: (channel, message) => this.#subscriptions.message(channel, message),
    });
    this.#subscriptions.attach(this.#subscriber);
    if (this.#settings.waitReplicas > 0) this.#waitForReplicas(open.commands);
    try {
      await Promise.all(this.#links().map((link) => link.start()));
    } catch (cause) {
      await this.stop();
      const details = { address: this.#settings.address, reason: toError(cause).message };
      throw new ModuleError('REDIS_UNREACHABLE', details, { cause });
    }
    // Unreferenced: the connections keep the process alive, not the timer.
    this.#timer = setInterval(() => this.#tick(), TICK).unref();
    this.#warnOfEviction();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#links().map((link) => link.stop()));
    this.#subscriptions.clear();
  }

  command(args: readonly (string | Buffer)[]): Promise<unknown> {
    const bytes = args.reduce((sum, argument) => sum + argument.length, 0);
    return this.#commands.run(String(args[0]), bytes, (connection) => connection.command(args));
  }

  publish(channel: string, message: Buffer): Promise<void> {
    return this.#commands.run('PUBLISH', message.length, (connection) =>
      connection.command(['PUBLISH', channel, message]) as Promise<void>);
  }

  subscribe(channel: string, receive: Receive): Promise<void> | undefined {
    return this.#subscriptions.subscribe(channel, receive);
  }

  unsubscribe(channel: string): void { this.#subscriptions.unsubscribe(channel); }

  async listen(channel: string, listener: Receive): Promise<void> {
    await this.#subscriptions.subscribe(channel, listener);
  }

  onInterrupted(listener: () => void): () => void {
    this.#interrupted.add(listener);
    return () => void this.#interrupted.delete(listener);
  }

  onConnected(step: ConnectionStep): void { this.#steps.push(step); }

  get replicated(): RedisCommands['replicated'] {
    const wait = this.#replicaWait;
    return wait && ((base) => wait.confirm(`${base}wait`));
  }

  report(): HealthReport {
    const version = this.#server?.version;
    const last = this.#lastInterruption;
    const figures = {
      ...version === undefined ? {} : { version },
      // The channel of the probe is not counted.
      topics: Math.max(0, this.#subscriptions.size - 1),
      waiting: this.#commands.waiting,
      interruptions: this.#interruptions,
      ...last && { lastInterruption: { at: last.at.toISOString(), reason: last.reason } },
    };
    const trouble = this.#links().find((link) => link.trouble)?.trouble;
    if (trouble) return { status: 'unhealthy', reason: trouble.reason, since: trouble.since.toISOString(), ...figures };
    const refusal = this.#refusal?.code;
    if (refusal !== undefined) return { status: 'degraded', reason: `Redis refuses commands: ${refusal}`, ...figures };
    const eviction = this.#eviction();
    if (eviction !== undefined) return { status: 'degraded', reason: eviction, ...figures };
    return { status: 'healthy', ...figures };
  }

  #links(): RedisLink[] {
    return [this.#commands, this.#subscriber, ...this.#replicas ? [this.#replicas] : []];
  }

  #waitForReplicas(open: OpenConnection): void {
    const { waitReplicas } = this.#settings;
    this.#replicas = new RedisLink({
      open,
      prepare: async (connection) => { await ask(connection); },
      changed: () => this.#changed(),
      silent: (reason) => this.#replaceAll(reason),
      refused: (code, error) => this.#refused(code, error),
    });
    this.#replicaWait = new ReplicaWait(this.#replicas, waitReplicas);
  }

  #tick(): void {
    this.#ticks++;
    if (this.#refusal && this.#ticks - this.#refusal.at > REFUSAL_TICKS) {
      this.#refusal = undefined;
      this.#changed();
    }
    const quiet = this.#quiet;
    quiet.commands = this.#commands.tick() ? 0 : quiet.commands + 1;
    quiet.subscriber = this.#subscriber.tick() ? 0 : quiet.subscriber + 1;
    this.#replicas?.tick();
    this.#subscriptions.tick();
    if (!this.#commands.isUp || !this.#subscriber.isUp) this.#probe = undefined;
    else if (this.#probe) this.#checkProbe(this.#probe);
    else if (Math.max(quiet.commands, quiet.subscriber) >= QUIET_TICKS) this.#sendProbe();
  }

  #sendProbe(): void {
    const probe = { isTaken: false, overdue: 0 };
    this.#probe = probe;
    const published = (receivers: unknown): void => {
      probe.isTaken = true;
      if (receivers === 0 && this.#probe === probe) this.#replaceSubscriber('Redis does not know its subscriptions');
    };
    // A failed command needs no handling here: the link replaces its connection.
    this.command(['PUBLISH', this.#probeChannel, '']).then(published, () => undefined);
  }

  #checkProbe(probe: { isTaken: boolean; overdue: number }): void {
    if (this.#quiet.subscriber === 0) this.#probe = undefined;
    else if (probe.isTaken && ++probe.overdue >= QUIET_TICKS) this.#replaceSubscriber('nothing arrives on it');
  }

  #replaceSubscriber(what: string): void {
    this.#probe = undefined;
    this.#subscriber.replace(new Error(`the subscription is dead: ${what}`));
  }

  #replaceAll(reason: Error): void {
    for (const link of this.#links()) link.replace(reason);
  }

  #refused(code: string, error: Error): void {
    if (MISPLACED.has(code)) this.#replaceAll(error);
    if (!IMPAIRED.has(code)) return;
    this.#refusal = { code, at: this.#ticks };
    this.#changed();
  }

  #interruption(reason: string): void {
    this.#interruptions++;
    this.#lastInterruption = { at: new Date(), reason };
    this.#options.interrupted(reason);
    for (const listener of this.#interrupted) listener();
  }

  #changed(): void {
    const { status, reason } = this.report();
    const now = `${status} ${String(reason)}`;
    if (now === this.#reported) return;
    this.#reported = now;
    this.#options.changed();
  }

  #eviction(): string | undefined {
    const policy = this.#server?.evictionPolicy;
    if (policy === undefined || policy === 'noeviction') return undefined;
    return `maxmemory-policy is ${policy}: shared state may be evicted; set it to noeviction`;
  }

  #warnOfEviction(): void {
    const eviction = this.#eviction();
    if (eviction === undefined) return;
    process.emitWarning(`Redis (${this.#settings.address}): ${eviction}`, { code: 'REDIS_EVICTION' });
  }
}

function ask(connection: RedisConnection): Promise<RedisServerInfo> {
  const late = new ModuleError('ADAPTER_TIMEOUT', { command: 'INFO', timeout: COMMAND_TIMEOUT });
  return within(COMMAND_TIMEOUT, inspect(connection), late);
}

async function prepared(step: ConnectionStep, connection: RedisConnection): Promise<void> {
  const late = new ModuleError('ADAPTER_TIMEOUT', { command: 'SCRIPT', timeout: COMMAND_TIMEOUT });
  try {
    await within(COMMAND_TIMEOUT, step((args) => connection.command(args)), late);
  } catch (error) {
    // Redis may refuse the step, and accept other commands. A connection that is lost or silent is not used.
    if (replyCode(toError(error)) === undefined) throw error;
  }
}
