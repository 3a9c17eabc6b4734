import cluster from 'node:cluster';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { check, ModuleError, rules, type MemoryJournalOptions } from '../../src/index.ts';
import './cluster-errors.ts';
import { PrimaryBus } from './primary-bus.ts';
import { SocketBalancer } from './socket-balancer.ts';
import { WorkerPlace } from './worker-place.ts';

export interface ClusterOptions {
  /** The program of each worker. */
  readonly file: string | URL;
  /** The number of workers. `auto`: one per CPU core. @default 'auto' */
  readonly workers?: number | 'auto' | undefined;
  /** The arguments of each worker. @default none */
  readonly args?: readonly string[] | undefined;
  /** Variables that are added to the environment of each worker. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * `round-robin`: each worker listens as usual, and gets connections in turn. `ip-hash`: the primary listens on
   * `port`, and all connections of an address go to one worker, whose server is given to `ClusterAdapter.accept()`.
   * WebSockets do not need that.
   * @default 'round-robin'
   */
  readonly strategy?: 'round-robin' | 'ip-hash' | undefined;
  /** The port of the primary with `ip-hash`. */
  readonly port?: number | undefined;
  /** The host of the primary with `ip-hash`. @default all addresses */
  readonly host?: string | undefined;
  /** Milliseconds that a worker may take until its server listens. @default 30_000 */
  readonly startTimeout?: number | undefined;
  /** Milliseconds that a worker may take to end after SIGTERM. Then it is killed. @default 15_000 */
  readonly stopTimeout?: number | undefined;
  /** The bounds of the history of topics, which the primary keeps in its memory. */
  readonly journal?: MemoryJournalOptions | undefined;
  /** Whether SIGTERM and SIGINT stop the cluster, and SIGHUP replaces its workers. @default true */
  readonly signals?: boolean | undefined;
}

/** A cluster of processes on one machine. */
export interface RunningCluster {
  /** The process ids of the running workers. */
  readonly pids: readonly number[];
  /** The port of the primary, with `ip-hash`. */
  readonly port: number | undefined;
  /**
   * Replaces the workers one after another: the next one is started before the earlier one is stopped. If reload() is
   * running, one more follows.
   * @throws WORKER_FAILED if a new worker does not listen in time; the others go on
   */
  reload(): Promise<void>;
  /** Stops all workers: SIGTERM, and SIGKILL after `stopTimeout`. */
  stop(): Promise<void>;
}

const { boolean, duration, integer, list, oneOf, rule } = rules;
const RULES = {
  file: rule('a path or a URL', (value) => typeof value === 'string' || value instanceof URL),
  workers: rules.either(oneOf('auto'), integer(1, 1_024)),
  args: list('texts'),
  env: rules.group({ each: rule('a text', (value) => typeof value === 'string') }),
  strategy: oneOf('round-robin', 'ip-hash'),
  port: integer(0, 65_535),
  host: rule('a text', (value) => typeof value === 'string'),
  startTimeout: duration,
  stopTimeout: duration,
  journal: rules.group(),
  signals: boolean,
};

/**
 * Starts a program in several processes, which share a port. Workers that end are started again, with backoff. The
 * primary carries packets between their ClusterAdapters, and keeps the state that they share. Resolves when all listen.
 *
 * @throws OPTION_INVALID, OPTION_UNKNOWN, WORKER_FAILED, DUPLICATE if the process has a cluster that is not stopped
 * @example const workers = await startCluster({ file: new URL('server.js', import.meta.url), workers: 4 });
 */
export async function startCluster(options: ClusterOptions): Promise<RunningCluster> {
  const given = check<ClusterOptions>(options, RULES, 'startCluster');
  if (!('file' in given)) refuse('file', undefined, 'a path or a URL');
  const { strategy = 'round-robin', port } = given;
  if (strategy === 'ip-hash' && port === undefined) refuse('port', port, 'a port, because the strategy is ip-hash');
  if (strategy === 'round-robin' && port !== undefined) refuse('port', port, 'left out: each worker listens by itself');
  if (!cluster.isPrimary) throw new Error('startCluster() runs in a worker; give the program of the workers as "file"');
  // The settings of node:cluster are those of the whole process.
  if (current) throw new ModuleError('DUPLICATE', { kind: 'cluster', name: String(given.file), owner: 'this process' });
  const running = (current = new Workers(given));
  await running.start();
  return running;
}

/** The cluster of this process. */
let current: Workers | undefined;

function refuse(option: string, given: unknown, expected: string): never {
  throw new ModuleError('OPTION_INVALID', { path: `startCluster.${option}`, given: String(given), expected });
}

class Workers implements RunningCluster {
  readonly #places: readonly WorkerPlace[];
  readonly #balancer: SocketBalancer | undefined;
  readonly #options: ClusterOptions;
  #reloading: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  readonly #onStop = (): void => {
    if (this.#stopping) {
      for (const place of this.#places) place.kill();
      process.exit(1);
    }
    void this.stop().then(() => process.exit(0));
  };

  readonly #onReload = (): void => {
    this.reload().catch((error: unknown) => process.stderr.write(`reload failed: ${String(error)}\n`));
  };

  constructor(options: ClusterOptions) {
    const { file, args = [], env = {}, workers = 'auto', strategy } = options;
    const { startTimeout = 30_000, stopTimeout = 15_000 } = options;
    const bus = new PrimaryBus(options.journal);
    const places = workers === 'auto' ? availableParallelism() : workers;
    const listens = strategy !== 'ip-hash';
    this.#options = options;
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({
      exec: typeof file === 'string' ? file : fileURLToPath(file), args: [...args], serialization: 'advanced',
    });
    const settings = { bus, env, listens, startTimeout, stopTimeout };
    this.#places = Array.from({ length: places }, () => new WorkerPlace(settings));
    if (!listens) this.#balancer = new SocketBalancer(() => this.#places.map((place) => place.acceptor));
  }

  get pids(): number[] { return this.#places.flatMap(({ pid }) => pid ?? []); }

  get port(): number | undefined { return this.#balancer?.port; }

  async start(): Promise<void> {
    try {
      await Promise.all(this.#places.map((place) => place.start()));
      const { port, host, signals = true } = this.#options;
      if (port !== undefined) await this.#balancer?.listen(port, host);
      if (!signals) return;
      process.on('SIGTERM', this.#onStop).on('SIGINT', this.#onStop).on('SIGHUP', this.#onReload);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  reload(): Promise<void> {
    if (!this.#reloading) return (this.#reloading = this.#reload().finally(() => (this.#reloading = undefined)));
    // A failure of the running one does not matter for the next one.
    return (this.#next ??= this.#reloading.catch(() => undefined).then(() => {
      this.#next = undefined;
      return this.reload();
    }));
  }

  async #reload(): Promise<void> {
    for (const place of this.#places) if (!this.#stopping) await place.replace();
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    this.#balancer?.close();
    await Promise.all(this.#places.map((place) => place.stop()));
    current = undefined;
    process.off('SIGTERM', this.#onStop).off('SIGINT', this.#onStop).off('SIGHUP', this.#onReload);
  }
}
