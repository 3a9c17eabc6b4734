import { publicProfile, RateMeter, RateTable, type PluginContext, type User } from '../../src/index.ts';
import type { RoomRegistry } from './room-registry.ts';
import type { Room } from './room.ts';
import type { RoomMessenger } from './room-messenger.ts';

/** Maximum notices of one room per interval. Further ones are collected and sent together after the interval. */
const MAX_AT_ONCE = 10;
const INTERVAL = 1_000;
/** Maximum rooms notified in one turn. A client may leave 1,000 rooms when it disconnects; each costs 3 µs. */
const MAX_PER_TURN = 100;
/** Maximum users in one notice. */
const MAX_NAMED = 100;
/** Maximum rooms whose rates are kept. */
const MAX_BUCKETS = 100_000;

/** A change of one member. */
export interface Change {
  readonly type: 'joined' | 'left' | 'renamed';
  readonly room: Room;
  readonly userId: string;
  readonly user?: User | undefined;
  /** The connection that joined. It gets no notice, because it gets a reply. */
  readonly except?: string | undefined;
}

/** Collected changes of a room, and when they are sent. */
interface Pending { readonly dueAt: number; readonly changes: Map<string, Change> }

/**
 * Notifies the members of a room when others join, leave or change their names. A few changes are sent at once. Many
 * changes are collected and sent as one notice; members who join and leave meanwhile are not in it.
 */
export class MembershipNotices {
  readonly #context: PluginContext;
  readonly #registry: RoomRegistry;
  readonly #messenger: RoomMessenger;
  readonly #rates = new RateTable(new RateMeter({ count: MAX_AT_ONCE, per: INTERVAL }), MAX_BUCKETS);
  readonly #pending = new Map<Room, Pending>();
  #nextAt = Infinity;
  #cancel: (() => void) | undefined;

  constructor(context: PluginContext, registry: RoomRegistry, messenger: RoomMessenger) {
    this.#context = context;
    this.#registry = registry;
    this.#messenger = messenger;
  }

  /** @param changes at most one for each room */
  tell(changes: readonly Change[]): void {
    const now = performance.now();
    for (const [index, change] of changes.entries()) {
      const pending = this.#pending.get(change.room);
      if (pending) merge(pending, change);
      else if (index >= MAX_PER_TURN) this.#gather(change, now);
      else if (!this.#isDue(change.room, now)) this.#gather(change, now + INTERVAL);
      else this.#send(change.room, [change]);
    }
  }

  /** Whether a notice is sent at once: the rate allows it, or another plugin batches messages. */
  #isDue({ id }: Room, now: number): boolean { return this.#messenger.hasDelivery || this.#rates.take(id, now) === 0; }

  #gather(change: Change, dueAt: number): void {
    this.#pending.set(change.room, { dueAt, changes: new Map([[change.userId, change]]) });
    this.#schedule(dueAt);
  }

  #schedule(dueAt: number): void {
    if (dueAt >= this.#nextAt) return;
    this.#cancel?.();
    this.#nextAt = dueAt;
    this.#cancel = this.#context.after(Math.max(1, dueAt - performance.now()), () => this.#flush());
  }

  #flush(): void {
    const now = performance.now();
    let count = 0;
    let next = Infinity;
    for (const [room, { dueAt, changes }] of this.#pending) {
      if (dueAt > now || count === MAX_PER_TURN) next = Math.min(next, dueAt);
      else {
        count++;
        this.#pending.delete(room);
        for (const type of ['left', 'joined', 'renamed'] as const) {
          this.#send(room, [...changes.values()].filter((change) => change.type === type));
        }
      }
    }
    this.#nextAt = Infinity;
    if (next < Infinity) this.#schedule(next);
  }

  /** @param changes all of one type */
  #send(room: Room, changes: readonly Change[]): void {
    const [first] = changes;
    if (!first || this.#registry.getRoom(room.id) !== room) return;
    const about = { roomId: room.id, memberCount: room.memberCount };
    if (changes.length === 1) {
      const message = { type: this.#context.named(`user-${first.type}`), content: { ...about, ...this.#shown(first) } };
      return void this.#messenger.publish(room, message, first.except === undefined ? {} : { except: first.except });
    }
    for (let from = 0; from < changes.length; from += MAX_NAMED) {
      const users = changes.slice(from, from + MAX_NAMED).map((change) => this.#shown(change));
      this.#messenger.publish(room, { type: this.#context.named(`users-${first.type}`), content: { ...about, users } });
    }
  }

  #shown({ userId, user }: Change): object { return { userId, ...this.#context.escape(publicProfile(user)) }; }
}

function merge({ changes }: Pending, change: Change): void {
  const before = changes.get(change.userId)?.type ?? change.type;
  // Joined and left, or left and joined: for the others nothing has changed.
  const isUndone = before !== change.type && before !== 'renamed' && change.type !== 'renamed';
  if (isUndone) changes.delete(change.userId);
  else changes.set(change.userId, before === 'joined' ? { ...change, type: before } : change);
}
