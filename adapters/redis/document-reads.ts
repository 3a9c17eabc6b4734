import type { Json, Versioned } from '../../src/index.ts';

type Texts = readonly (string | null)[];
interface Batch { readonly indexes: Map<string, number>; readonly texts: Promise<Texts>; send(): void }

/** Maximum number of documents in one command. */
const CHUNK = 500;

/**
 * DocumentReads reads the documents of a store. The reads of one turn are sent together, and each document is read
 * once. A read is sent before any later write of this node, so that the calls run in order.
 */
export class DocumentReads {
  readonly #read: (keys: readonly string[]) => Promise<Texts>;
  #batch: Batch | undefined;

  /** @param read reads the texts of documents, with one command */
  constructor(read: (keys: readonly string[]) => Promise<Texts>) { this.#read = read; }

  async get(keys: readonly string[]): Promise<(Versioned | undefined)[]> {
    if (keys.length === 0) return [];
    const { indexes, texts } = this.#batch ??= this.#newBatch();
    const wanted = keys.map((key) => {
      const index = indexes.get(key) ?? indexes.size;
      indexes.set(key, index);
      return index;
    });
    const found = await texts;
    return wanted.map((index) => parse(found[index] ?? null));
  }

  /** Sends the reads that wait. Must be called before a document is written. */
  flush(): void {
    const batch = this.#batch;
    this.#batch = undefined;
    batch?.send();
  }

  #newBatch(): Batch {
    const indexes = new Map<string, number>();
    let send!: () => void;
    const texts = new Promise<Texts>((resolve) => {
      send = () => resolve(this.#send([...indexes.keys()]));
    });
    const batch = { indexes, texts, send };
    setImmediate(() => { if (this.#batch === batch) this.flush(); });
    return batch;
  }

  async #send(keys: readonly string[]): Promise<Texts> {
    const chunks: Promise<Texts>[] = [];
    for (let index = 0; index < keys.length; index += CHUNK) chunks.push(this.#read(keys.slice(index, index + CHUNK)));
    return (await Promise.all(chunks)).flat();
  }
}

/** Reads the form in which the script writes a document: the version, a space, and the JSON. */
function parse(text: string | null): Versioned | undefined {
  if (text === null) return undefined;
  const space = text.indexOf(' ');
  return { version: text.slice(0, space), value: JSON.parse(text.slice(space + 1)) as Json };
}
