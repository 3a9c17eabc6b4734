import {
  journalArguments, Watchers, type Journal, type AppendedEntry, type JournalPage, type JournalRange, type Position,
} from '../../src/index.ts';
import { callPrimary, type PrimaryLink } from './primary-link.ts';

type Watched = readonly [topic: string, entry: AppendedEntry];

/** The history of topics for the workers of one primary. It is in the memory of the primary, and ends with it. */
export class ClusterJournal implements Journal {
  readonly name = 'cluster';
  /** The primary tells its own one when the adapter starts. */
  keyWindow = 300_000;
  readonly #link: () => PrimaryLink | undefined;
  readonly #watchers = new Watchers<Watched>();

  /** @param link the link to the primary, while the adapter runs */
  constructor(link: () => PrimaryLink | undefined) { this.#link = link; }

  /** Called for each entry of a topic to which the adapter is subscribed. */
  appended(...watched: Watched): void { this.#watchers.notify(...watched); }

  watch(listener: (...watched: Watched) => void): () => void { return this.#watchers.add(listener); }

  async append(...given: Parameters<Journal['append']>): Promise<Position & { duplicate: boolean }> {
    journalArguments.append(...given);
    return this.#call('append', given);
  }

  async read(topic: string, range: JournalRange): Promise<JournalPage> {
    journalArguments.read(topic, range);
    return this.#call('read', [topic, range]);
  }

  async positions(topics: readonly string[], seen?: ReadonlyMap<string, Position>): Promise<readonly Position[]> {
    journalArguments.positions(topics, seen);
    // A list, because the serialization `json` has no Map.
    return this.#call('positions', [topics, [...seen ?? []]]);
  }

  async redact(...given: Parameters<Journal['redact']>): Promise<boolean> {
    journalArguments.redact(...given);
    return this.#call('redact', given);
  }

  async drop(topic: string): Promise<void> {
    journalArguments.drop(topic);
    return this.#call('drop', [topic]);
  }

  /** @throws STORE_UNAVAILABLE if the primary does not answer, and the errors of the journal */
  async #call<T>(action: string, given: readonly unknown[]): Promise<T> {
    return callPrimary<T>(this.#link(), 'journal', action, given);
  }
}
