import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { ModuleError } from '../../src/index.ts';
import type { PrimaryBus } from './primary-bus.ts';
import { isReady, type Acceptor } from './socket-balancer.ts';

/** Milliseconds before a worker that ended is started again: at first, and at most. */
const RESTART_DELAY = { first: 500, max: 30_000 } as const;
/** A worker that ran for so many milliseconds is started again after the first delay. */
const STABLE_TIME = 60_000;

interface PlaceSettings {
  readonly bus: PrimaryBus;
  readonly env: Readonly<Record<string, string>>;
  /** Whether a worker is ready when its server listens; else when it says so. */
  readonly listens: boolean;
  readonly startTimeout: number;
  readonly stopTimeout: number;
}

/** One place of a cluster: its worker, and the next one after that has ended. */
export class WorkerPlace {
  readonly #settings: PlaceSettings;
  /** The worker that serves. */
  #worker: Worker | undefined;
  /** All workers that run: one may be starting, and others may be stopping. */
  readonly #running = new Set<Worker>();
  #failures = 0;
  #restart: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(settings: PlaceSettings) { this.#settings = settings; }

  get pid(): number | undefined { return this.#worker?.process.pid; }

  /** The worker, for connections that the primary assigns. */
  get acceptor(): Acceptor | undefined { return this.#worker?.isConnected() ? this.#worker : undefined; }

  /** Resolves when the first worker is ready. @throws WORKER_FAILED */
  async start(): Promise<void> { this.#worker = await this.#fork(); }

  /** Starts another worker, and then stops the present one. @throws WORKER_FAILED */
  async replace(): Promise<void> {
    const next = await this.#fork();
    const before = this.#worker;
    this.#worker = next;
    this.#cancelRestart();
    if (before) await this.#end(before);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelRestart();
    await Promise.all([...this.#running].map((worker) => this.#end(worker)));
  }

  kill(): void { for (const worker of this.#running) worker.process.kill('SIGKILL'); }

  /** @throws WORKER_FAILED */
  async #fork(): Promise<Worker> {
    const { bus, env, listens, startTimeout } = this.#settings;
    const worker = cluster.fork(env);
    this.#running.add(worker);
    const detach = bus.attach(worker.process);
    const startedAt = performance.now();
    let isReadyNow = false;
    // A process that cannot be started, or to which a message cannot be sent. Its end is handled below.
    worker.on('error', (error: Error) => {
      process.stderr.write(`worker ${worker.process.pid ?? '(not started)'}: ${error.message}\n`);
    });
    worker.once('exit', (code: number | null, signal: string | null) => {
      detach();
      this.#running.delete(worker);
      if (isReadyNow) this.#ended(worker, signal ?? `code ${code}`, performance.now() - startedAt);
    });
    const failure = await new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(`it was not ready within ${startTimeout} ms`), startTimeout);
      const settle = (reason?: string): void => {
        clearTimeout(timer);
        resolve(reason);
      };
      worker.once('error', (error: Error) => { settle(error.message); });
      worker.once('exit', (code: number | null, signal: string | null) => {
        settle(`it ended with ${signal ?? `code ${code}`}`);
      });
      if (listens) worker.once('listening', () => settle());
      else worker.on('message', (message: unknown) => { if (isReady(message)) settle(); });
    });
    if (failure !== undefined) {
      if (worker.process.pid === undefined) this.#running.delete(worker);
      worker.process.kill('SIGKILL');
      throw new ModuleError('WORKER_FAILED', { reason: failure });
    }
    isReadyNow = true;
    return worker;
  }

  /** SIGTERM, and SIGKILL if it takes too long. */
  async #end(worker: Worker): Promise<void> {
    if (worker.isDead()) return;
    const ended = once(worker, 'exit');
    worker.process.kill('SIGTERM');
    const timer = setTimeout(() => worker.process.kill('SIGKILL'), this.#settings.stopTimeout);
    await ended;
    clearTimeout(timer);
  }

  #ended(worker: Worker, how: string, ran: number): void {
    // A worker that was replaced may end.
    if (this.#isStopped || worker !== this.#worker) return;
    this.#worker = undefined;
    if (ran > STABLE_TIME) this.#failures = 0;
    this.#startAgain(`worker ${worker.process.pid} ended with ${how}`);
  }

  #startAgain(reason: string): void {
    const longest = Math.min(RESTART_DELAY.first * 2 ** this.#failures++, RESTART_DELAY.max);
    const delay = Math.round(longest * (0.5 + Math.random() / 2));
    process.stderr.write(`${reason}; another one starts in ${delay} ms\n`);
    this.#restart = setTimeout(() => {
      this.#restart = undefined;
      void this.#fork().then(
        (worker) => {
          if (this.#isStopped || this.#worker) void this.#end(worker);
          else this.#worker = worker;
        },
        (error: unknown) => { if (!this.#isStopped && !this.#worker) this.#startAgain(String(error)); },
      );
    }, delay);
  }

  #cancelRestart(): void {
    clearTimeout(this.#restart);
    this.#restart = undefined;
  }
}
