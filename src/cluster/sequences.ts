import type { Envelope } from './packet.ts';

/** Topics whose last packet number is kept. Beyond it, the topic used longest ago is deleted: its next `prev` is 0. */
const MAX_TOPICS = 100_000;

/** The number of a packet, compared with the last packet of its sender to the same topic. */
export type PacketOrder = 'next' | 'after a gap' | 'repeated';

/**
 * Sequences numbers the packets of this node, and detects packets of other nodes that are missing or repeated. Each
 * packet has the number of the previous one to its topic, so that this also works for a node that subscribes to some
 * topics only.
 */
export class Sequences {
  #count = 0;
  readonly #sent = new Map<string, number>();
  /** The last packet of each node, by topic. Deleted when this node unsubscribes from the topic. */
  readonly #seen = new Map<string, Map<string, { readonly run: string; readonly n: number }>>();

  /** Numbers the next packet to a topic. */
  next(topic: string): Pick<Envelope, 'n' | 'prev'> {
    const n = ++this.#count;
    const prev = this.#sent.get(topic) ?? 0;
    // Deleted first, so that the map has the order of the last use.
    if (prev > 0) this.#sent.delete(topic);
    else if (this.#sent.size >= MAX_TOPICS) this.#sent.delete(this.#sent.keys().next().value!);
    this.#sent.set(topic, n);
    return { n, prev };
  }

  /** Records a packet of another node. */
  record(topic: string, { from, run, n, prev }: Envelope): PacketOrder {
    let nodes = this.#seen.get(topic);
    if (!nodes) this.#seen.set(topic, (nodes = new Map()));
    const last = nodes.get(from);
    if (last?.run === run) {
      if (n <= last.n) return 'repeated';
      nodes.set(from, { run, n });
      return prev > last.n ? 'after a gap' : 'next';
    }
    nodes.set(from, { run, n });
    return 'next';
  }

  /** Deletes the records of a topic. */
  forgetTopic(topic: string): void { this.#seen.delete(topic); }

  /** Deletes the records of a node that stopped. */
  forgetNode(from: string): void {
    for (const nodes of this.#seen.values()) nodes.delete(from);
  }
}
