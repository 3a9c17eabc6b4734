/** What one connection does not get of a batch. */
interface Withheld {
  /** Index of the first message that was sent after the connection entered the room. */
  since: number;
  /** Indexes of later messages that are not for it. */
  readonly indexes: Set<number>;
}

/** The messages that wait for a room, as JSON and in order, and what single connections do not get of them. */
export class MessageBatch {
  readonly #texts: string[] = [];
  readonly #withheld = new Map<string, Withheld>();
  #size = 0;

  get length(): number { return this.#texts.length; }

  /** Characters of JSON. */
  get size(): number { return this.#size; }

  /** Ids of connections that do not get all messages. */
  get excepted(): readonly string[] { return [...this.#withheld.keys()]; }

  /** Messages in the batches of these connections, at most. */
  get ownLength(): number { return this.#withheld.size * this.length; }

  /** @param except ids of connections that do not get the message */
  add(text: string, except: readonly string[]): void {
    for (const id of except) this.#of(id).indexes.add(this.length);
    this.#texts.push(text);
    this.#size += text.length;
  }

  /** A connection has entered the room: it gets later messages only. */
  enter(connectionId: string): void { this.#of(connectionId).since = this.length; }

  /** A connection has left the room. */
  leave(connectionId: string): void { this.#withheld.delete(connectionId); }

  /** The messages, as they were when they were added. */
  read(): unknown[] { return JSON.parse(`[${this.#texts.join(',')}]`) as unknown[]; }

  /** Those of the messages that a connection gets. */
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
