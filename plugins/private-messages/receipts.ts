import { BoundedTable, ModuleError } from '../../src/index.ts';

/** How far a message has come, in this order. */
export type Stage = 'delivered' | 'read';

interface Receipt {
  readonly from: string;
  readonly to: string;
  readonly at: number;
  stage: Stage | undefined;
}

/** Messages that can still be confirmed: bounded in all and for each sender, each for a bounded time. */
export class Receipts {
  readonly #receipts: BoundedTable<string, Receipt>;

  /** @param lifetime milliseconds */
  constructor(max: number, maxPerSender: number, lifetime: number) {
    const isExpired = ({ at }: Receipt): boolean => performance.now() - at > lifetime;
    this.#receipts = new BoundedTable({ max, maxPerOwner: maxPerSender, isExpired });
  }

  get size(): number { return this.#receipts.size; }

  /**
   * Waits for the receipts of a message. A message that is sent again, for example from a store, keeps its stage. At a
   * bound the sender loses its own oldest receipt. A sender without one gets none: no receipt of others is evicted.
   */
  expect(messageId: string, from: string, to: string): void {
    const receipt: Receipt = { from, to, at: performance.now(), stage: this.#receipts.get(messageId)?.stage };
    // It is the latest again.
    this.#receipts.delete(messageId);
    if (!this.#receipts.set(messageId, receipt, from)) return;
    const [oldest] = this.#receipts.keysOf(from);
    if (oldest === undefined) return;
    this.#receipts.delete(oldest);
    this.#receipts.set(messageId, receipt, from);
  }

  /**
   * Confirms a message for its recipient, whose devices may each do so.
   * @returns the sender; `undefined` when it is known already
   * @throws MESSAGE_UNKNOWN also for messages to others, so that ids cannot be probed
   */
  confirm(messageId: string, userId: string, stage: Stage): string | undefined {
    const receipt = this.#receipts.get(messageId);
    if (receipt?.to !== userId) throw new ModuleError('MESSAGE_UNKNOWN', { messageId });
    if (receipt.stage === 'read' || receipt.stage === stage) return undefined;
    receipt.stage = stage;
    return receipt.from;
  }
}
