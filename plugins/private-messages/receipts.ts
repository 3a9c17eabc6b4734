import { ModuleError } from '../../src/index.ts';

/** How far a message has come, in this order. */
export type Stage = 'delivered' | 'read';

interface Receipt {
  readonly from: string;
  readonly to: string;
  readonly at: number;
  stage: Stage | undefined;
}

/** The messages that may still be confirmed, oldest first: a bounded number of them, of them all and of each sender, each for a bounded time. */
export class Receipts {
  readonly #most: number;
  readonly #mostOfOne: number;
  readonly #lifetime: number;
  readonly #receipts = new Map<string, Receipt>();
  readonly #bySender = new Map<string, Set<string>>();

  /** @param lifetime milliseconds */
  constructor(most: number, mostOfOne: number, lifetime: number) {
    this.#most = most;
    this.#mostOfOne = mostOfOne;
    this.#lifetime = lifetime;
  }

  get size(): number { return this.#receipts.size; }

  /** Awaits the receipts of a message. One that is sent again, from a store perhaps, keeps what was confirmed of it. */
  expect(messageId: string, from: string, to: string): void {
    const stage = this.#receipts.get(messageId)?.stage;
    this.#forget(messageId);
    this.#receipts.set(messageId, { from, to, at: performance.now(), stage });
    const own = this.#bySender.get(from) ?? new Set();
    this.#bySender.set(from, own.add(messageId));
    // Who sends very much loses his own before he costs anybody else theirs.
    if (own.size > this.#mostOfOne) this.#forget(own.values().next().value!);
    for (const [id, receipt] of this.#receipts) {
      if (this.#receipts.size <= this.#most && !this.#isOver(receipt)) return;
      this.#forget(id);
    }
  }

  #forget(messageId: string): void {
    const receipt = this.#receipts.get(messageId);
    if (!receipt) return;
    this.#receipts.delete(messageId);
    const own = this.#bySender.get(receipt.from);
    own?.delete(messageId);
    if (own?.size === 0) this.#bySender.delete(receipt.from);
  }

  /**
   * Takes the word of the recipient, of whose devices several may say the same.
   * @returns who sent the message; nothing when this was known already
   * @throws MESSAGE_UNKNOWN also for the messages of others, so that nobody can find out by their ids which there are
   */
  confirm(messageId: string, userId: string, stage: Stage): string | undefined {
    const receipt = this.#receipts.get(messageId);
    if (receipt?.to !== userId || this.#isOver(receipt)) {
      throw new ModuleError('MESSAGE_UNKNOWN', { messageId }, { message: 'there is no such message to you, or not any more' });
    }
    if (receipt.stage === 'read' || receipt.stage === stage) return undefined;
    receipt.stage = stage;
    return receipt.from;
  }

  #isOver({ at }: Receipt): boolean { return performance.now() - at > this.#lifetime; }
}
