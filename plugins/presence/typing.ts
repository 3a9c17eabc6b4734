import { actorKey, type Connection } from '../../src/index.ts';
import { PlaceTable } from './place-table.ts';

/** Rooms in which one actor may type at once. */
const MAX_PER_ACTOR = 100;

/** A member who types in a room, or did a moment ago. */
interface Typist {
  readonly roomId: string;
  readonly userId: string;
  /** The connection that typed last. */
  connection: Connection;
  isTyping: boolean;
  /** Whether the others were told last that the member types, and when they were last told so. */
  isTold: boolean;
  toldAt: number;
  /** When typing ends by itself. */
  until: number;
}

/** A member who types now. */
export type TypingMember = Pick<Typist, 'roomId' | 'userId' | 'connection'>;

export interface TypingOptions {
  /** Milliseconds after which typing ends, when the client does not repeat it. */
  readonly timeout: number;
  /** Milliseconds between two notices that a member types. */
  readonly interval: number;
  /** Typing members in all. */
  readonly max: number;
  /** Tells the other members of a room. */
  readonly tell: (roomId: string, userId: string, isTyping: boolean) => void;
}

/**
 * The members who type. Others are told at most once in an interval that a member types, and at once that the member
 * stopped, if they were told before.
 */
export class Typing {
  readonly #options: TypingOptions;
  readonly #typists: PlaceTable<Typist>;
  readonly #byConnection = new Map<Connection, Set<Typist>>();

  constructor(options: TypingOptions) {
    this.#options = options;
    this.#typists = new PlaceTable(options.max, MAX_PER_ACTOR);
  }

  /** The members who type, and those whose next notice must wait. */
  get size(): number { return this.#typists.size; }

  /** Returns whether the member is listed as typing; not where too many are. */
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

  /** The member stopped, sent a message, or left. */
  stop(roomId: string, userId: string): void {
    const typist = this.#typists.get(roomId, userId);
    if (typist) this.#stop(typist);
  }

  /** The connection was closed: what it typed ends. */
  closed(connection: Connection): void {
    for (const typist of this.#byConnection.get(connection) ?? []) this.#stop(typist);
  }

  /** The room does not exist any more. */
  deleteRoom(roomId: string): void {
    for (const userId of [...this.#typists.membersOf(roomId)]) this.#delete(this.#typists.get(roomId, userId)!);
  }

  /** The members who type now. */
  * active(): Generator<TypingMember> {
    for (const { value } of this.#typists) if (value.isTyping) yield value;
  }

  /** Ends what was not repeated in time, tells what could not be told at once, and forgets members who stopped. */
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
