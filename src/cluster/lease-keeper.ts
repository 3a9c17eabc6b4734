import type { HealthReport, Lease, Store } from '../contracts.ts';
import { hasCode, ModuleError, toError } from '../errors.ts';
import type { Core } from '../runtime/core.ts';
import { SeatParts } from './seat-parts.ts';
import { Settlement } from './settlement.ts';

/** Milliseconds after which the lease of a node expires, unless it is renewed. */
export const LEASE_TTL = 10_000;
/** Milliseconds between two renewals. */
export const RENEW_INTERVAL = 3_000;
/** Milliseconds after which a failed renewal is repeated, and between two that other nodes ask for. */
const RENEW_RETRY = 1_000;
/** Milliseconds between two calls of reap(), on average. */
export const REAP_INTERVAL = 3_000;
/** Milliseconds between two checks of what is due. */
const TICK = 250;
/** Milliseconds of the first backoff, and of the longest one. The actual wait is random, up to this time. */
const BACKOFF = { first: 500, max: 5_000 } as const;
/** Milliseconds for which start() tries to take a lease. */
const START_TIMEOUT = 10_000;

/** `entering`: the node has a new lease, and the plugins enter again what they hold. */
type State = 'stopped' | 'starting' | 'lapsed' | 'entering' | 'serving';

/** What LeaseKeeper uses of its node, to know the other nodes. */
export interface LeaseKeeperHost {
  /** The generations in which the other nodes have entered their seats. */
  generations(): Iterable<string | undefined>;
  /** Called when this node has entered its seats: it tells the others. */
  entered(): void;
}

/**
 * LeaseKeeper holds the lease of this node in the store, and renews it. The lease is measured by the monotonic clock of
 * the node, from before the renewal was sent: the node stops using the store before the store gives its seats to other
 * nodes. After a lapse, LeaseKeeper takes a new lease, and the plugins enter their seats again.
 */
export class LeaseKeeper {
  readonly parts: SeatParts;
  readonly store: Store;
  readonly #core: Core;
  readonly #host: LeaseKeeperHost | undefined;
  readonly #settlement: Settlement;
  #state: State = 'stopped';
  /** When the lease ends, by `performance.now()`. */
  #until = -Infinity;
  /** Changes with each lease, and at each lapse. An answer to a call of an earlier epoch is ignored. */
  #epoch = 0;
  #generation: string | undefined;
  /** The clock of the store minus `performance.now()`, in milliseconds. */
  #clockOffset = performance.timeOrigin;
  #timer: NodeJS.Timeout | undefined;
  #renewAt = 0;
  #renewedAt = 0;
  #reapAt = 0;
  /** When the next attempt to take a lease begins; Infinity while one is running. */
  #takeAt = Infinity;
  #attempts = 0;
  #isReaping = false;
  /** Whether the store may have seats of this node that it does not hold any more. */
  #mayHaveMore = false;
  #isReleasing = false;
  /** Why the store is not used, and since when by `Date.now()`. */
  #outage: { readonly reason: string; readonly since: number } | undefined;
  /** Whether the store may have lost data since the last renewal. */
  #isSuspicious = false;
  /** The generation that this node has told the others. */
  #announced: string | undefined;
  /** When the lease was lost; undefined once the plugins have entered their seats again. */
  #lapsedAt: number | undefined;
  #lastCode: string | undefined;

  constructor(core: Core, store: Store, host?: LeaseKeeperHost) {
    this.#core = core;
    this.store = store;
    this.#host = host;
    this.#settlement = new Settlement({
      entered: () => this.entered, others: () => host?.generations() ?? [],
    }, LEASE_TTL);
    this.parts = new SeatParts({
      holds: () => this.holds(),
      report: (error, plugin) => core.report(error, { phase: plugin === undefined ? 'store' : 'plugin', plugin }),
      entered: () => this.#serve(),
    });
  }

  /** The id of this node. */
  get node(): string { return this.#core.id; }

  /** Identifies the present lease. Changes when a lease begins, and when it is lost. */
  get epoch(): number { return this.#epoch; }

  /** The generation of the store's data in which this node has entered all its seats. */
  get entered(): string | undefined {
    const isEntered = this.#state === 'serving' && !this.#isSuspicious && this.parts.areEntered;
    return isEntered ? this.#generation : undefined;
  }

  /**
   * Resolves when newcomers may enter: after a loss of data, all nodes first enter again what they hold, or lose their
   * leases. Returns undefined if newcomers may enter now.
   */
  settled(): Promise<void> | undefined { return this.#settlement.settled(); }

  /** Called when the store, or another node, has another generation than this node knows. */
  suspectLoss(): void {
    if (this.#state !== 'serving') return;
    this.#isSuspicious = true;
    this.#settlement.begin();
    this.#renewAt = Math.min(this.#renewAt, this.#renewedAt + RENEW_RETRY);
    if (performance.now() >= this.#renewAt) void this.#renew();
  }

  /** Called when another node says for the first time in which generation it has entered its seats. */
  heard(generation: string): void {
    if (this.#generation !== undefined && generation !== this.#generation) this.suspectLoss();
    this.#settlement.check();
  }

  /** Milliseconds since the epoch, by the clock of the store. */
  now(): number { return Math.floor(performance.now() + this.#clockOffset); }

  /** Whether the node may use the store now. If the lease has expired, tells the plugins before it returns. */
  holds(): boolean {
    if (performance.now() < this.#until) return true;
    this.lapse(this.#epoch, `the lease was not renewed within ${LEASE_TTL} ms`);
    return false;
  }

  /** Ends the use of the store, if the given lease is the present one. */
  lapse(epoch: number, reason: string): void {
    if (epoch !== this.#epoch || (this.#state !== 'entering' && this.#state !== 'serving')) return;
    this.#lapsedAt ??= performance.now();
    this.#state = 'lapsed';
    this.#until = -Infinity;
    this.#epoch++;
    this.#isReaping = false;
    this.#attempts = 0;
    this.#takeAt = performance.now() + backoff(0);
    this.#setUnhealthy(reason);
    this.parts.lapsed();
    this.#core.hooks.emit('store:lapsed', { reason });
  }

  /** Takes the first lease. @throws NODE_ID_TAKEN, ADAPTER_FAILED */
  async start(): Promise<void> {
    const end = performance.now() + START_TIMEOUT;
    this.#state = 'starting';
    this.#setUnhealthy('the node is starting');
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#take();
        break;
      } catch (cause) {
        if (hasCode(cause, 'NODE_ID_TAKEN')) throw cause;
        if (performance.now() >= end || this.#isStopped) {
          throw new ModuleError('ADAPTER_FAILED', { adapter: this.store.name, action: 'take a lease' }, { cause });
        }
      }
      await new Promise<void>((resolve) => void this.#core.clock.after(backoff(attempt), resolve));
    }
    this.#reapAt = performance.now() + jitter(REAP_INTERVAL);
    this.#timer = setInterval(() => this.#tick(), TICK).unref();
    this.#enter();
  }

  /** Releases the lease. Other nodes clear the seats that this node still holds. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const hadLease = this.#until !== -Infinity;
    this.#state = 'stopped';
    this.#until = -Infinity;
    this.#epoch++;
    if (hadLease) await this.store.release();
  }

  check(): HealthReport {
    const { reason, since } = this.#outage ?? {};
    if (reason === undefined) return { status: 'healthy' };
    return { status: 'unhealthy', reason, since: new Date(since!).toISOString() };
  }

  // A getter, because the compiler does not know that the state changes during an await.
  get #isStopped(): boolean { return this.#state === 'stopped'; }

  #tick(): void {
    const now = performance.now();
    if (this.#state === 'lapsed') {
      if (now >= this.#takeAt) void this.#regain();
      return;
    }
    if (!this.holds()) return;
    this.#settlement.check();
    if (now >= this.#renewAt) void this.#renew();
    this.parts.proceed();
    if (this.#mayHaveMore && !this.#isReleasing && this.entered !== undefined) void this.#releaseMore();
    const mayReap = this.#state === 'serving' && this.parts.areEntered && !this.#isReaping;
    if (mayReap && now >= this.#reapAt) void this.#reap();
  }

  /** Takes a new lease. */
  async #take(): Promise<void> {
    let since = performance.now();
    let lease = await this.store.lease(this.#core.id, LEASE_TTL);
    // It may have waited until the lease of an earlier run expired.
    if (performance.now() - since >= RENEW_INTERVAL) {
      since = performance.now();
      lease = await this.store.renew();
    }
    if (this.#isStopped) {
      await this.store.release();
      throw new ModuleError('MANAGER_STOPPED');
    }
    if (performance.now() >= since + LEASE_TTL) throw new ModuleError('LEASE_LOST', { node: this.#core.id });
    this.#epoch++;
    this.#until = since + LEASE_TTL;
    this.#renewAt = since + RENEW_INTERVAL;
    this.#accept(lease);
  }

  /** Takes a new lease after a lapse. If that fails, a later tick tries again. */
  async #regain(): Promise<void> {
    this.#takeAt = Infinity;
    try {
      await this.#take();
      this.#lastCode = undefined;
      this.#enter();
    } catch (thrown) {
      if (this.#isStopped) return;
      const error = toError(thrown);
      const code = error instanceof ModuleError ? error.code : error.name;
      // Once for each code: the attempts go on until one succeeds.
      if (code !== this.#lastCode) this.#core.report(error, { phase: 'store' });
      this.#lastCode = code;
      this.#setUnhealthy(error.message);
      this.#takeAt = performance.now() + backoff(++this.#attempts);
    }
  }

  async #renew(): Promise<void> {
    const epoch = this.#epoch;
    const since = performance.now();
    this.#renewedAt = since;
    this.#renewAt = since + RENEW_INTERVAL;
    try {
      const lease = await this.store.renew();
      if (epoch !== this.#epoch) return;
      this.#until = Math.max(this.#until, since + LEASE_TTL);
      if (this.holds() && this.#accept(lease)) this.parts.enterAgain();
    } catch (thrown) {
      const error = toError(thrown);
      if (hasCode(error, 'LEASE_LOST')) this.lapse(epoch, error.message);
      // The adapter reports that its store cannot be reached. If that lasts, the lease lapses.
      else this.#renewAt = Math.min(this.#renewAt, performance.now() + RENEW_RETRY);
    }
  }

  /** Sets the clock. Returns whether the store may have lost data since the lease before. */
  #accept({ generation, now }: Lease): boolean {
    this.#clockOffset = now - performance.now();
    const isOther = this.#generation !== undefined && this.#generation !== generation;
    this.#generation = generation;
    this.#isSuspicious = false;
    if (isOther) {
      this.#settlement.begin();
      this.#mayHaveMore = true;
      this.#core.hooks.emit('store:data-lost', { generation });
    }
    return isOther;
  }

  #enter(): void {
    this.#state = 'entering';
    if (this.#lapsedAt !== undefined) this.#setUnhealthy('the node enters its seats again');
    this.parts.enterAgain();
  }

  /** Called when all plugins have entered what they hold. */
  #serve(): void {
    if (this.#state !== 'entering' && this.#state !== 'serving') return;
    const isNew = this.#state === 'entering';
    this.#state = 'serving';
    if (this.#announced !== this.entered) {
      this.#announced = this.entered;
      this.#host?.entered();
    }
    this.#settlement.check();
    if (!isNew) return;
    this.#outage = undefined;
    this.#core.statistics.healthChecks.refresh('store');
    // Clears at once what the earlier run of this node left.
    if (this.#lapsedAt !== undefined) {
      this.#reapAt = 0;
      this.#core.hooks.emit('store:renewed', { lapsedFor: Math.round(performance.now() - this.#lapsedAt) });
    }
    this.#lapsedAt = undefined;
  }

  /** Releases the seats that the store has for this node, and that no plugin holds: their ends were lost. */
  async #releaseMore(): Promise<void> {
    this.#mayHaveMore = false;
    this.#isReleasing = true;
    try {
      await this.parts.releaseOthers(this.store);
    } catch (thrown) {
      // The next tick tries again, if the lease is not lost.
      this.#mayHaveMore = hasCode(thrown, 'STORE_UNAVAILABLE', 'LEASE_LOST');
      if (!this.#mayHaveMore) this.#core.report(toError(thrown), { phase: 'store' });
    } finally {
      this.#isReleasing = false;
    }
  }

  /** Hands the seats of dead nodes to the plugins. */
  async #reap(): Promise<void> {
    const epoch = this.#epoch;
    const isSame = (): boolean => epoch === this.#epoch && this.holds();
    this.#isReaping = true;
    try {
      for (;;) {
        const seats = await this.store.reap();
        // After a lapse, another node gets these seats.
        if (seats.length === 0 || !await this.parts.hand(seats, isSame)) break;
      }
    } catch (thrown) {
      const error = toError(thrown);
      const code = error instanceof ModuleError ? error.code : undefined;
      if (code === 'LEASE_LOST') this.lapse(epoch, error.message);
      // The adapter reports that its store cannot be reached.
      else if (code !== 'STORE_UNAVAILABLE' && isSame()) this.#core.report(error, { phase: 'store' });
    }
    if (epoch !== this.#epoch) return;
    this.#isReaping = false;
    this.#reapAt = performance.now() + jitter(REAP_INTERVAL);
  }

  #setUnhealthy(reason: string): void {
    this.#outage = { reason, since: this.#outage?.since ?? Date.now() };
    this.#core.statistics.healthChecks.refresh('store');
  }
}

/** A random time before the next attempt, so that the nodes of a cluster do not try at once. */
const backoff = (attempt: number): number => Math.random() * Math.min(BACKOFF.max, BACKOFF.first * 2 ** attempt);
/** The time, or up to a third more or less. */
const jitter = (milliseconds: number): number => milliseconds * (2 / 3 + Math.random() * 2 / 3);
