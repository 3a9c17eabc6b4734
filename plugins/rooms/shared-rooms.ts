import {
  hasCode, inTurns, isRecord, newId, type Json, type PluginContext, type SharedStore, type User,
} from '../../src/index.ts';
import type { NodeConnections } from './connection-manager.ts';
import { MemberConnections } from './member-connections.ts';
import { RoomChanges, whenSettled } from './room-changes.ts';
import { RoomCopies, type CopyEvents, type KnownRooms } from './room-copies.ts';
import { RoomDirectory } from './room-directory.ts';
import { DATA, readUser, toEntry, type RoomDocument } from './room-documents.ts';
import type { SeatEvents } from './room-seat.ts';
import { RoomSeats } from './room-seats.ts';
import { RoomTransfers } from './room-transfers.ts';
import { Room } from './room.ts';
import type { RoomsSettings } from './rooms-options.ts';

const PAGE = 1_000;
/** Maximum number of rooms that are restored at once. */
const MAX_AT_ONCE = 20;
/** Maximum number of members that are compared to choose an owner. */
const MAX_COMPARED = 1_000;

/** What happens on other nodes, for this node. */
export interface SharedEvents extends CopyEvents, Omit<SeatEvents, 'returned'> {}

/** A page of members. Their users have only what others see. */
interface MembersOfPage { readonly users: readonly User[]; readonly cursor: string | undefined }

/** A room with its members on all nodes. */
export interface Snapshot { readonly snapshot: Room; readonly users: ReadonlyMap<string, User> }

/** What nodes with a shared store know about rooms together. Without a store there is none of it. */
export class SharedRooms {
  readonly copies: RoomCopies;
  readonly changes: RoomChanges;
  readonly directory: RoomDirectory;
  readonly seats: RoomSeats;
  readonly transfers: RoomTransfers;
  readonly #context: PluginContext;
  readonly #store: SharedStore;
  readonly #events: SharedEvents;
  readonly #members: MemberConnections;
  #isDataLost = false;
  /** The value of the document DATA. */
  #data: Json | undefined;

  constructor(
    context: PluginContext, store: SharedStore,
    { registry, connections }: { readonly registry: KnownRooms; readonly connections: NodeConnections },
    settings: RoomsSettings, events: SharedEvents,
  ) {
    this.#context = context;
    this.#store = store;
    this.#events = events;
    const copies = this.copies = new RoomCopies(context, store, registry, settings.defaults, events);
    const changes = this.changes = new RoomChanges(store, copies);
    this.directory = new RoomDirectory(context, store, { copies, changes }, settings);
    this.#members = new MemberConnections(context, store, copies, settings.canJoin !== undefined);
    const parts = { registry, connections, copies, changes, members: this.#members, grace: settings.seatGrace };
    const { directory } = this;
    this.transfers = new RoomTransfers(
      store, { copies, changes, directory, connections }, settings.maxRoomsPerOwner,
    );
    this.seats = new RoomSeats(context, store, parts, { ...events, returned: () => this.#returned() });
    context.on('store:data-lost', () => { this.#isDataLost = true; });
    // If this fails, it is read after the next lapse.
    this.#hasOtherData().catch(() => undefined);
  }

  /** Milliseconds since the epoch, by the clock of the store. */
  now(): number { return this.#store.now(); }

  /**
   * Creates a room on all nodes. Resolves to the version of its document.
   * @throws what RoomDirectory.create() throws
   */
  create(room: Room, document: RoomDocument): Promise<string> {
    return whenSettled(this.#store, () => this.directory.create(room, document));
  }

  /** Finds out which of these users are members on other nodes. */
  async locate(room: Room, userIds: readonly string[]): Promise<void> {
    const wanted = new Set(userIds.filter((userId) => !room.users.has(userId)));
    for (const userId of wanted) room.locate(userId, false);
    if (this.#members.keeps(room)) {
      for (const userId of await this.#members.present(room, [...wanted])) room.locate(userId, true);
      return;
    }
    let cursor: string | undefined;
    while (wanted.size > 0) {
      const page = await this.#store.members(this.copies.setOf(room), { cursor, limit: PAGE });
      for (const { id } of page.members) if (wanted.delete(id)) room.locate(id, true);
      cursor = page.cursor;
      if (cursor === undefined) return;
    }
  }

  /** A page of the members on all nodes, in the order in which they joined. */
  async members(
    room: Room, { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
  ): Promise<MembersOfPage> {
    const page = await this.#store.members(this.copies.setOf(room), { cursor, limit });
    const users = page.members.map(({ id, value }) => ({ ...(isRecord(value) && value), id }));
    return { users, cursor: page.cursor };
  }

  /** Reads how many members a room has on all nodes. */
  async count(room: Room): Promise<number> {
    const [size = 0] = await this.#store.sizes([this.copies.setOf(room)]);
    room.countMembers(size);
    return size;
  }

  /** Removes a deleted room from this node. */
  deleted(room: Room): Promise<void> { return this.#events.deleted(room); }

  /**
   * A copy of a room with its members on all nodes, up to 1,000, and with what is known about them.
   * @throws STORE_UNAVAILABLE, LEASE_LOST
   */
  async snapshot(room: Room): Promise<Snapshot> {
    const { owners } = this.copies.of(room).document;
    const { users } = await this.members(room, { limit: MAX_COMPARED });
    const userIds = users.map(({ id }) => id);
    const snapshot = new Room(room.id, room.name, room.owner, room.config, room.createdAt);
    const documents = await this.copies.readDocuments(room, userIds);
    for (const [index, userId] of userIds.entries()) {
      snapshot.users.add(userId);
      snapshot.setEntry(userId, toEntry(readUser(documents[index]), this.now()));
    }
    for (const userId of owners) snapshot.roles.set(userId, 'owner');
    return { snapshot, users: new Map(users.map((user) => [user.id, user])) };
  }

  /** Brings the copies up to date before the seats are entered again. */
  async #returned(): Promise<void> {
    if (this.#isDataLost) await this.#restore();
    await this.copies.refreshAll();
    // The data may be lost although no renewal of the lease has noticed it yet. Then missing rooms were not deleted.
    if (await this.#hasOtherData()) {
      await this.#restore();
      await this.copies.refreshAll();
    }
    await Promise.all(this.copies.missing.map(({ room }) => this.deleted(room)));
    void this.directory.sweep();
  }

  /** Whether the store has other data than when this node looked last. */
  async #hasOtherData(): Promise<boolean> {
    const before = this.#data;
    let [found] = await this.#store.get([DATA]);
    if (!found) {
      await this.#store.put(DATA, newId(), { if: 'absent' }).catch((error: unknown) => {
        // Another node has written it meanwhile.
        if (!hasCode(error, 'STORE_CONFLICT')) throw error;
      });
      [found] = await this.#store.get([DATA]);
    }
    this.#data = found?.value;
    return before !== undefined && before !== this.#data;
  }

  /** Writes what this node knows, after the store has lost its data. */
  async #restore(): Promise<void> {
    // First, because the data may be lost again meanwhile.
    this.#isDataLost = false;
    try {
      await this.#restoreRooms();
    } catch (error) {
      this.#isDataLost = true;
      throw error;
    }
  }

  async #restoreRooms(): Promise<void> {
    let count = 0;
    await inTurns([...this.copies.all], MAX_AT_ONCE, async (copy) => {
      if (await this.directory.restore(copy)) count++;
      await this.changes.restoreUsers(copy);
    });
    if (count === 0) return;
    const lost = `the store has lost ${count} rooms`;
    this.#context.report(new Error(`${lost}; they were restored, without what only other nodes knew`));
  }
}
