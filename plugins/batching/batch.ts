/** What waits for the connections in a room: messages as JSON, in order, and who is not to get some of them. */
export class Batch {
  readonly #texts: string[] = [];
  /** Of who is not to get all: the places of the messages that he does not get. */
  readonly #withheld = new Map<string, Set<number>>();
  #size = 0;

  get length(): number { return this.#texts.length; }

  /** Characters of JSON. */
  get size(): number { return this.#size; }

  /** Ids of connections that get something else than the others. */
  get excepted(): readonly string[] { return [...this.#withheld.keys()]; }

  add(text: string, except: readonly string[]): void {
    for (const id of except) {
      const places = this.#withheld.get(id);
      if (places) places.add(this.length);
      else this.#withheld.set(id, new Set([this.length]));
    }
    this.#texts.push(text);
    this.#size += text.length;
  }

  /** The messages, as they were when they were added. */
  read(): unknown[] { return JSON.parse(`[${this.#texts.join(',')}]`) as unknown[]; }

  /** Of the messages, those that a connection is to get. */
  for(connectionId: string, messages: readonly unknown[]): unknown[] {
    const withheld = this.#withheld.get(connectionId);
    return messages.filter((_, place) => !withheld?.has(place));
  }
}
