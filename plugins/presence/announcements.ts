import { isDeepStrictEqual } from 'node:util';
import { PlaceTable } from './place-table.ts';

/** A user as clients see it: the id and the public fields. */
export interface ShownUser { readonly userId: string; readonly [field: string]: unknown }

export type ChangeKind = 'online' | 'offline' | 'updated';

/** Users of one place with the same kind of change. `more` counts users that are not listed. */
export interface Changes { readonly users: readonly ShownUser[]; readonly more: number }

interface Change { readonly user: ShownUser; readonly kind: ChangeKind }
interface PendingChange extends Change { readonly at: number }

const KINDS: readonly ChangeKind[] = ['online', 'offline', 'updated'];
export const isChangeKind = (value: unknown): value is ChangeKind => KINDS.includes(value as ChangeKind);
/** Maximum changes of one user that are listed in one round. Further ones are only counted, in `more`. */
const MAX_PER_USER = 1_000;

/**
 * Announcements collects changes, and announces them together: when 1,000 users reconnect at once, each client gets one
 * message, not 1,000. Users who come and go between two rounds are not announced.
 */
export class Announcements {
  readonly #maxNamed: number;
  readonly #settle: number;
  readonly #tell: (place: string, kind: ChangeKind, changes: Changes) => void;
  readonly #changes: PlaceTable<PendingChange>;
  /** Number of changes that were only counted, by place. */
  readonly #more = new Map<string, Record<ChangeKind, number>>();

  /**
   * @param max maximum changes that are kept
   * @param maxNamed maximum users in one message
   * @param settle milliseconds for which a change is kept, because an earlier change may arrive after it
   */
  constructor(
    { max, maxNamed, settle }: { readonly max: number; readonly maxNamed: number; readonly settle: number },
    tell: (place: string, kind: ChangeKind, changes: Changes) => void,
  ) {
    this.#maxNamed = maxNamed;
    this.#settle = settle;
    this.#tell = tell;
    this.#changes = new PlaceTable(max, MAX_PER_USER);
  }

  add(place: string, user: ShownUser, kind: ChangeKind): void {
    const before = this.#changes.get(place, user.userId);
    const next = before ? merged(before, { user, kind }) : { user, kind };
    if (!next) return void this.#changes.delete(place, user.userId);
    const change = { ...next, at: performance.now() };
    if (this.#changes.set(place, user.userId, change, `user:${user.userId}`)) this.#count(place, kind);
  }

  /** Drops the changes of a deleted place. */
  deletePlace(place: string): void {
    this.#changes.deletePlace(place);
    this.#more.delete(place);
  }

  /** Announces the changes since the last call. */
  flush(): void {
    const latest = performance.now() - this.#settle;
    const places = new Map<string, Change[]>([...this.#more.keys()].map((place) => [place, []]));
    for (const { place, memberId, value } of this.#changes) {
      if (value.at > latest) continue;
      const changes = places.get(place);
      if (changes) changes.push(value);
      else places.set(place, [value]);
      this.#changes.delete(place, memberId);
    }
    const more = new Map(this.#more);
    this.#more.clear();
    for (const [place, changes] of places) {
      for (const kind of KINDS) this.#announce(place, kind, changes, more.get(place)?.[kind] ?? 0);
    }
  }

  #announce(place: string, kind: ChangeKind, changes: readonly Change[], unnamed: number): void {
    const users = changes.filter((change) => change.kind === kind).map(({ user }) => user);
    const more = Math.max(0, users.length - this.#maxNamed) + unnamed;
    if (users.length + more > 0) this.#tell(place, kind, { users: users.slice(0, this.#maxNamed), more });
  }

  #count(place: string, kind: ChangeKind): void {
    let counts = this.#more.get(place);
    if (!counts) this.#more.set(place, (counts = { online: 0, offline: 0, updated: 0 }));
    counts[kind]++;
  }
}

/** Merges two changes of one user. `undefined`: nothing has changed for others. */
function merged(before: Change, { user, kind }: Change): Change | undefined {
  if (before.kind === 'online') return kind === 'offline' ? undefined : { user, kind: 'online' };
  if (before.kind !== 'offline' || kind !== 'online') return { user, kind };
  return isDeepStrictEqual(user, before.user) ? undefined : { user, kind: 'updated' };
}
