import type { Connection } from '../../src/index.ts';
import type { FeedEntry } from './stored-message.ts';

/** A connection that does not get the messages of a topic now, because it gets earlier ones first. */
interface Gate {
  /** The last offset that the connection does not get from the feed. */
  until: number;
  /** What the feed has delivered to others meanwhile. `undefined` after the gate was opened, or if it was too much. */
  missed: FeedEntry[] | undefined;
}

/** Maximum number of entries that wait for one connection. */
const MAX_MISSED = 10_000;

/** Holds back the messages of one topic from connections that are catching up. */
export class FeedGates {
  readonly #gates = new Map<Connection, Gate>();

  /** Closes the gate of a connection. Returns `false` if it is closed already. */
  close(connection: Connection): boolean {
    const gate = this.#gates.get(connection);
    if (gate?.until === Infinity) return false;
    this.#gates.set(connection, { until: Infinity, missed: [] });
    return true;
  }

  /** The entries that the connection did not get since close(). `undefined` if there were too many. */
  missed(connection: Connection): readonly FeedEntry[] | undefined { return this.#gates.get(connection)?.missed; }

  /** Opens the gate for entries behind an offset. @param delivered the last offset that the feed has delivered */
  open(connection: Connection, offset: number, delivered: number): void {
    if (offset <= delivered) this.#gates.delete(connection);
    else this.#gates.set(connection, { until: offset, missed: undefined });
  }

  /** The connections that do not get what comes before an offset. */
  heldBefore(offset: number): string[] {
    return [...this.#gates].filter(([, { until }]) => offset <= until).map(([{ id }]) => id);
  }

  /** The connections that do not get an entry. */
  hold(entry: FeedEntry): string[] {
    const held: string[] = [];
    for (const [connection, gate] of this.#gates) {
      if (entry.offset > gate.until || !connection.isOpen) {
        this.#gates.delete(connection);
        continue;
      }
      held.push(connection.id);
      gate.missed?.push(entry);
      if (gate.missed && gate.missed.length > MAX_MISSED) gate.missed = undefined;
    }
    return held;
  }
}
