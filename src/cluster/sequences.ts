import type { Envelope } from './packet.ts';

/** Topics whose last packet number is kept. Beyond it, the topic used longest ago is deleted: its next `prev` is 0. */
const MAX_TOPICS = 100_000;

/**
 * Maximum number of senders that are no peers, summed over topics: those that are not known yet, and those that were
 * silent. Forged packets can name any number of them. Beyond it, the oldest topic is forgotten.
 */
const MAX_STRANGERS = 10_000;

/** The number of a packet, compared with the last packet of its sender to the same topic. */
export type PacketOrder = 'next' | 'after a gap' | 'repeated';

interface Last { readonly run: string; readonly n: number }
type LastOfNodes = Map<string, Map<string, Last>>;

/**
 * Sequences numbers the packets of this node, and detects packets of other nodes that are missing or repeated. Each
 * packet has the number of the previous one to its topic, so that this also works for a node that subscribes to some
 * topics only.
 */
export class Sequences {
  #count = 0;
  readonly #sent = new Map<string, number>();
  /** The last packet of each peer, by topic. Deleted when this node unsubscribes from the topic. */
  readonly #peers: LastOfNodes = new Map();
  /** The same for other senders. */
  readonly #strangers: LastOfNodes = new Map();
  #strangerCount = 0;

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
  record(topic: string, { from, run, n, prev }: Envelope, isPeer: boolean): PacketOrder {
    // Fast path: only strangers are looked up in both tables.
    const last = this.#peers.get(topic)?.get(from) ?? this.#takeStranger(topic, from);
    const isKnown = last?.run === run;
    const isRepeated = isKnown && n <= last.n;
    const latest = isRepeated ? last : { run, n };
    if (isPeer) setIn(this.#peers, topic, from, latest);
    else this.#addStranger(topic, from, latest);
    if (isRepeated) return 'repeated';
    return isKnown && prev > last.n ? 'after a gap' : 'next';
  }

  /** Deletes the records of a topic. */
  forgetTopic(topic: string): void {
    this.#peers.delete(topic);
    this.#dropStrangers(topic);
  }

  /** Called when a node is no longer a peer. If the same run of it is back, its packets are compared as before. */
  forgetPeer(from: string): void {
    for (const [topic, nodes] of this.#peers) {
      const last = nodes.get(from);
      if (!last) continue;
      nodes.delete(from);
      this.#addStranger(topic, from, last);
    }
  }

  #addStranger(topic: string, from: string, last: Last): void {
    if (this.#strangerCount >= MAX_STRANGERS) this.#dropStrangers(this.#strangers.keys().next().value!);
    setIn(this.#strangers, topic, from, last);
    this.#strangerCount++;
  }

  #takeStranger(topic: string, from: string): Last | undefined {
    if (this.#strangerCount === 0) return undefined;
    const nodes = this.#strangers.get(topic);
    const last = nodes?.get(from);
    if (!nodes || !last) return undefined;
    nodes.delete(from);
    this.#strangerCount--;
    if (nodes.size === 0) this.#strangers.delete(topic);
    return last;
  }

  #dropStrangers(topic: string): void {
    this.#strangerCount -= this.#strangers.get(topic)?.size ?? 0;
    this.#strangers.delete(topic);
  }
}

function setIn(table: LastOfNodes, topic: string, from: string, last: Last): void {
  const nodes = table.get(topic);
  if (nodes) nodes.set(from, last);
  else table.set(topic, new Map([[from, last]]));
}
