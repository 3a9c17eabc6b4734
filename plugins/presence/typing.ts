import { actorKey, type Connection } from '../../src/index.ts';
import { PlaceTable } from './place-table.ts';

/** Maximum rooms in which one actor may type at the same time. */
const MAX_PER_ACTOR = 100;

/** A member who is typing in a room, or has just stopped. */
interface Typist {
  readonly roomId: string;
  readonly userId: string;
  /** The connection of the member that typed last. */
  connection: Connection;
  isTyping: boolean;
  /** Whether the last notice said that the member is typing, and when the last such notice was sent. */
  isTold: boolean;
  toldAt: number;
  /** When typing ends unless it is repeated. */
  until: number;
}

/** A member who is typing now. */
export type TypingMember = Pick<Typist, 'roomId' | 'userId' | 'connection'>;

export interface TypingOptions {
  /** Milliseconds after which typing ends unless the client repeats it. */
  readonly timeout: number;
  /** Minimum milliseconds between two notices that a member is typing. */
  readonly interval: number;
  /** Maximum typing members. */
  readonly max: number;
  /** Notifies the other members of a room. */
  readonly tell: (roomId: string, userId: string, isTyping: boolean) => void;
}

/**
 * Typing tracks the members who are typing. The other members are notified of a start at most once per interval, and of
 * an end at once, if they were notified of the start.
 */
export class Typing {
  readonly #options: TypingOptions;
  readonly #typists: PlaceTable<Typist>;
  readonly #byConnection = new Map<Connection, Set<Typist>>();

  constructor(options: TypingOptions) {
    this.#options = options;
    this.#typists = new PlaceTable(options.max, MAX_PER_ACTOR);
  }

  /** Number of members who are typing, or stopped within the interval. */
  get size(): number { return this.#typists.size; }

  /** Starts or continues typing. Returns `false` if too many members are typing. */
  start(connection: Connection, roomId: string, userId: string): boolean {
    let typist = this.#typists.get(roomId, userId);
    if (!typist) {
      typist = { roomId, userId, connection, isTyping: true, isTold: false, toldAt: -Infinity, until: 0 };
      if (this.#typists.set(roomId, userId, typist, actorKey(connection))) return false;
    }
    this.#attach(typist, connection);
    typist.isTyping = true;
    typist.until = performance.now() + this.#options.timeout;
    this.#tellIfDue(typist);
    return true;
  }

  /** Called when the member stopped typing, sent a message, or left. */
  stop(roomId: string, userId: string): void {
    const typist = this.#typists.get(roomId, userId);
    if (typist) this.#stop(typist);
  }

  /** Ends the typing of a closed connection. */
  closed(connection: Connection): void {
    for (const typist of this.#byConnection.get(connection) ?? []) this.#stop(typist);
  }

  /** Drops the typing members of a deleted room. */
  deleteRoom(roomId: string): void {
    for (const userId of [...this.#typists.membersOf(roomId)]) this.#delete(this.#typists.get(roomId, userId)!);
  }

  /** The members who are typing now. */
  * active(): Generator<TypingMember> {
    for (const { value } of this.#typists) if (value.isTyping) yield value;
  }

  /** Ends typing that was not repeated, sends delayed notices, and drops members who stopped. */
  sweep(): void {
    const now = performance.now();
    for (const { value: typist } of this.#typists) {
      if (typist.isTyping && typist.until <= now) this.#stop(typist);
      else if (typist.isTyping && !typist.isTold) this.#tellIfDue(typist);
      else if (!typist.isTyping && now - typist.toldAt >= this.#options.interval) this.#delete(typist);
    }
  }

  #tellIfDue(typist: Typist): void {
    const now = performance.now();
    if (now - typist.toldAt < this.#options.interval) return;
    typist.toldAt = now;
    typist.isTold = true;
    this.#options.tell(typist.roomId, typist.userId, true);
  }

  #stop(typist: Typist): void {
    typist.isTyping = false;
    this.#detach(typist);
    if (!typist.isTold) return;
    typist.isTold = false;
    this.#options.tell(typist.roomId, typist.userId, false);
  }

  #delete(typist: Typist): void {
    this.#typists.delete(typist.roomId, typist.userId);
    this.#detach(typist);
  }

  #attach(typist: Typist, connection: Connection): void {
    if (typist.connection !== connection) this.#detach(typist);
    typist.connection = connection;
    const typists = this.#byConnection.get(connection);
    if (typists) typists.add(typist);
    else this.#byConnection.set(connection, new Set([typist]));
  }

  #detach(typist: Typist): void {
    const typists = this.#byConnection.get(typist.connection);
    if (typists?.delete(typist) && typists.size === 0) this.#byConnection.delete(typist.connection);
  }
}
