import { LocalShare, type PluginContext, type SharedStore } from '../../src/index.ts';
import type { Limit } from './limit.ts';

/** Share of a full bucket that a node takes ahead for an actor. */
const AHEAD = 0.1;
/** Milliseconds after which a store that has not answered is treated as unavailable. */
const SLOW = 250;
/** Milliseconds between two rounds in which debts are paid. */
const ROUND = 100;
/** Maximum number of actors whose debts are paid in one round. */
const MAX_PER_ROUND = 200;

/** The tokens of one bucket of one actor that this node has taken from the store. */
export interface TokenReserve {
  readonly key: string;
  readonly rate: { readonly burst: number; readonly per: number };
  /** Tokens taken ahead; a negative number is the debt for messages that have passed already. */
  tokens: number;
  /** When the store has the next token. */
  nextAt: number;
  /** When the store was asked, while its answer is awaited. */
  askedAt: number | undefined;
}

/**
 * SharedTokens charges messages to buckets that all nodes share. No message waits for the store: tokens are taken ahead
 * of the next messages, in the background. If they do not suffice, a message passes on credit, up to a full bucket; the
 * debt is paid by the next tokens. So the rate of all nodes together is exact, and a burst to n nodes may be up to n
 * times as large.
 */
export class SharedTokens {
  readonly #store: SharedStore;
  readonly #share: LocalShare;
  /** All limits, by slot. */
  readonly #limits: readonly Limit[];
  readonly #maxDebts: number;
  /** By the states of the actor on this node, so that a message builds no key. */
  readonly #reserves = new WeakMap<object, readonly TokenReserve[]>();
  /** Reserves with a debt, by key. The actor keeps its debt even if its states are dropped meanwhile. */
  readonly #debts = new Map<string, TokenReserve>();

  /** @param maxDebts maximum number of buckets with a debt; a further debt is forgotten with the states of its actor */
  constructor(context: PluginContext, store: SharedStore, limits: readonly Limit[], maxDebts: number) {
    this.#store = store;
    this.#share = new LocalShare(context);
    this.#limits = limits;
    this.#maxDebts = maxDebts;
    context.every(ROUND, () => this.#payDebts());
  }

  /** @param states the states of an actor on this node @param actor a name of the actor */
  reservesOf(states: object, actor: string, id: string): readonly TokenReserve[] {
    const known = this.#reserves.get(states);
    if (known) return known;
    const reserves = this.#limits.map(({ meter, unit, label }): TokenReserve => {
      const burst = Math.max(1, Math.round(meter.burst));
      const per = Math.max(1, Math.round(burst * meter.interval));
      // Nodes with other limits, during a deploy, have other buckets. A lone surrogate cannot be stored.
      const key = `${unit}${label} ${burst}/${per} ${actor}:${id.toWellFormed()}`;
      return this.#debts.get(key) ?? { key, rate: { burst, per }, tokens: 0, nextAt: 0, askedAt: undefined };
    });
    this.#reserves.set(states, reserves);
    return reserves;
  }

  /**
   * By what the cost of a message is multiplied on this node. While the store cannot be used, that is the number of
   * nodes, so that the rate of this node is its share.
   */
  factor(reserve: TokenReserve, now: number): number { return this.#isAway(reserve, now) ? this.#share.nodes : 1; }

  /** Whether the store cannot be used, or is too slow. Then the share of this node applies; reserves do not count. */
  #isAway({ askedAt }: TokenReserve, now: number): boolean {
    return this.#share.isNeededAt(now) || (askedAt !== undefined && now - askedAt > SLOW);
  }

  /** Milliseconds until a message may pass; 0 if it may pass now. */
  wait(reserve: TokenReserve, now: number): number {
    if (reserve.tokens > -reserve.rate.burst || this.#isAway(reserve, now)) return 0;
    return Math.max(1, Math.ceil(reserve.nextAt - now)) + ROUND;
  }

  charge(reserve: TokenReserve, cost: number, now: number): void {
    if (!this.#isAway(reserve, now)) reserve.tokens -= cost;
    this.#askWhenDue(reserve, now);
  }

  refund(reserve: TokenReserve, cost: number, now: number): void {
    if (!this.#isAway(reserve, now)) reserve.tokens += cost;
  }

  #askWhenDue(reserve: TokenReserve, now: number): void {
    const ahead = aheadOf(reserve);
    if (reserve.tokens >= ahead / 2 || reserve.askedAt !== undefined || reserve.nextAt > now) return;
    if (this.#share.isNeededAt(now)) return;
    void this.#ask(reserve, Math.ceil(ahead - reserve.tokens), now);
  }

  async #ask(reserve: TokenReserve, count: number, now: number): Promise<void> {
    reserve.askedAt = now;
    try {
      const { granted, retryAfter } = await this.#store.take(reserve.key, reserve.rate, count);
      reserve.tokens += granted;
      reserve.nextAt = performance.now() + retryAfter;
      this.#share.succeeded();
    } catch (error) {
      this.#share.failed(error);
    }
    reserve.askedAt = undefined;
    if (reserve.tokens >= 0) this.#debts.delete(reserve.key);
    else if (this.#debts.size < this.#maxDebts) this.#debts.set(reserve.key, reserve);
    // What was used during the question.
    if (reserve.tokens < 0) this.#askWhenDue(reserve, performance.now());
  }

  #payDebts(): void {
    const now = performance.now();
    let left = MAX_PER_ROUND;
    for (const [key, reserve] of this.#debts) {
      if (left-- === 0) break;
      // To the end, so that all have their turn.
      this.#debts.delete(key);
      this.#debts.set(key, reserve);
      this.#askWhenDue(reserve, now);
    }
  }
}

const aheadOf = ({ rate: { burst } }: TokenReserve): number => Math.max(1, Math.floor(burst * AHEAD));
