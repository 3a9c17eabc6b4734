import { setTimeout as delay } from 'node:timers/promises';
import { groupBy, hasCode, ModuleError, toError, type HealthReport } from '../../src/index.ts';
import { askForMap, readMap, type ClusterMap } from './cluster-map.ts';
import { slotOf, SLOTS } from './cluster-slots.ts';
import { HeldCommands, type HeldCommand } from './held-commands.ts';
import { isMisrouted, isMisroutedReply } from './misrouted.ts';
import { newestMap } from './newest-map.ts';
import type { ConnectionStep, RedisBus, RedisBusEvents, RedisCommands } from './redis-commands.ts';
import type { OpenConnection, RedisConnection } from './redis-connection.ts';
import { RedisHealth, type ServerHealth } from './redis-health.ts';
import { START_TIMEOUT, TICK } from './redis-link.ts';
import { bytesOf } from './redis-links.ts';
import { nameOf, type Address, type ClusterSettings } from './redis-settings.ts';
import { isPermanent } from './redis-server-info.ts';
import { RedisShard, warnOfEviction } from './redis-shard.ts';
import { RedisSubscriptions, type Receive } from './redis-subscriptions.ts';

/** Ticks after which the map is read again: normally, and while something is wrong. */
const [READ_TICKS, TROUBLED_READ_TICKS] = [10_000 / TICK, 500 / TICK];
/** Minimum milliseconds between two reads of the map. */
const READ_PAUSE = 100;

interface Command extends HeldCommand {
  readonly work: (connection: RedisConnection) => Promise<unknown>;
  resolve(value: any): void;
}

/**
 * RedisClusterLinks holds the connections of a node to the masters of a Redis Cluster. It sends each command to the
 * server that has the slot of its key. It reads the map, which says which server has which slot, again when a server
 * refuses a slot.
 */
export class RedisClusterLinks implements RedisBus {
  readonly keyPrefix: string;
  readonly database = 0;
  readonly isSharded = true;
  readonly #settings: ClusterSettings;
  readonly #health: RedisHealth;
  readonly #subscriptions = new RedisSubscriptions({
    linkOf: (channel) => this.#owners[slotOf(channel)]?.subscriber(),
    slotOf,
    misrouted: () => void this.#readSoon(),
    moved: () => this.#health.interruption('the cluster has moved subscriptions to other servers'),
  });

  readonly #steps: ConnectionStep[] = [];
  readonly #held = new HeldCommands<Command>((command) => this.#send(command));
  readonly #shards = new Map<string, RedisShard>();
  readonly #end = new AbortController();
  /** The server of each slot. */
  #owners: (RedisShard | undefined)[] = [];
  /** The known servers of the cluster, including replicas. */
  #addresses: readonly Address[];
  /** How many subscriptions each server has ended since the last read of the map. */
  #ended = new Map<RedisShard, number>();
  #connect!: (address: Address) => OpenConnection;
  #isStarted = false;
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;
  #readAt = 0;
  #order = 0;
  #reading: Promise<void> = Promise.resolve();
  #nextRead: Promise<void> | undefined;
  /** Why the map cannot be used, and since when. `undefined` if it can be used. */
  #trouble: { readonly reason: string; readonly since: Date } | undefined;

  constructor(settings: ClusterSettings, events: RedisBusEvents) {
    this.keyPrefix = settings.keyPrefix;
    this.#settings = settings;
    this.#addresses = settings.nodes;
    this.#health = new RedisHealth(() => events.changed(), (reason) => events.interrupted(reason));
  }

  /** @throws REDIS_UNREACHABLE, REDIS_PACKAGE_MISSING */
  async start(): Promise<void> {
    const { address } = this.#settings;
    try {
      this.#connect = await this.#settings.open();
      await this.#readFirst();
      await Promise.all([...this.#shards.values()].map((shard) => shard.start()));
    } catch (cause) {
      await this.stop();
      if (hasCode(cause, 'REDIS_PACKAGE_MISSING')) throw cause;
      throw new ModuleError('REDIS_UNREACHABLE', { address, reason: toError(cause).message }, { cause });
    }
    this.#isStarted = true;
    // Unreferenced: the connections keep the process alive, not the timer.
    this.#timer = setInterval(() => this.#tick(), TICK).unref();
    for (const [name, { server }] of this.#shards) warnOfEviction(name, server);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    clearInterval(this.#timer);
    this.#held.fail('the adapter is stopped');
    await Promise.all([...this.#shards.values()].map((shard) => shard.stop()));
    this.#subscriptions.clear();
  }

  command(args: readonly (string | Buffer)[], key: string): Promise<unknown> {
    return this.#run(key, String(args[0]), bytesOf(args), (connection) => connection.command(args));
  }

  publish(channel: string, message: Buffer): Promise<void> {
    return this.#run(channel, 'SPUBLISH', message.length, (connection) =>
      connection.command(['SPUBLISH', channel, message]) as Promise<void>);
  }

  subscribe(channel: string, receive: Receive): Promise<void> | undefined {
    return this.#subscriptions.subscribe(channel, receive);
  }

  unsubscribe(channel: string): void { this.#subscriptions.unsubscribe(channel); }

  onInterrupted(listener: () => void): () => void { return this.#health.onInterrupted(listener); }

  onConnected(step: ConnectionStep): void { this.#steps.push(step); }

  get replicated(): RedisCommands['replicated'] {
    if (this.#settings.waitReplicas === 0) return undefined;
    return async (base) => {
      const shard = this.#owners[slotOf(base)];
      if (shard) return shard.replicated(`${base}wait`);
      const reason = 'no server of the cluster has its slot';
      throw new ModuleError('ADAPTER_UNAVAILABLE', { command: 'WAIT', reason });
    };
  }

  report(): HealthReport {
    const shards = [...this.#shards].map(([name, shard]): ServerHealth => {
      const { trouble, impairment } = shard;
      return { name, trouble, impairment };
    });
    const { moving, size } = this.#subscriptions;
    const own = this.#sum((shard) => shard.ownChannels);
    const version = [...this.#shards.values()].find(({ server }) => server?.version !== undefined)?.server?.version;
    const impairment = moving > 0 ? `${moving} subscriptions are being moved to other servers` : undefined;
    return this.#health.report([{ trouble: this.#trouble, impairment }, ...shards], {
      ...version === undefined ? {} : { version },
      servers: shards.length,
      topics: Math.max(0, size - own),
      waiting: this.#held.size + this.#sum((shard) => shard.waiting),
    });
  }

  #sum(of: (shard: RedisShard) => number): number {
    let sum = 0;
    for (const shard of this.#shards.values()) sum += of(shard);
    return sum;
  }

  #run<T>(key: string, name: string, bytes: number, work: (connection: RedisConnection) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const slot = slotOf(key);
      const command: Command = { slot, order: ++this.#order, name, bytes, work, since: this.#ticks, resolve, reject };
      if (this.#held.isBlocked(slot)) this.#held.add(command);
      else this.#send(command);
    });
  }

  #send(command: Command): void {
    const { slot, name, bytes, work } = command;
    const shard = this.#owners[slot];
    if (this.#end.signal.aborted) {
      command.reject(new ModuleError('ADAPTER_UNAVAILABLE', { command: name, reason: 'the adapter is stopped' }));
    } else if (shard) {
      shard.run(name, bytes, work).then((value) => command.resolve(value), (error: unknown) => {
        command.error = toError(error);
        if (isMisrouted(error)) this.#hold(command, shard);
        else command.reject(command.error);
      });
    } else {
      this.#hold(command, undefined);
    }
  }

  /** Keeps a command that no server has run. It is sent again after the map was read. */
  #hold(command: Command, shard: RedisShard | undefined): void {
    const { slot } = command;
    // Later commands for the slot may have been sent to the same server. The commands of a slot must keep their order.
    if (!this.#held.isBlocked(slot)) this.#held.block([slot], Promise.all([shard && flushed(shard), this.#readSoon()]));
    this.#held.add(command);
  }

  #tick(): void {
    this.#ticks++;
    for (const shard of this.#shards.values()) shard.tick();
    this.#subscriptions.tick();
    this.#held.tick(this.#ticks);
    const isTroubled = this.#held.size > 0 || this.report().status === 'unhealthy' || this.#subscriptions.moving > 0;
    if (this.#ticks - this.#readAt >= (isTroubled ? TROUBLED_READ_TICKS : READ_TICKS)) void this.#readSoon();
  }

  /** Reads the map again and again until it is complete, for START_TIMEOUT at most. */
  async #readFirst(): Promise<void> {
    const { signal } = this.#end;
    for (const end = performance.now() + START_TIMEOUT; ;) {
      try {
        this.#apply(await this.#read());
        if (this.#trouble) throw new Error(this.#trouble.reason);
        return;
      } catch (error) {
        if (signal.aborted || isPermanent(toError(error)) || performance.now() > end) throw error;
        await delay(Math.random() * 500, undefined, { signal });
      }
    }
  }

  /** Reads the map. Resolves when a read that began after this call has ended, also if it has failed. */
  #readSoon(): Promise<void> {
    return this.#nextRead ??= this.#readAgain();
  }

  async #readAgain(): Promise<void> {
    await this.#reading;
    await delay(READ_PAUSE, undefined, { signal: this.#end.signal }).catch(() => undefined);
    this.#nextRead = undefined;
    if (this.#end.signal.aborted) return;
    this.#readAt = this.#ticks;
    const ended = this.#ended;
    this.#ended = new Map();
    this.#reading = this.#read().then((map) => this.#apply(map, ended), (error: unknown) => {
      const reason = `no server told the map of the cluster: ${toError(error).message}`;
      this.#trouble = { reason, since: this.#trouble?.since ?? new Date() };
    }).then(() => this.#health.compare(this.report()));
    await this.#reading;
  }

  /** Asks some servers for the map, and returns the newest one. */
  #read(): Promise<ClusterMap> {
    const up = [...this.#shards].filter(([, shard]) => shard.isUp);
    return newestMap(
      up.map(([name, shard]) => () => shard.run('CLUSTER', 0, (connection) =>
        readMap((args) => connection.command(args), hostOf(name)))),
      [...this.#settings.nodes, ...this.#addresses],
      (address) => askForMap(this.#connect(address), address.host));
  }

  #apply({ masters, addresses }: ClusterMap, ended = new Map<RedisShard, number>()): void {
    if (this.#end.signal.aborted) return;
    const owners = new Array<RedisShard | undefined>(SLOTS).fill(undefined);
    const used = new Set<RedisShard>();
    for (const { address, slots } of masters) {
      const shard = this.#shardOf(this.#settings.reached(address));
      used.add(shard);
      for (const [from, to] of slots) owners.fill(shard, from, to + 1);
    }
    const reached = addresses.map((address) => this.#settings.reached(address));
    this.#addresses = [...new Map(reached.map((address) => [nameOf(address), address])).values()];
    const missing = owners.reduce((count, owner) => (owner ? count : count + 1), 0);
    const reason = `no server of the cluster has ${missing} of its slots`;
    this.#trouble = missing === 0 ? undefined : { reason, since: this.#trouble?.since ?? new Date() };
    this.#blockMoved(owners);
    this.#owners = owners;
    this.#moveSubscriptions(used, ended);
    for (const [name, shard] of this.#shards) {
      if (used.has(shard)) continue;
      this.#shards.delete(name);
      void shard.stop('the cluster does not have this server any more');
    }
  }

  /** Keeps the commands for slots that have moved to another server, until the old server has answered earlier ones. */
  #blockMoved(owners: readonly (RedisShard | undefined)[]): void {
    const moved = [...this.#owners.keys()].filter((slot) => this.#owners[slot] && this.#owners[slot] !== owners[slot]);
    const byServer = groupBy(moved, (slot) => this.#owners[slot]!);
    for (const [before, slots] of byServer) this.#held.block(slots, flushed(before));
  }

  #moveSubscriptions(used: ReadonlySet<RedisShard>, ended: ReadonlyMap<RedisShard, number>): void {
    for (const shard of this.#shards.values()) {
      if (!used.has(shard)) this.#subscriptions.unsubscribe(shard.probeChannel);
      else if (this.#owners[slotOf(shard.probeChannel)] !== shard) shard.moveProbe();
    }
    const lost = this.#subscriptions.reassign();
    for (const shard of used) {
      const count = shard.ownChannels > 0 ? lost.get(shard.subscriber()) ?? 0 : 0;
      // The server has told that it ended subscriptions. A client may take this for the answer to a command, and then
      // match all later answers wrongly. So the connection is replaced.
      if (count !== (ended.get(shard) ?? 0)) shard.replaceSubscriber('the cluster has moved subscriptions');
    }
  }

  #shardOf(address: Address): RedisShard {
    const name = nameOf(address);
    const known = this.#shards.get(name);
    if (known) return known;
    const open = this.#connect(address);
    const shard: RedisShard = new RedisShard({
      open: { commands: open, subscriber: open },
      subscriptions: this.#subscriptions,
      steps: this.#steps,
      isSharded: true,
      waitReplicas: this.#settings.waitReplicas,
      probePrefix: () => `${this.#settings.channelPrefix}p:${this.#tagOf(shard)}`,
      changed: () => this.#health.compare(this.report()),
      interrupted: (reason) => this.#health.interruption(`${name}: ${reason}`),
      refused: (code) => { if (isMisroutedReply(code)) void this.#readSoon(); },
      moved: () => {
        this.#ended.set(shard, (this.#ended.get(shard) ?? 0) + 1);
        void this.#readSoon();
      },
    });
    this.#shards.set(name, shard);
    if (this.#isStarted) shard.open();
    return shard;
  }

  /** Finds a hash tag whose slot a server has. */
  #tagOf(shard: RedisShard): string {
    let number = 0;
    while (this.#owners[slotOf(`{${number}}`)] !== shard) number++;
    return `{${number}}`;
  }
}

/** Resolves when a server has answered all commands that were sent to it, or when the connection is lost. */
const flushed = (shard: RedisShard): Promise<unknown> =>
  shard.run('PING', 0, (connection) => connection.command(['PING'])).catch(() => undefined);

const hostOf = (name: string): string => name.slice(0, name.lastIndexOf(':'));
