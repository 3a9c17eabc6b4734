import { ROOM_DEFAULTS, type Permission, type ResolvedRoomConfig } from './room-config.ts';

/** The topic to which the connections in a room are subscribed. */
export const roomTopic = (roomId: string): string => `room:${roomId}`;

/** When mutes end, by the monotonic clock, so that changing the wall clock does not end them. */
const endsAt = new WeakMap<Date, number>();

/** Milliseconds until a mute ends. */
export function remaining(until: Date): number {
  const now = performance.now();
  const end = endsAt.get(until) ?? now + Number(until) - Date.now();
  if (typeof until === 'object') endsAt.set(until, end);
  return end - now;
}

/** A mute that ends after this many milliseconds, by the monotonic clock. */
export function mutedFor(duration: number): Date {
  const until = new Date(Date.now() + duration);
  endsAt.set(until, performance.now() + duration);
  return until;
}

/** What the lists of a room say about one user. */
export interface RoomEntry {
  readonly role?: string | undefined;
  readonly isBanned?: true | undefined;
  readonly mutedUntil?: Date | undefined;
  readonly warnings?: number | undefined;
  readonly isInvited?: true | undefined;
}

/** A room, its members and its lists. Lists are created on first use, which saves memory. */
export class Room {
  readonly id: string;
  readonly name: string;
  readonly topic: string;
  readonly config: ResolvedRoomConfig;
  readonly createdAt: Date;
  /**
   * The ids of the members (users or anonymous connections) with a connection on this node, in the order in which they
   * joined.
   */
  readonly users = new Set<string>();
  /** The member who created the room or got it by a transfer. Others may also have the role `owner`. */
  owner: string | undefined;
  #bannedUsers: Set<string> | undefined;
  #mutedUsers: Map<string, Date> | undefined;
  #userWarnings: Map<string, number> | undefined;
  #roles: Map<string, string> | undefined;
  #invited: Set<string> | undefined;
  #history: unknown[] | undefined;
  /** The number of members on all nodes, when this node last heard of it. */
  #memberCount: number | undefined;
  /** Members that other nodes have, as far as this node has asked. */
  #elsewhere: Set<string> | undefined;

  constructor(
    id: string, name: string, owner: string | undefined, config: ResolvedRoomConfig = ROOM_DEFAULTS,
    createdAt = new Date(),
  ) {
    this.id = id;
    this.name = name;
    this.topic = roomTopic(id);
    this.config = config;
    this.createdAt = createdAt;
    this.owner = owner;
    if (owner !== undefined) this.roles.set(owner, 'owner');
  }

  /** The number of members on all nodes, as this node knows it. */
  get memberCount(): number { return Math.max(this.#memberCount ?? 0, this.users.size); }

  /** Sets the number of members on all nodes. */
  countMembers(count: number): void { this.#memberCount = count; }

  /** Whether a user is a member, on this node or, as far as this node has asked, on another one. */
  hasMember(userId: string): boolean { return this.users.has(userId) || this.#elsewhere?.has(userId) === true; }

  /** Remembers whether another node has a member. */
  locate(userId: string, isElsewhere: boolean): void {
    if (isElsewhere) (this.#elsewhere ??= new Set()).add(userId);
    else this.#elsewhere?.delete(userId);
  }

  get isPrivate(): boolean { return this.config.isPrivate ?? this.config.password !== undefined; }

  get isPersistent(): boolean { return this.config.persistent === true; }

  get metadata(): Readonly<Record<string, unknown>> { return this.config.metadata ?? {}; }

  get bannedUsers(): Set<string> { return (this.#bannedUsers ??= new Set()); }

  /** When the mute of each muted user ends. */
  get mutedUsers(): Map<string, Date> { return (this.#mutedUsers ??= new Map()); }

  get userWarnings(): Map<string, number> { return (this.#userWarnings ??= new Map()); }

  /** Roles other than the default role, by member. */
  get roles(): Map<string, string> { return (this.#roles ??= new Map()); }

  /** Members who may join without a password. */
  get invited(): Set<string> { return (this.#invited ??= new Set()); }

  /** The last `message.historySize` messages, oldest first. */
  get messages(): readonly unknown[] { return this.#history ?? []; }

  getUserRole(userId: string): string { return this.#roles?.get(userId) ?? this.config.permissions.defaultRole; }

  /** Whether the role of a user has a permission. The user need not be in the room. Banned users have none. */
  can(userId: string, permission: Permission): boolean {
    if (this.isBanned(userId)) return false;
    const role = ownField(this.config.permissions.roles, this.getUserRole(userId));
    return role !== undefined && ownField(role, permission) === true;
  }

  /** Whether a user may join without a password: they are invited, or have a role with `canSendMessage`. */
  needsNoPassword(userId: string): boolean {
    if (this.#invited?.has(userId)) return true;
    return this.#roles?.has(userId) === true && this.can(userId, 'canSendMessage');
  }

  isBanned(userId: string): boolean { return this.#bannedUsers?.has(userId) ?? false; }

  /** Mutes a user. @param duration milliseconds */
  mute(userId: string, duration: number): Date {
    const until = mutedFor(duration);
    this.mutedUsers.set(userId, until);
    return until;
  }

  /** When the mute of a user ends; `undefined`: the user is not muted. */
  mutedUntil(userId: string): Date | undefined {
    const until = this.#mutedUsers?.get(userId);
    return until !== undefined && remaining(until) > 0 ? until : undefined;
  }

  /** What the lists say about a user. */
  entryOf(userId: string): RoomEntry {
    return {
      role: this.#roles?.get(userId),
      isBanned: this.isBanned(userId) || undefined,
      mutedUntil: this.#mutedUsers?.get(userId),
      warnings: this.#userWarnings?.get(userId),
      isInvited: this.#invited?.has(userId) || undefined,
    };
  }

  /** Replaces what the lists say about a user. */
  setEntry(userId: string, { role, isBanned, mutedUntil, warnings, isInvited }: RoomEntry): void {
    if (role === undefined) this.#roles?.delete(userId);
    else this.roles.set(userId, role);
    if (isBanned) this.bannedUsers.add(userId);
    else this.#bannedUsers?.delete(userId);
    if (mutedUntil) this.mutedUsers.set(userId, mutedUntil);
    else this.#mutedUsers?.delete(userId);
    if (warnings === undefined) this.#userWarnings?.delete(userId);
    else this.userWarnings.set(userId, warnings);
    if (isInvited) this.invited.add(userId);
    else this.#invited?.delete(userId);
  }

  /** Whether the user is in a list. */
  remembers(userId: string): boolean { return this.#lists.some((list) => list?.has(userId)); }

  /** The users in all lists, each once. */
  remembered(): Set<string> { return new Set(this.#lists.flatMap((list) => (list ? [...list.keys()] : []))); }

  /** Removes a user from all lists. The owner of the room keeps the role. */
  forget(userId: string): void {
    for (const list of this.#lists) if (list !== this.#roles || this.owner !== userId) list?.delete(userId);
  }

  /**
   * Moves the entries of an anonymous member to its user after it authenticated. The user keeps an existing role, and
   * the owner of the room stays owner. Owners are neither banned nor muted.
   */
  move(before: string, now: string): void {
    const { role, ...entry } = this.entryOf(before);
    const merged = mergeEntries(this.owner === before ? entry : { ...entry, role }, this.entryOf(now));
    this.forget(before);
    this.setEntry(now, merged);
  }

  /** Adds a message to the history. */
  async addMessage(message: unknown): Promise<void> {
    const { historySize } = this.config.message;
    if (historySize === 0) return;
    const history = (this.#history ??= []);
    history.push(message);
    if (history.length > historySize) history.shift();
  }

  get #lists() { return [this.#bannedUsers, this.#mutedUsers, this.#userWarnings, this.#roles, this.#invited]; }
}

/** What the lists say about a user who was anonymous before. Owners are neither banned nor muted. */
export function mergeEntries(before: RoomEntry, now: RoomEntry): RoomEntry {
  const isOwner = now.role === 'owner';
  const isRoleKept = before.role === 'owner' || (now.role === undefined && !now.isBanned);
  const isBanned = now.isBanned ?? (isOwner ? undefined : before.isBanned);
  const isLonger = left(before.mutedUntil) > left(now.mutedUntil);
  const warnings = before.warnings === undefined ? now.warnings : before.warnings + (now.warnings ?? 0);
  return {
    role: isRoleKept ? before.role ?? now.role : now.role,
    isBanned,
    mutedUntil: isLonger && !isOwner ? before.mutedUntil : now.mutedUntil,
    warnings,
    isInvited: isBanned ? undefined : now.isInvited ?? before.isInvited,
  };
}

/** Milliseconds until a mute ends; 0 without one. */
const left = (until: Date | undefined): number => (until ? Math.max(0, remaining(until)) : 0);

/** Reads an own property. Role names come from clients, and `constructor` must not find an inherited one. */
function ownField<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
