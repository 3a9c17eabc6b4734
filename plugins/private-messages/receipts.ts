import { BoundedTable, ModuleError } from '../../src/index.ts';

/** What the recipient has confirmed. `read` comes after `delivered`. */
export type Stage = 'delivered' | 'read';

interface Receipt {
  readonly from: string;
  readonly to: string;
  readonly at: number;
  stage: Stage | undefined;
}

/** Receipts keeps the messages that await receipts, limited in total, per sender and in time. */
export class Receipts {
  readonly #receipts: BoundedTable<string, Receipt>;

  /** @param lifetime milliseconds for which a message awaits receipts */
  constructor(max: number, maxPerSender: number, lifetime: number) {
    const isExpired = ({ at }: Receipt): boolean => performance.now() - at > lifetime;
    this.#receipts = new BoundedTable({ max, maxPerOwner: maxPerSender, isExpired });
  }

  get size(): number { return this.#receipts.size; }

  /**
   * Lets a message await receipts. A message that is sent again, for example from a store, keeps its stage. At a limit,
   * the oldest entry of the same sender is dropped. Entries of other senders are never dropped.
   */
  expect(messageId: string, from: string, to: string): void {
    const receipt: Receipt = { from, to, at: performance.now(), stage: this.#receipts.get(messageId)?.stage };
    // Deleted first, so that it becomes the latest entry.
    this.#receipts.delete(messageId);
    if (!this.#receipts.set(messageId, receipt, from)) return;
    const [oldest] = this.#receipts.keysOf(from);
    if (oldest === undefined) return;
    this.#receipts.delete(oldest);
    this.#receipts.set(messageId, receipt, from);
  }

  /** Whether a message to this user with this id awaits receipts. */
  awaits(messageId: string, userId: string): boolean { return this.#receipts.get(messageId)?.to === userId; }

  /**
   * Confirms a message for its recipient. Each device of the recipient may call it.
   * @returns the sender; `undefined` if the message had this stage already
   * @throws MESSAGE_UNKNOWN, also for messages to others, so that clients cannot test which ids exist
   */
  confirm(messageId: string, userId: string, stage: Stage): string | undefined {
    const receipt = this.#receipts.get(messageId);
    if (receipt?.to !== userId) throw new ModuleError('MESSAGE_UNKNOWN', { messageId });
    if (receipt.stage === 'read' || receipt.stage === stage) return undefined;
    receipt.stage = stage;
    return receipt.from;
  }
}
