import type { Connection } from '../../src/index.ts';

/** A member who types in a room, or did a moment ago. */
interface Typist {
  readonly roomId: string;
  readonly userId: string;
  /** The one that said so last. */
  connection: Connection;
  isTyping: boolean;
  /** What the others were told last, and when they were last told that he types. */
  isTold: boolean;
  toldAt: number;
  /** When he is taken to have stopped. */
  until: number;
}

export interface TypingSettings {
  /** Milliseconds without a word after which somebody types no more. */
  readonly timeout: number;
  /** Milliseconds between two times that a room is told that somebody types. */
  readonly interval: number;
  /** Tells a room's other members. */
  readonly tell: (roomId: string, userId: string, isTyping: boolean) => void;
}

/** Who types where. That somebody types is told once in an interval at most; that he stopped, at once, if he was told of. */
export class Typing {
  readonly #settings: TypingSettings;
  readonly #rooms = new Map<string, Map<string, Typist>>();
  readonly #connections = new Map<Connection, Set<Typist>>();
  #size = 0;

  constructor(settings: TypingSettings) { this.#settings = settings; }

  /** Those who type, and those who may not be told of again yet. */
  get size(): number { return this.#size; }

  start(connection: Connection, roomId: string, userId: string): void {
    const typist = this.#rooms.get(roomId)?.get(userId)
      ?? this.#add({ roomId, userId, connection, isTyping: true, isTold: false, toldAt: -Infinity, until: 0 });
    this.#attach(typist, connection);
    typist.isTyping = true;
    typist.until = performance.now() + this.#settings.timeout;
    this.#mayTell(typist);
  }

  /** He stopped, or said it, or left. */
  stop(roomId: string, userId: string): void {
    const typist = this.#rooms.get(roomId)?.get(userId);
    if (typist) this.#stop(typist);
  }

  /** A connection is gone: what it typed is not typed any more. */
  left(connection: Connection): void {
    for (const typist of this.#connections.get(connection) ?? []) this.#stop(typist);
  }

  /** There is no such room any more, and nobody to tell. */
  forget(roomId: string): void {
    for (const typist of this.#rooms.get(roomId)?.values() ?? []) this.#remove(typist);
  }

  /** Ends what has lasted too long, tells what could not be told at once, and forgets who stopped an interval ago. */
  sweep(): void {
    const now = performance.now();
    for (const typists of this.#rooms.values()) {
      for (const typist of typists.values()) {
        if (typist.isTyping && typist.until <= now) this.#stop(typist);
        else if (typist.isTyping && !typist.isTold) this.#mayTell(typist);
        else if (!typist.isTyping && now - typist.toldAt >= this.#settings.interval) this.#remove(typist);
      }
    }
  }

  #mayTell(typist: Typist): void {
    const now = performance.now();
    if (now - typist.toldAt < this.#settings.interval) return;
    typist.toldAt = now;
    typist.isTold = true;
    this.#settings.tell(typist.roomId, typist.userId, true);
  }

  #stop(typist: Typist): void {
    typist.isTyping = false;
    this.#detach(typist);
    if (!typist.isTold) return;
    typist.isTold = false;
    this.#settings.tell(typist.roomId, typist.userId, false);
  }

  #add(typist: Typist): Typist {
    let typists = this.#rooms.get(typist.roomId);
    if (!typists) this.#rooms.set(typist.roomId, (typists = new Map()));
    typists.set(typist.userId, typist);
    this.#size++;
    return typist;
  }

  #remove(typist: Typist): void {
    const typists = this.#rooms.get(typist.roomId);
    if (!typists?.delete(typist.userId)) return;
    if (typists.size === 0) this.#rooms.delete(typist.roomId);
    this.#size--;
    this.#detach(typist);
  }

  #attach(typist: Typist, connection: Connection): void {
    if (typist.connection !== connection) this.#detach(typist);
    typist.connection = connection;
    const own = this.#connections.get(connection);
    if (own) own.add(typist);
    else this.#connections.set(connection, new Set([typist]));
  }

  #detach(typist: Typist): void {
    const own = this.#connections.get(typist.connection);
    if (own?.delete(typist) && own.size === 0) this.#connections.delete(typist.connection);
  }
}
