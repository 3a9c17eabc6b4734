import type { ClientConnection } from '../connection/connection.ts';
import { ModuleError } from '../errors.ts';
import type { Labelled } from '../runtime/scope.ts';

/** The owner of the application's subscriptions. Its unsubscribe() ends those of all owners. */
export const APPLICATION = 'the application';

interface Topic {
  readonly subscribers: Set<ClientConnection>;
  /** The owner of all subscriptions, while there is only one owner. */
  readonly owner: string;
  /** The owners of each subscription, after a second owner has subscribed. */
  shared: Map<ClientConnection, Set<string>> | undefined;
}

/** The owner of the kernel's subscriptions, to which the limit does not apply. */
export const KERNEL = 'the kernel';

/** The subscribers of a topic that has none. */
export const NONE: ReadonlySet<ClientConnection> = new Set();

/** TopicTable holds the subscriptions of this node. A subscription ends when its last owner ends it. */
export class TopicTable {
  readonly #topics = new Map<string, Topic>();
  readonly #opened: (topic: string) => void;
  readonly #closed: (topic: string) => void;
  readonly #maxTopics: number;

  /**
   * @param maxTopics topics of one connection
   * @param opened called when a topic gets its first subscriber on this node
   * @param closed called when the last subscriber of a topic has left
   */
  constructor(maxTopics: number, opened: (topic: string) => void, closed: (topic: string) => void) {
    this.#maxTopics = maxTopics;
    this.#opened = opened;
    this.#closed = closed;
  }

  get size(): number { return this.#topics.size; }

  names(): Iterable<string> { return this.#topics.keys(); }

  inventory(): Labelled[] {
    return [...this.#topics].flatMap(([name, { owner, shared, subscribers }]) => {
      const owners = shared ? new Set([...shared.values()].flatMap((set) => [...set])) : [owner];
      return [...owners].map((one) => ({ owner: one, label: `topic ${name} (${subscribers.size})` }));
    });
  }

  subscribers(name: string): ReadonlySet<ClientConnection> { return this.#topics.get(name)?.subscribers ?? NONE; }

  /** @throws TOO_MANY_TOPICS */
  subscribe(connection: ClientConnection, name: string, owner: string): void {
    const { topics } = connection;
    if (topics && topics.size >= this.#maxTopics && !topics.has(name) && owner !== KERNEL) {
      throw new ModuleError('TOO_MANY_TOPICS', { limit: this.#maxTopics });
    }
    let topic = this.#topics.get(name);
    if (!topic) {
      this.#topics.set(name, (topic = { subscribers: new Set(), owner, shared: undefined }));
      this.#opened(name);
    }
    if (!topic.shared && topic.owner !== owner) {
      topic.shared = new Map([...topic.subscribers].map((one) => [one, new Set([topic.owner])]));
    }
    topic.subscribers.add(connection);
    (connection.topics ??= new Set()).add(name);
    if (!topic.shared) return;
    const owners = topic.shared.get(connection);
    if (owners) owners.add(owner);
    else topic.shared.set(connection, new Set([owner]));
  }

  /** @param owner whose subscription ends; for the application, the subscriptions of all owners end */
  unsubscribe(connection: ClientConnection, name: string, owner: string): void {
    const topic = this.#topics.get(name);
    if (!topic?.subscribers.has(connection)) return;
    if (owner !== APPLICATION) {
      const owners = topic.shared?.get(connection);
      if (owners ? !owners.delete(owner) || owners.size > 0 : topic.owner !== owner) return;
    }
    this.#end(connection, name, topic);
  }

  /** Ends all subscriptions of a connection. */
  remove(connection: ClientConnection): void {
    for (const name of connection.topics ?? []) this.#end(connection, name, this.#topics.get(name)!);
  }

  /** Ends all subscriptions of an owner. */
  release(owner: string): void {
    for (const [name, topic] of this.#topics) {
      if (topic.owner !== owner && !topic.shared) continue;
      for (const connection of [...topic.subscribers]) this.unsubscribe(connection, name, owner);
    }
  }

  #end(connection: ClientConnection, name: string, topic: Topic): void {
    topic.subscribers.delete(connection);
    topic.shared?.delete(connection);
    connection.topics?.delete(name);
    if (topic.subscribers.size > 0) return;
    this.#topics.delete(name);
    this.#closed(name);
  }
}
