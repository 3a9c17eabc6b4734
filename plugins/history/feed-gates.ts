import type { Connection } from '../../src/index.ts';
import type { FeedEntry } from './stored-message.ts';

/** The gate of a connection that must get earlier messages of a topic before later ones. */
interface Gate {
  /** The feed does not deliver entries up to this offset to the connection. Infinity while the gate is closed. */
  until: number;
  /** What the feed has delivered to others since close(). `undefined` after open(), or if there were too many. */
  missed: FeedEntry[] | undefined;
}

/** Maximum number of entries that wait for one connection. */
const MAX_MISSED = 10_000;

/** FeedGates holds back the messages of one topic from the connections that are catching up. */
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

  /** Opens the gate for entries after an offset. @param delivered the last offset that the feed has delivered */
  open(connection: Connection, offset: number, delivered: number): void {
    if (offset <= delivered) this.#gates.delete(connection);
    else this.#gates.set(connection, { until: offset, missed: undefined });
  }

  /** The ids of the connections that do not get the entries up to an offset. */
  heldUpTo(offset: number): string[] {
    return [...this.#gates].filter(([, { until }]) => offset <= until).map(([{ id }]) => id);
  }

  /** Keeps an entry for the connections that do not get it now. Returns their ids. */
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
