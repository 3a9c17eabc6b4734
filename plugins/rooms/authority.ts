import { ModuleError, userTopic, type Outgoing, type PluginContext } from '../../src/index.ts';
import type { Admission } from './admission.ts';
import type { Act, Warning } from './api.ts';
import type { Permission } from './config.ts';
import type { Memory } from './memory.ts';
import { invalid, refusal } from './refusals.ts';
import type { RoomRegistry } from './registry.ts';
import type { Room } from './room.ts';

/** Roles from the least on, for promoting and demoting. */
const LADDER = ['guest', 'member', 'admin', 'owner'];
/** Ten years, in milliseconds: what is longer is a mistake. */
const LONGEST_MUTE = 315_360_000_000;

/** What members and the server may do to members. */
export class Authority {
  readonly #context: PluginContext;
  readonly #registry: RoomRegistry;
  readonly #admission: Admission;
  readonly #memory: Memory;

  constructor(context: PluginContext, registry: RoomRegistry, admission: Admission, memory: Memory) {
    this.#context = context;
    this.#registry = registry;
    this.#admission = admission;
    this.#memory = memory;
  }

  can(roomId: string, userId: string, permission: Permission): boolean {
    const room = this.#registry.find(roomId);
    return isKnown(room, userId) && room.can(userId, permission);
  }

  async delete(roomId: string, { by }: Act = {}): Promise<void> {
    const room = this.#registry.find(roomId);
    this.#assertMay(room, by, 'canDeleteRoom');
    await this.#admission.delete(room);
  }

  async setRole(roomId: string, userId: string, role: string, { by }: Act = {}): Promise<void> {
    const room = this.#registry.find(roomId);
    // To step down is the one thing that may be done to oneself.
    this.#assertMay(room, by, 'canManageRoom');
    if (!Object.hasOwn(room.config.permissions.roles, role)) throw refusal('ROLE_UNKNOWN', { room: roomId, role });
    if (!isKnown(room, userId)) throw refusal('NOT_IN_ROOM', { room: roomId, user: userId });
    // Else who may manage a room could take it: make himself an owner, and its owner none.
    const isOwnership = role === 'owner' || room.getUserRole(userId) === 'owner';
    if (by !== undefined && isOwnership && room.getUserRole(by) !== 'owner') throw new ModuleError('FORBIDDEN', { needs: 'the role owner' });
    const owners = [...room.roles].filter(([, held]) => held === 'owner').map(([owner]) => owner);
    if (role !== 'owner' && owners.length === 1 && owners[0] === userId) throw refusal('LAST_OWNER', { room: roomId });
    const isKept = role !== room.config.permissions.defaultRole && this.#memory.takes(room, room.roles, userId);
    if (isKept) room.roles.set(userId, role);
    else room.roles.delete(userId);
    if (room.owner === userId && role !== 'owner') this.#registry.hand(room, owners.find((owner) => owner !== userId));
    this.#tell(userId, 'role-changed', { roomId, role });
  }

  promote(roomId: string, userId: string, act?: Act): Promise<string> { return this.#step(roomId, userId, 1, act); }

  demote(roomId: string, userId: string, act?: Act): Promise<string> { return this.#step(roomId, userId, -1, act); }

  async #step(roomId: string, userId: string, step: 1 | -1, act?: Act): Promise<string> {
    const current = this.#registry.find(roomId).getUserRole(userId);
    const at = LADDER.indexOf(current);
    const role = at < 0 ? undefined : LADDER[at + step];
    if (role === undefined) throw refusal('ROLE_UNCHANGED', { role: current, step: step > 0 ? 'above' : 'below' });
    await this.setRole(roomId, userId, role, act);
    return role;
  }

  async invite(roomId: string, userId: string, { by }: Act = {}): Promise<void> {
    const room = this.#registry.find(roomId);
    this.#assertMay(room, by, 'canInviteUsers', userId);
    if (room.isBanned(userId)) throw refusal('BANNED', { room: roomId, user: userId });
    if (this.#memory.takes(room, room.invited, userId)) room.invited.add(userId);
    this.#tell(userId, 'room-invited', { roomId, name: this.#context.escape(room.name), by });
  }

  async kick(roomId: string, userId: string, { by, reason }: Act = {}): Promise<void> {
    const room = this.#registry.find(roomId);
    this.#assertMay(room, by, 'canKickUsers', userId);
    if (!room.users.has(userId)) throw refusal('NOT_IN_ROOM', { room: roomId, user: userId });
    room.invited.delete(userId);
    this.#tell(userId, 'kicked', { roomId, by, reason });
    await this.#admission.putOut(room, userId);
  }

  async ban(roomId: string, userId: string, { by, reason }: Act = {}): Promise<void> {
    const room = this.#registry.find(roomId);
    this.#assertMay(room, by, 'canKickUsers', userId);
    if (this.#memory.takes(room, room.bannedUsers, userId)) room.bannedUsers.add(userId);
    room.invited.delete(userId);
    this.#tell(userId, 'banned', { roomId, by, reason });
    await this.#admission.putOut(room, userId);
  }

  async unban(roomId: string, userId: string, { by }: Act = {}): Promise<void> {
    const room = this.#registry.find(roomId);
    this.#assertMay(room, by, 'canKickUsers');
    if (!room.bannedUsers.delete(userId)) throw refusal('NOT_BANNED', { room: roomId, user: userId });
  }

  async mute(roomId: string, userId: string, duration: number, { by, reason }: Act = {}): Promise<void> {
    const room = this.#registry.find(roomId);
    this.#assertMay(room, by, 'canKickUsers', userId);
    if (!Number.isInteger(duration) || duration < 1 || duration > LONGEST_MUTE) throw invalid('duration', `must be a number of milliseconds from 1 to ${LONGEST_MUTE}`);
    const until = new Date(Date.now() + duration);
    if (this.#memory.takes(room, room.mutedUsers, userId)) this.#memory.mute(room, userId, until, (who) => this.#tellUnmuted(room, who));
    this.#tell(userId, 'muted', { roomId, duration, until: until.toISOString(), by, reason });
  }

  async unmute(roomId: string, userId: string, { by }: Act = {}): Promise<void> {
    const room = this.#registry.find(roomId);
    this.#assertMay(room, by, 'canKickUsers', userId);
    if (!this.#memory.unmute(room, userId)) throw refusal('NOT_MUTED', { room: roomId, user: userId });
    this.#tellUnmuted(room, userId);
  }

  async warn(roomId: string, userId: string, { by, reason, maxWarnings }: Warning = {}): Promise<number> {
    const room = this.#registry.find(roomId);
    this.#assertMay(room, by, 'canKickUsers', userId);
    const warningCount = (room.userWarnings.get(userId) ?? 0) + 1;
    if (this.#memory.takes(room, room.userWarnings, userId)) room.userWarnings.set(userId, warningCount);
    const most = maxWarnings ?? room.config.behavior.moderation.maxWarnings ?? 3;
    this.#tell(userId, 'warning', { roomId, by, reason, warningCount, maxWarnings: most });
    return warningCount;
  }

  /** @throws NOT_IN_ROOM, SELF_ACTION, FORBIDDEN */
  #assertMay(room: Room, by: string | undefined, permission: Permission, target?: string): void {
    if (by === undefined) return;
    if (!isKnown(room, by)) throw refusal('NOT_IN_ROOM', { room: room.id, user: by });
    if (!room.can(by, permission)) throw new ModuleError('FORBIDDEN', { needs: `the permission ${permission}` });
    if (target === undefined) return;
    if (target === by) throw refusal('SELF_ACTION', {});
    if (permission === 'canInviteUsers') return;
    // Nobody puts out an owner, and only who manages the room those who may do so, too.
    if (room.getUserRole(target) === 'owner') throw new ModuleError('FORBIDDEN', { needs: 'somebody who is no owner' });
    if (room.can(target, permission) && !room.can(by, 'canManageRoom')) throw new ModuleError('FORBIDDEN', { needs: 'the permission canManageRoom' });
  }

  #tellUnmuted(room: Room, userId: string): void { this.#tell(userId, 'unmuted', { roomId: room.id }); }

  /** Tells somebody, on all connections that he has. */
  #tell(userId: string, type: string, content: Record<string, unknown>): void {
    const { node } = this.#context;
    const message: Outgoing = { type: this.#context.named(type), content };
    if (node.connections.has(userId)) node.send(userId, message);
    else node.publish(userTopic(userId), message);
  }
}

/** Whether somebody is in a room, or has a role there that he comes back to. */
const isKnown = (room: Room, userId: string): boolean => room.users.has(userId) || room.roles.has(userId);
