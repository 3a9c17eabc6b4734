import { isConnectionId, isStoreUnavailable, type PluginContext, type SharedStore } from '../../src/index.ts';
import type { RoomCopies } from './room-copies.ts';
import { connectionsSet } from './room-documents.ts';
import type { Room } from './room.ts';

/**
 * Keeps the connections of each user in rooms that do not admit everyone. There, a further connection of a member is
 * admitted, whatever node it is on, and to search all members for each join would be slow.
 */
export class MemberConnections {
  readonly #context: PluginContext;
  readonly #store: SharedStore;
  readonly #copies: RoomCopies;
  readonly #areAllChecked: boolean;

  /** @param areAllChecked whether the application decides who may join any room */
  constructor(context: PluginContext, store: SharedStore, copies: RoomCopies, areAllChecked: boolean) {
    this.#context = context;
    this.#store = store;
    this.#copies = copies;
    this.#areAllChecked = areAllChecked;
  }

  /** Whether the connections are kept. */
  keeps(room: Room): boolean {
    return this.#areAllChecked || room.isPrivate || this.#copies.of(room).document.password !== undefined;
  }

  /** Adds a connection that has joined. */
  add(room: Room, userId: string, connectionId: string): void {
    if (isConnectionId(userId) || !this.keeps(room)) return;
    this.#run(this.#store.enter(this.#setOf(room, userId), connectionId, { holder: connectionId }));
  }

  remove(room: Room, userId: string, connectionId: string): void {
    if (isConnectionId(userId) || !this.keeps(room)) return;
    this.#run(this.#store.leave(this.#setOf(room, userId), connectionId, { holder: connectionId }));
  }

  /** Which of these users have a connection in the room, on any node. */
  async present(room: Room, userIds: readonly string[]): Promise<ReadonlySet<string>> {
    if (userIds.length === 0) return new Set();
    const sizes = await this.#store.sizes(userIds.map((userId) => this.#setOf(room, userId)));
    return new Set(userIds.filter((_, index) => sizes[index]! > 0));
  }

  #setOf(room: Room, userId: string): string { return connectionsSet(this.#copies.of(room).document.uid, userId); }

  /** If it fails, a further connection of the user may be asked for the password. */
  #run(work: Promise<unknown>): void {
    work.catch((error: unknown) => { if (!isStoreUnavailable(error)) this.#context.report(error); });
  }
}
