import {
  ModuleError, publicProfile, RateMeter, RateTable, userTopic, validationError, type PluginContext,
} from '../../src/index.ts';
import type { NodeConnections } from './connection-manager.ts';
import type { Permission } from './room-config.ts';
import type { RoomMemory } from './room-memory.ts';
import type { RoomMembership } from './room-membership.ts';
import type { RoomRegistry } from './room-registry.ts';
import { assertMemberId } from './room-request.ts';
import type { Room } from './room.ts';
import type { Act, RoomMessage, Warning } from './rooms-api.ts';
import type { Speaking } from './speaking.ts';

/** The built-in roles from the lowest on, for promoting and demoting. */
const LADDER = ['guest', 'member', 'admin', 'owner'];
/** Ten years, in milliseconds. */
const MAX_MUTE = 315_360_000_000;
/** Actors whose budgets are remembered. */
const MAX_BUCKETS = 100_000;

/** The parts of the plugin that actions need. */
export interface ActionParts {
  readonly registry: RoomRegistry;
  readonly connections: NodeConnections;
  readonly membership: RoomMembership;
  readonly memory: RoomMemory;
  readonly speaking: Speaking;
}

/** An action that is allowed, with the reason as its target may read it. */
interface BegunAction { readonly room: Room; readonly reason: string | undefined }

/** What members, and the server, can do to members. */
export class MemberActions {
  readonly #context: PluginContext;
  readonly #parts: ActionParts;
  readonly #rates: RateTable;

  /** @param perMinute actions of one member */
  constructor(context: PluginContext, parts: ActionParts, perMinute: number) {
    this.#context = context;
    this.#parts = parts;
    this.#rates = new RateTable(new RateMeter({ count: perMinute, per: 60_000 }), MAX_BUCKETS);
  }

  can(roomId: string, userId: string, permission: Permission): boolean {
    const room = this.#parts.registry.find(roomId);
    return belongsTo(room, userId) && room.can(userId, permission);
  }

  async delete(roomId: string, { by }: Act = {}): Promise<void> {
    const { registry, speaking } = this.#parts;
    const room = this.#begin(roomId, by, 'canDeleteRoom');
    speaking.publish(room, { type: this.#context.named('room-deleted'), content: { roomId } });
    await registry.deleteRoom(roomId);
  }

  async setRole(roomId: string, userId: string, role: string, { by }: Act = {}): Promise<void> {
    assertMemberId(userId);
    const { memory } = this.#parts;
    const room = this.#begin(roomId, by, 'canManageRoom');
    const { defaultRole, roles } = room.config.permissions;
    if (!Object.hasOwn(roles, role)) throw new ModuleError('ROLE_UNKNOWN', { room: roomId, role });
    if (!belongsTo(room, userId)) throw new ModuleError('NOT_IN_ROOM', { room: roomId, user: userId });
    // Otherwise a member with canManageRoom could take the room from its owner.
    const isOwnership = role === 'owner' || room.getUserRole(userId) === 'owner';
    if (by !== undefined && isOwnership && room.getUserRole(by) !== 'owner') throw forbidden('the role owner');
    if (role !== 'owner') this.#removeOwner(room, userId, by);
    const isKept = role !== defaultRole && memory.reserve(room, room.roles, userId, by);
    if (isKept) room.roles.set(userId, role);
    else room.roles.delete(userId);
    memory.release(room, userId);
    this.tell(userId, 'role-changed', { roomId, role });
  }

  promote(roomId: string, userId: string, act?: Act): Promise<string> { return this.#step(roomId, userId, 1, act); }

  demote(roomId: string, userId: string, act?: Act): Promise<string> { return this.#step(roomId, userId, -1, act); }

  async invite(roomId: string, userId: string, { by }: Act = {}): Promise<void> {
    assertMemberId(userId);
    const { memory, registry, speaking } = this.#parts;
    const room = this.#begin(roomId, by, 'canInviteUsers', userId);
    // The invited user reads the name, which is not the server's.
    const isFiltered = by !== undefined && room.owner !== undefined;
    const name = isFiltered ? await speaking.filtered(this.#words(room, by, room.name)) : room.name;
    if (registry.find(roomId, by) !== room) throw new ModuleError('ROOM_UNKNOWN', { room: roomId });
    if (room.isBanned(userId)) throw new ModuleError('BANNED', { room: roomId, user: userId });
    if (memory.reserve(room, room.invited, userId, by)) room.invited.add(userId);
    this.tell(userId, 'room-invited', { roomId, name: this.#context.escape(name), by });
  }

  async kick(roomId: string, userId: string, act: Act = {}): Promise<void> {
    const { room, reason } = await this.#beginWithReason(roomId, userId, act);
    if (!room.users.has(userId)) throw new ModuleError('NOT_IN_ROOM', { room: roomId, user: userId });
    await this.#putOut(room, userId, 'kicked', { by: act.by, reason });
  }

  async ban(roomId: string, userId: string, act: Act = {}): Promise<void> {
    const { room, reason } = await this.#beginWithReason(roomId, userId, act);
    if (this.#parts.memory.reserve(room, room.bannedUsers, userId, act.by)) room.bannedUsers.add(userId);
    await this.#putOut(room, userId, 'banned', { by: act.by, reason });
  }

  async unban(roomId: string, userId: string, { by }: Act = {}): Promise<void> {
    assertMemberId(userId);
    const room = this.#begin(roomId, by, 'canKickUsers');
    if (!room.bannedUsers.delete(userId)) throw new ModuleError('NOT_BANNED', { room: roomId, user: userId });
    this.#parts.memory.release(room, userId);
  }

  async mute(roomId: string, userId: string, duration: number, act: Act = {}): Promise<void> {
    if (!Number.isInteger(duration) || duration < 1 || duration > MAX_MUTE) {
      throw validationError([{ path: 'duration', message: `must be a number of milliseconds from 1 to ${MAX_MUTE}` }]);
    }
    const { memory } = this.#parts;
    const { room, reason } = await this.#beginWithReason(roomId, userId, act);
    const isThere = memory.reserve(room, room.mutedUsers, userId, act.by, true);
    const until = isThere ? memory.mute(room, userId, duration) : new Date(Date.now() + duration);
    this.tell(userId, 'muted', { roomId, duration, until: until.toISOString(), by: act.by, reason });
  }

  async unmute(roomId: string, userId: string, { by }: Act = {}): Promise<void> {
    assertMemberId(userId);
    const room = this.#begin(roomId, by, 'canKickUsers', userId);
    if (!this.#parts.memory.unmute(room, userId)) throw new ModuleError('NOT_MUTED', { room: roomId, user: userId });
    this.tellUnmuted(room, userId);
  }

  async warn(roomId: string, userId: string, act: Warning = {}): Promise<number> {
    const { room, reason } = await this.#beginWithReason(roomId, userId, act);
    const { userWarnings } = room;
    const warningCount = (userWarnings.get(userId) ?? 0) + 1;
    if (this.#parts.memory.reserve(room, userWarnings, userId, act.by, true)) userWarnings.set(userId, warningCount);
    const maxWarnings = act.maxWarnings ?? room.config.behavior.moderation.maxWarnings ?? 3;
    this.tell(userId, 'warning', { roomId, by: act.by, reason, warningCount, maxWarnings });
    return warningCount;
  }

  /** Sends to all connections of a member. */
  tell(userId: string, type: string, content: object): void {
    const { node } = this.#context;
    const message = { type: this.#context.named(type), content };
    if (node.connections.has(userId)) node.send(userId, message);
    else node.publish(userTopic(userId), message);
  }

  tellUnmuted({ id }: Room, userId: string): void { this.tell(userId, 'unmuted', { roomId: id }); }

  /** Tells a member, and the room, that the member has become its owner. */
  tellOwner(room: Room, userId: string): void {
    const { connections, speaking } = this.#parts;
    const { id: roomId } = room;
    this.tell(userId, 'role-changed', { roomId, role: 'owner' });
    const profile = this.#context.escape(publicProfile(connections.getConnectionByUserId(userId)?.user));
    speaking.publish(room, { type: this.#context.named('owner-changed'), content: { roomId, userId, ...profile } });
  }

  async #step(roomId: string, userId: string, step: 1 | -1, act?: Act): Promise<string> {
    const current = this.#parts.registry.find(roomId, act?.by).getUserRole(userId);
    const index = LADDER.indexOf(current);
    const role = index < 0 ? undefined : LADDER[index + step];
    const direction = step > 0 ? 'above' : 'below';
    if (role === undefined) throw new ModuleError('ROLE_UNCHANGED', { role: current, step: direction });
    await this.setRole(roomId, userId, role, act);
    return role;
  }

  /** Prepares that a user is no owner any more. @throws LAST_OWNER, TOO_MANY_ROOMS */
  #removeOwner(room: Room, userId: string, by: string | undefined): void {
    const { registry } = this.#parts;
    if (room.getUserRole(userId) !== 'owner') return;
    const others = [...room.roles.keys()].filter((other) => other !== userId && room.getUserRole(other) === 'owner');
    if (others.length === 0) throw new ModuleError('LAST_OWNER', { room: room.id });
    if (room.owner !== userId) return;
    const next = others.find((other) => registry.mayOwnMore(other));
    // Otherwise members could create any number of rooms, and give each of them away.
    if (by !== undefined && next === undefined) throw registry.ownerFull();
    registry.hand(room, next ?? others[0]);
  }

  async #putOut(room: Room, userId: string, type: string, why: object): Promise<void> {
    room.invited.delete(userId);
    this.#parts.memory.release(room, userId);
    this.tell(userId, type, { roomId: room.id, ...why });
    await this.#parts.membership.putOut(room, userId);
  }

  /**
   * The room of an action that is allowed. It is charged to the member who acts.
   * @throws ROOM_UNKNOWN, RATE_LIMITED, NOT_IN_ROOM, SELF_ACTION, FORBIDDEN
   */
  #begin(roomId: string, by: string | undefined, permission: Permission, target?: string): Room {
    const { connections, registry } = this.#parts;
    const room = registry.find(roomId, by);
    if (by === undefined) return room;
    const retryAfter = this.#rates.take(connections.actorOf(by), performance.now());
    if (retryAfter > 0) throw new ModuleError('RATE_LIMITED', { retryAfter, scope: 'action' });
    this.#assertAllowed(room, by, permission, target);
    return room;
  }

  /** As #begin(). A member's reason passes the checks of a message to the room, because the target reads it. */
  async #beginWithReason(roomId: string, userId: string, { by, reason, raw }: Act): Promise<BegunAction> {
    assertMemberId(userId);
    const { registry, speaking } = this.#parts;
    const room = this.#begin(roomId, by, 'canKickUsers', userId);
    if (by === undefined || !reason) return { room, reason };
    const passed = await speaking.pass(this.#words(room, by, reason));
    // State may have changed during the await; check it again.
    if (registry.find(roomId, by) !== room) throw new ModuleError('ROOM_UNKNOWN', { room: roomId });
    this.#assertAllowed(room, by, 'canKickUsers', userId);
    const text = typeof passed === 'string' ? passed : undefined;
    return { room, reason: raw ? this.#context.escape(text) : text };
  }

  /** What a member says to the target of an action. */
  #words(room: Room, userId: string, content: string): RoomMessage {
    const [connection] = this.#parts.connections.getUserConnections(userId);
    return { room, userId, content, ...(connection && { connection }) };
  }

  /** @throws NOT_IN_ROOM, SELF_ACTION, FORBIDDEN */
  #assertAllowed(room: Room, by: string, permission: Permission, target?: string): void {
    if (!belongsTo(room, by)) throw new ModuleError('NOT_IN_ROOM', { room: room.id, user: by });
    if (!room.can(by, permission)) throw forbidden(`the permission ${permission}`);
    if (target === undefined) return;
    if (target === by) throw new ModuleError('SELF_ACTION');
    if (permission === 'canInviteUsers') return;
    // Otherwise the owner of any room could write to any user.
    if (!this.#parts.memory.knows(room, target)) throw new ModuleError('NOT_IN_ROOM', { room: room.id, user: target });
    if (room.getUserRole(target) === 'owner') throw forbidden('a member who is not an owner');
    // Members with a permission act on each other only with canManageRoom.
    if (room.can(target, permission) && !room.can(by, 'canManageRoom')) throw forbidden('the permission canManageRoom');
  }
}

const forbidden = (needs: string): ModuleError => new ModuleError('FORBIDDEN', { needs });

/** Whether a user is in a room, or has a role there to come back to. */
const belongsTo = (room: Room, userId: string): boolean => room.users.has(userId) || room.roles.has(userId);
