/** The messages of a batch that one connection does not get. */
interface Withheld {
  /** Index of the first message that was sent after the connection entered the room. */
  since: number;
  /** Indexes of later messages that except it. */
  readonly indexes: Set<number>;
}

/** The waiting messages of a room as JSON, in order, and which of them single connections do not get. */
export class MessageBatch {
  readonly #texts: string[] = [];
  readonly #withheld = new Map<string, Withheld>();
  #size = 0;

  get length(): number { return this.#texts.length; }

  /** Characters of JSON. */
  get size(): number { return this.#size; }

  /** The ids of connections that do not get all messages. */
  get excepted(): readonly string[] { return [...this.#withheld.keys()]; }

  /** Upper limit of messages in the separate batches of these connections. */
  get separateCount(): number { return this.#withheld.size * this.length; }

  /** @param except ids of connections that do not get the message */
  add(text: string, except: readonly string[]): void {
    for (const id of except) this.#of(id).indexes.add(this.length);
    this.#texts.push(text);
    this.#size += text.length;
  }

  /** A connection entered the room. It gets only later messages. */
  enter(connectionId: string): void { this.#of(connectionId).since = this.length; }

  /** A connection left the room. */
  leave(connectionId: string): void { this.#withheld.delete(connectionId); }

  /** Decodes the messages. */
  read(): unknown[] { return JSON.parse(`[${this.#texts.join(',')}]`) as unknown[]; }

  /** Returns the messages that a connection gets. */
  for(connectionId: string, messages: readonly unknown[]): readonly unknown[] {
    const withheld = this.#withheld.get(connectionId);
    if (!withheld) return messages;
    return messages.filter((_, index) => index >= withheld.since && !withheld.indexes.has(index));
  }

  #of(connectionId: string): Withheld {
    let withheld = this.#withheld.get(connectionId);
    if (!withheld) this.#withheld.set(connectionId, (withheld = { since: 0, indexes: new Set() }));
    return withheld;
  }
}
