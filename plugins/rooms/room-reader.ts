import { check, ModuleError, rules, type Rules } from '../../src/index.ts';
import { readUser } from './room-documents.ts';
import type { RoomRegistry } from './room-registry.ts';
import type { Room } from './room.ts';
import type { ListOptions, MembersPage, PageOptions, RoomInfo, RoomsPage } from './rooms-api.ts';
import type { SharedRooms } from './shared-rooms.ts';

/** Maximum number of rooms or members on a page. */
export const MAX_LISTED = 1_000;
const DEFAULT_LISTED = 100;

const { integer, rule } = rules;
const LIST_RULES: Rules<ListOptions> = {
  offset: integer(0, Number.MAX_SAFE_INTEGER),
  limit: integer(1, MAX_LISTED),
};
const PAGE_RULES: Rules<PageOptions> = {
  cursor: rule('the cursor of a page', (value) => typeof value === 'string' && value !== ''),
  limit: integer(1, MAX_LISTED),
};

/** Reads rooms and members of all nodes. Without a shared store, they are those of this node. */
export class RoomReader {
  readonly #registry: RoomRegistry;
  readonly #shared: SharedRooms | undefined;

  constructor(registry: RoomRegistry, shared: SharedRooms | undefined) {
    this.#registry = registry;
    this.#shared = shared;
  }

  async fetchRoom(roomId: string): Promise<Room | undefined> {
    await this.#shared?.copies.load(roomId);
    return this.#registry.getRoom(roomId);
  }

  async fetchInfo(roomId: string): Promise<RoomInfo> {
    const room = await this.#find(roomId);
    if (this.#shared) await this.#shared.count(room);
    return this.#registry.infoOf(room);
  }

  async fetchList(options: ListOptions = {}): Promise<RoomsPage> {
    const { offset = 0, limit = DEFAULT_LISTED } = check(options, LIST_RULES, 'rooms.fetchList');
    if (this.#shared) return this.#shared.directory.list(offset, limit);
    const { public: all } = this.#registry;
    return { rooms: page(all, offset, limit).map((room) => this.#registry.infoOf(room)), total: all.size };
  }

  async fetchMembers(roomId: string, options: PageOptions = {}): Promise<MembersPage> {
    const { cursor, limit = DEFAULT_LISTED } = check(options, PAGE_RULES, 'rooms.fetchMembers');
    const room = await this.#find(roomId);
    if (!this.#shared) {
      const offset = Number(cursor ?? 0);
      const members = page(room.users, offset, limit).map((userId) => ({ userId, role: room.getUserRole(userId) }));
      const next = offset + members.length;
      return { members, cursor: next < room.users.size ? String(next) : undefined };
    }
    const { users, cursor: next } = await this.#shared.members(room, { cursor, limit });
    const userIds = users.map(({ id }) => id);
    const documents = await this.#shared.copies.readDocuments(room, userIds);
    const members = userIds.map((userId, index) => {
      const isOwner = room.roles.get(userId) === 'owner';
      const { role = room.config.permissions.defaultRole } = readUser(documents[index]);
      return { userId, role: isOwner ? 'owner' : role };
    });
    return { members, cursor: next };
  }

  /** @throws ROOM_UNKNOWN */
  async #find(roomId: string): Promise<Room> {
    const room = await this.fetchRoom(roomId);
    if (room) return room;
    throw new ModuleError('ROOM_UNKNOWN', { room: roomId });
  }
}

/** Takes a page of a set without copying the set. */
function page<T>(all: ReadonlySet<T>, offset: number, limit: number): T[] {
  const items: T[] = [];
  let index = 0;
  for (const item of all) {
    if (items.length >= limit) break;
    if (index++ >= offset) items.push(item);
  }
  return items;
}
