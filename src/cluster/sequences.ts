import type { Envelope } from './packet.ts';

/** Topics whose last number is remembered. Past this, the packets of the oldest say that they do not know it. */
const MAX_TOPICS = 100_000;

/** What a packet is, by its number. */
export type Place = 'next' | 'after a gap' | 'repeated';

/**
 * Sequences numbers the packets of this node, and notices packets of other nodes that are missing or repeated. Each
 * packet has the number of the previous one to its topic, so a node may subscribe to any part of the topics.
 */
export class Sequences {
  #count = 0;
  readonly #sent = new Map<string, number>();
  /** The last packet of each node, by topic. A topic that this node leaves is forgotten. */
  readonly #seen = new Map<string, Map<string, { readonly run: string; readonly n: number }>>();

  /** Numbers the next packet to a topic. */
  next(topic: string): Pick<Envelope, 'n' | 'prev'> {
    const n = ++this.#count;
    const prev = this.#sent.get(topic) ?? 0;
    // Taken out first, so that the map is in the order of use.
    if (prev > 0) this.#sent.delete(topic);
    else if (this.#sent.size >= MAX_TOPICS) this.#sent.delete(this.#sent.keys().next().value!);
    this.#sent.set(topic, n);
    return { n, prev };
  }

  /** Notes a packet of another node. */
  note(topic: string, { from, run, n, prev }: Envelope): Place {
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

  /** Forgets what was received of a topic. */
  forgetTopic(topic: string): void { this.#seen.delete(topic); }

  /** Forgets a node that left. */
  forgetNode(from: string): void {
    for (const nodes of this.#seen.values()) nodes.delete(from);
  }
}
