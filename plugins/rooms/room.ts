import { ROOM_DEFAULTS, type Permission, type ResolvedRoomConfig } from './config.ts';

/** The topic that a room's connections are subscribed to. */
export const roomTopic = (roomId: string): string => `room:${roomId}`;

/** A room: who is in it, and what holds there. What it remembers of people is made when there is something to remember. */
export class Room {
  readonly id: string;
  readonly name: string;
  /** The topic of its connections. */
  readonly topic: string;
  readonly config: ResolvedRoomConfig;
  readonly createdAt = new Date();
  /** Ids of members: of users, and of connections whose user is not known. */
  readonly users = new Set<string>();
  /** Who made it. Others may own it too: see getUserRole. */
  owner: string | undefined;
  #bannedUsers: Set<string> | undefined;
  #mutedUsers: Map<string, Date> | undefined;
  #userWarnings: Map<string, number> | undefined;
  #roles: Map<string, string> | undefined;
  #invited: Set<string> | undefined;
  #history: unknown[] | undefined;

  constructor(id: string, name: string, owner: string | undefined, config: ResolvedRoomConfig = ROOM_DEFAULTS) {
    this.id = id;
    this.name = name;
    this.topic = roomTopic(id);
    this.config = config;
    this.owner = owner;
    if (owner !== undefined) this.roles.set(owner, 'owner');
  }

  get isPrivate(): boolean { return this.config.isPrivate ?? this.config.password !== undefined; }

  get isPersistent(): boolean { return this.config.persistent === true; }

  get metadata(): Readonly<Record<string, unknown>> { return this.config.metadata ?? {}; }

  get bannedUsers(): Set<string> { return (this.#bannedUsers ??= new Set()); }

  /** Until when somebody is muted. */
  get mutedUsers(): Map<string, Date> { return (this.#mutedUsers ??= new Map()); }

  get userWarnings(): Map<string, number> { return (this.#userWarnings ??= new Map()); }

  /** Roles other than the default one, by member. */
  get roles(): Map<string, string> { return (this.#roles ??= new Map()); }

  /** Who may come in without a password. */
  get invited(): Set<string> { return (this.#invited ??= new Set()); }

  /** The last messages, oldest first, as many as `message.historySize`. */
  get messages(): readonly unknown[] { return this.#history ?? []; }

  getUserRole(userId: string): string { return this.#roles?.get(userId) ?? this.config.permissions.defaultRole; }

  /** Whether somebody's role has a permission; who is banned has none. Who is not in the room has the role that he would have. */
  can(userId: string, permission: Permission): boolean {
    if (this.isBanned(userId)) return false;
    const role = own(this.config.permissions.roles, this.getUserRole(userId));
    return role !== undefined && own(role, permission) === true;
  }

  /**
   * Somebody is known by another id from now on: what is remembered of him goes with him. His role does unless he has one there already,
   * is banned there, or made the room; and who owns it already is neither banned nor muted by it, as members cannot do that to him either.
   */
  rename(before: string, now: string): void {
    const isOwner = this.getUserRole(now) === 'owner';
    const role = this.#roles?.get(before);
    if (role !== undefined && this.owner !== before) {
      this.#roles!.delete(before);
      if (role === 'owner' || !(this.#roles!.has(now) || this.isBanned(now))) this.#roles!.set(now, role);
    }
    const warnings = this.#userWarnings?.get(before);
    if (this.#userWarnings?.delete(before)) this.#userWarnings.set(now, warnings! + (this.#userWarnings.get(now) ?? 0));
    const until = this.mutedUntil(before);
    if (this.#mutedUsers?.delete(before) && until && !isOwner && until > (this.mutedUntil(now) ?? 0)) this.#mutedUsers.set(now, until);
    if (this.#bannedUsers?.delete(before) && !isOwner) this.#bannedUsers.add(now);
    if (this.#invited?.delete(before)) this.#invited.add(now);
    if (this.isBanned(now)) this.#invited?.delete(now);
  }

  /** Somebody will not come back: what was remembered of him is of no use. An owner is remembered. */
  forget(userId: string): void {
    if (this.owner !== userId) this.#roles?.delete(userId);
    for (const list of [this.#bannedUsers, this.#mutedUsers, this.#userWarnings, this.#invited]) list?.delete(userId);
  }

  /**
   * Whether somebody needs neither a password nor an invitation: he has one, or a role of his own. One in which he may not even speak is
   * no honour, and who is banned is not expected.
   */
  expects(userId: string): boolean {
    return this.#invited?.has(userId) === true || (this.#roles?.has(userId) === true && this.can(userId, 'canSendMessage'));
  }

  isBanned(userId: string): boolean { return this.#bannedUsers?.has(userId) ?? false; }

  /** Until when somebody may not speak, if that is still to come. */
  mutedUntil(userId: string): Date | undefined {
    const until = this.#mutedUsers?.get(userId);
    return until && until.getTime() > Date.now() ? until : undefined;
  }

  /** Keeps a message in the history. */
  async addMessage(message: unknown): Promise<void> {
    const { historySize } = this.config.message;
    if (historySize === 0) return;
    const history = (this.#history ??= []);
    history.push(message);
    if (history.length > historySize) history.shift();
  }
}

/** A field of an object's own: role names come from outside, and `constructor` is none. */
const own = <T>(record: Readonly<Record<string, T>>, key: string): T | undefined => (Object.hasOwn(record, key) ? record[key] : undefined);
