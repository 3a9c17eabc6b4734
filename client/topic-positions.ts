/** The last message of a topic that the client has handled. */
export interface Position { readonly epoch: string; readonly offset: number; readonly id: string }

/** A message that is being handled, or that came after one that is. */
interface Unfinished { readonly id: string; state: 'running' | 'failed' | 'done' }

interface Topic {
  epoch: string;
  offset: number;
  id: string;
  /** Messages after the position, by offset, in order. */
  readonly unfinished: Map<number, Unfinished>;
}

/** Topics that are remembered. The server accepts 500 positions by default. */
const MAX_TOPICS = 500;
/** Messages after one that failed or does not finish. */
const MAX_UNFINISHED = 1_000;

/** How far the application has handled each topic. A position passes a message when its listeners have returned. */
export class TopicPositions {
  readonly #topics = new Map<string, Topic>();
  readonly #gaveUp: (topic: string) => void;

  /** @param gaveUp called when a position passes a message that was not handled, because too many came after it */
  constructor(gaveUp: (topic: string) => void) {
    this.#gaveUp = gaveUp;
  }

  get(topic: string): Position | undefined {
    const known = this.#topics.get(topic);
    return known && { epoch: known.epoch, offset: known.offset, id: known.id };
  }

  all(): (Position & { readonly topic: string })[] {
    return [...this.#topics].map(([topic, { epoch, offset, id }]) => ({ topic, epoch, offset, id }));
  }

  set(topic: string, { epoch, offset, id }: Position): void {
    this.#topics.delete(topic);
    this.#topics.set(topic, { epoch, offset, id, unfinished: new Map() });
    if (this.#topics.size > MAX_TOPICS) this.#topics.delete(this.#topics.keys().next().value!);
  }

  delete(topic: string): void { this.#topics.delete(topic); }

  clear(): void { this.#topics.clear(); }

  /**
   * Begins a message. Returns the function to call when it was handled or not, or `undefined` if it was handled
   * before.
   */
  begin(name: string, { epoch, offset, id }: Position): ((isHandled: boolean) => void) | undefined {
    if (this.#topics.get(name)?.epoch !== epoch) this.set(name, { epoch, offset: offset - 1, id: '' });
    const topic = this.#topics.get(name)!;
    const known = topic.unfinished.get(offset);
    if (offset <= topic.offset || (known && known.state !== 'failed')) return undefined;
    const entry: Unfinished = { id, state: 'running' };
    topic.unfinished.set(offset, entry);
    return (isHandled) => {
      entry.state = isHandled ? 'done' : 'failed';
      this.#advance(name, topic);
    };
  }

  #advance(name: string, topic: Topic): void {
    const { unfinished } = topic;
    let hasGivenUp = false;
    for (const [offset, { id, state }] of unfinished) {
      if (state !== 'done') {
        if (unfinished.size <= MAX_UNFINISHED) break;
        hasGivenUp = true;
      }
      topic.offset = offset;
      topic.id = id;
      unfinished.delete(offset);
    }
    if (hasGivenUp) this.#gaveUp(name);
  }
}
