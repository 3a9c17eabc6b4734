import type { PluginContext, User } from '../../src/index.ts';
import { nameOf } from './connection-manager.ts';
import type { RoomRegistry } from './registry.ts';
import type { Room } from './room.ts';
import type { Speaking } from './speaking.ts';

/** Farewells that are sent in one go. A client that disconnects may leave a thousand rooms, of which each farewell costs 3 µs. */
const AT_ONCE = 100;

/** Who is no more in a room. */
export interface Farewell { readonly room: Room; readonly userId: string; readonly user: User | undefined }

/** Tells rooms who comes and goes: the coming at once, the going of many a slice at a time, so that nobody waits for it. */
export class Announcer {
  readonly #context: PluginContext;
  readonly #registry: RoomRegistry;
  readonly #speaking: Speaking;
  /** By room and member. */
  readonly #farewells = new Map<string, Farewell>();
  #isWaiting = false;

  constructor(context: PluginContext, registry: RoomRegistry, speaking: Speaking) {
    this.#context = context;
    this.#registry = registry;
    this.#speaking = speaking;
  }

  /** @param except the connection that came, which knows */
  joined(room: Room, userId: string, user: User | undefined, except: string): void {
    // He is back before anybody was told that he had left.
    if (this.#farewells.delete(keyOf(room, userId))) return;
    this.#tell('user-joined', { room, userId, user }, { except });
  }

  left(farewells: readonly Farewell[]): void {
    for (const farewell of farewells) this.#farewells.set(keyOf(farewell.room, farewell.userId), farewell);
    if (!this.#isWaiting) this.#flush();
  }

  #flush(): void {
    let count = 0;
    for (const [key, farewell] of this.#farewells) {
      if (++count > AT_ONCE) break;
      this.#farewells.delete(key);
      if (this.#registry.getRoom(farewell.room.id) === farewell.room) this.#tell('user-left', farewell);
    }
    this.#isWaiting = this.#farewells.size > 0;
    if (this.#isWaiting) this.#context.after(1, () => this.#flush());
  }

  #tell(type: 'user-joined' | 'user-left', { room, userId, user }: Farewell, options: { readonly except?: string } = {}): void {
    const content = { roomId: room.id, userId, ...this.#context.escape(nameOf(user)), memberCount: room.users.size };
    this.#speaking.publish(room, { type: this.#context.named(type), content }, options);
  }
}

// No room's id has a line feed.
const keyOf = ({ id }: Room, userId: string): string => `${id}\n${userId}`;
