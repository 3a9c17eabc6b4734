import {
  ModuleError, publicProfile, RateMeter, RateTable, userTopic, validationError, type PluginContext, type User,
} from '../../src/index.ts';
import type { NodeConnections } from './connection-manager.ts';
import type { Permission } from './room-config.ts';
import type { RoomLists } from './room-lists.ts';
import type { RoomMembership } from './room-membership.ts';
import type { RoomRegistry } from './room-registry.ts';
import { assertMemberId } from './room-request.ts';
import { mutedFor, type Room, type RoomEntry } from './room.ts';
import type { ActionOptions, RoomMessage, WarnOptions } from './rooms-api.ts';
import type { RoomMessenger } from './room-messenger.ts';
import type { RoomOwnership } from './room-ownership.ts';
import type { SharedRooms } from './shared-rooms.ts';

/** The built-in roles, lowest first, for promoting and demoting. */
const ROLE_ORDER = ['guest', 'member', 'admin', 'owner'];
/** Ten years, in milliseconds. */
const MAX_MUTE = 315_360_000_000;
/** Maximum actors whose rates are kept. */
const MAX_BUCKETS = 100_000;

/** The parts of the plugin that actions need. */
export interface ActionParts {
  readonly registry: RoomRegistry;
  readonly connections: NodeConnections;
  readonly membership: RoomMembership;
  readonly lists: RoomLists;
  readonly messenger: RoomMessenger;
  readonly ownership: RoomOwnership;
  readonly shared: SharedRooms | undefined;
}

/** An allowed action, with the reason after all checks. */
interface AllowedAction { readonly room: Room; readonly reason: string | undefined }

/** Actions on a room and its members: roles, invitations, kicks, bans, mutes, warnings, deletion. */
export class MemberActions {
  readonly #context: PluginContext;
  readonly #parts: ActionParts;
  readonly #rates: RateTable;

  /** @param perMinute maximum actions of one member per minute */
  constructor(context: PluginContext, parts: ActionParts, perMinute: number) {
    this.#context = context;
    this.#parts = parts;
    this.#rates = new RateTable(new RateMeter({ count: perMinute, per: 60_000 }), MAX_BUCKETS);
  }

  can(roomId: string, userId: string, permission: Permission): boolean {
    const room = this.#parts.registry.find(roomId);
    return isMemberOrHasRole(room, userId) && room.can(userId, permission);
  }

  async delete(roomId: string, { by }: ActionOptions = {}): Promise<void> {
    const { registry, messenger } = this.#parts;
    if (this.#parts.shared) await this.#load(roomId, by);
    const room = this.#begin(roomId, by, 'canDeleteRoom');
    // With a shared store, each node tells its own members.
    if (!this.#parts.shared) {
      messenger.publish(room, { type: this.#context.named('room-deleted'), content: { roomId } });
    }
    await registry.deleteRoom(roomId);
  }

  async setRole(roomId: string, userId: string, role: string, { by }: ActionOptions = {}): Promise<void> {
    assertMemberId(userId);
    const { lists, ownership, registry, shared } = this.#parts;
    if (shared) {
      await this.#load(roomId, by, userId);
      // Who is an owner decides what is changed.
      await shared.copies.reread(registry.find(roomId, by), userId);
    }
    const room = this.#begin(roomId, by, 'canManageRoom');
    const { defaultRole, roles } = room.config.permissions;
    if (!Object.hasOwn(roles, role)) throw new ModuleError('ROLE_UNKNOWN', { room: roomId, role });
    if (!isMemberOrHasRole(room, userId)) throw new ModuleError('NOT_IN_ROOM', { room: roomId, user: userId });
    // Otherwise a member with canManageRoom could take the room away from its owner.
    const isOwnership = role === 'owner' || room.getUserRole(userId) === 'owner';
    if (by !== undefined && isOwnership && room.getUserRole(by) !== 'owner') throw forbidden('the role owner');
    const wasOwner = room.getUserRole(userId) === 'owner';
    if (shared && role === 'owner') await ownership.share(room, userId);
    else {
      if (shared && wasOwner) await ownership.resignShared(room, userId, by);
      else if (wasOwner && role !== 'owner') ownership.resign(room, userId, by);
      const kept = role === defaultRole ? undefined : role;
      const changing = lists.change(room, userId, by, (entry) => ({ ...entry, role: kept }));
      if (changing) await changing;
    }
    this.tell(userId, 'role-changed', { roomId, role });
  }

  promote(roomId: string, userId: string, act?: ActionOptions): Promise<string> {
    return this.#step(roomId, userId, 1, act);
  }

  demote(roomId: string, userId: string, act?: ActionOptions): Promise<string> {
    return this.#step(roomId, userId, -1, act);
  }

  async invite(roomId: string, userId: string, { by }: ActionOptions = {}): Promise<void> {
    assertMemberId(userId);
    const { lists, registry, messenger } = this.#parts;
    if (this.#parts.shared) await this.#load(roomId, by, userId);
    const room = this.#begin(roomId, by, 'canInviteUsers', userId);
    // The invited user reads the name. If a member chose it, it passes the filters.
    const isFiltered = by !== undefined && room.owner !== undefined;
    const name = isFiltered ? await messenger.filtered(this.#words(room, by, room.name)) : room.name;
    if (registry.find(roomId, by) !== room) throw new ModuleError('ROOM_UNKNOWN', { room: roomId });
    const changing = lists.change(room, userId, by, (entry) => {
      if (entry.isBanned) throw new ModuleError('BANNED', { room: roomId, user: userId });
      return { ...entry, isInvited: true };
    });
    if (changing) await changing;
    this.tell(userId, 'room-invited', { roomId, name: this.#context.escape(name), by });
  }

  async kick(roomId: string, userId: string, act: ActionOptions = {}): Promise<void> {
    const { room, reason } = await this.#beginWithReason(roomId, userId, act);
    if (!room.hasMember(userId)) throw new ModuleError('NOT_IN_ROOM', { room: roomId, user: userId });
    // With a shared store, the removal is also the notice to the other nodes.
    const changing = this.#parts.shared
      ? undefined : this.#parts.lists.change(room, userId, act.by, (entry) => ({ ...entry, isInvited: undefined }));
    if (changing) await changing;
    await this.#removeMember(room, userId, 'kicked', { by: act.by, reason });
  }

  async ban(roomId: string, userId: string, act: ActionOptions = {}): Promise<void> {
    const { room, reason } = await this.#beginWithReason(roomId, userId, act);
    const changing = this.#parts.lists.change(room, userId, act.by, (entry) => {
      return { ...entry, isBanned: true, isInvited: undefined };
    });
    if (changing) await changing;
    await this.#removeMember(room, userId, 'banned', { by: act.by, reason });
  }

  async unban(roomId: string, userId: string, { by }: ActionOptions = {}): Promise<void> {
    assertMemberId(userId);
    if (this.#parts.shared) await this.#load(roomId, by, userId);
    const room = this.#begin(roomId, by, 'canKickUsers');
    const changing = this.#parts.lists.change(room, userId, by, (entry) => {
      if (!entry.isBanned) throw new ModuleError('NOT_BANNED', { room: roomId, user: userId });
      return { ...entry, isBanned: undefined };
    });
    if (changing) await changing;
  }

  async mute(roomId: string, userId: string, duration: number, act: ActionOptions = {}): Promise<void> {
    if (!Number.isInteger(duration) || duration < 1 || duration > MAX_MUTE) {
      throw validationError([{ path: 'duration', message: `must be a number of milliseconds from 1 to ${MAX_MUTE}` }]);
    }
    const { room, reason } = await this.#beginWithReason(roomId, userId, act);
    const until = mutedFor(duration);
    const mute = (entry: RoomEntry): RoomEntry => ({ ...entry, mutedUntil: until });
    const changing = this.#parts.lists.change(room, userId, act.by, mute, true);
    if (changing) await changing;
    this.tell(userId, 'muted', { roomId, duration, until: until.toISOString(), by: act.by, reason });
  }

  async unmute(roomId: string, userId: string, { by }: ActionOptions = {}): Promise<void> {
    assertMemberId(userId);
    if (this.#parts.shared) await this.#load(roomId, by, userId, true);
    const room = this.#begin(roomId, by, 'canKickUsers', userId);
    const changing = this.#parts.lists.change(room, userId, by, (entry) => {
      if (!entry.mutedUntil) throw new ModuleError('NOT_MUTED', { room: roomId, user: userId });
      return { ...entry, mutedUntil: undefined };
    });
    if (changing) await changing;
    this.tellUnmuted(room, userId);
  }

  async warn(roomId: string, userId: string, act: WarnOptions = {}): Promise<number> {
    const { room, reason } = await this.#beginWithReason(roomId, userId, act);
    let warningCount = 0;
    const warn = (entry: RoomEntry): RoomEntry => ({ ...entry, warnings: warningCount = (entry.warnings ?? 0) + 1 });
    const changing = this.#parts.lists.change(room, userId, act.by, warn, true);
    if (changing) await changing;
    const maxWarnings = act.maxWarnings ?? room.config.behavior.moderation.maxWarnings ?? 3;
    this.tell(userId, 'warning', { roomId, by: act.by, reason, warningCount, maxWarnings });
    return warningCount;
  }

  /** Sends a notice to all connections of a member. */
  tell(userId: string, type: string, content: object): void {
    const { node } = this.#context;
    const message = { type: this.#context.named(type), content };
    if (node.connections.has(userId)) node.send(userId, message);
    else node.publish(userTopic(userId), message);
  }

  tellUnmuted({ id }: Room, userId: string): void { this.tell(userId, 'unmuted', { roomId: id }); }

  /**
   * Notifies a new owner and the room.
   * @param elsewhere the owner as other nodes see them
   */
  tellOwner(room: Room, userId: string, elsewhere?: User): void {
    const { connections, messenger } = this.#parts;
    const { id: roomId } = room;
    this.tell(userId, 'role-changed', { roomId, role: 'owner' });
    const user = connections.getConnectionByUserId(userId)?.user ?? elsewhere;
    const profile = this.#context.escape(publicProfile(user));
    messenger.publish(room, { type: this.#context.named('owner-changed'), content: { roomId, userId, ...profile } });
  }

  async #step(roomId: string, userId: string, step: 1 | -1, act?: ActionOptions): Promise<string> {
    if (this.#parts.shared) await this.#load(roomId, act?.by, userId);
    const current = this.#parts.registry.find(roomId, act?.by).getUserRole(userId);
    const index = ROLE_ORDER.indexOf(current);
    const role = index < 0 ? undefined : ROLE_ORDER[index + step];
    const direction = step > 0 ? 'above' : 'below';
    if (role === undefined) throw new ModuleError('ROLE_UNCHANGED', { role: current, step: direction });
    await this.setRole(roomId, userId, role, act);
    return role;
  }

  async #removeMember(room: Room, userId: string, type: string, why: object): Promise<void> {
    this.tell(userId, type, { roomId: room.id, ...why });
    await this.#parts.membership.removeMember(room, userId, type === 'kicked');
  }

  /**
   * Reads what this node does not know yet about a room, the member who acts, and the target.
   * @param isFormerAllowed whether a member may act on a user who has left
   */
  async #load(roomId: string, by?: string, target?: string, isFormerAllowed = false): Promise<void> {
    const { lists, registry, shared } = this.#parts;
    const userIds = [by, target].filter((userId) => userId !== undefined);
    shared!.seats.assertServing('act on a room');
    await shared!.copies.load(roomId, userIds);
    const room = registry.getRoom(roomId);
    if (!room) return;
    await shared!.locate(room, userIds);
    if (isFormerAllowed && by !== undefined && target !== undefined) await lists.findFormer(room, target);
  }

  /**
   * Finds the room, counts the action against the member's rate limit, and checks the permission.
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

  /** Like #begin(). The reason of a member passes the checks of a message to the room, because the target reads it. */
  async #beginWithReason(roomId: string, userId: string, { by, reason, raw }: ActionOptions): Promise<AllowedAction> {
    assertMemberId(userId);
    const { registry, messenger, shared } = this.#parts;
    if (shared) await this.#load(roomId, by, userId, true);
    const room = this.#begin(roomId, by, 'canKickUsers', userId);
    if (by === undefined || !reason) return { room, reason };
    const passed = await messenger.pass(this.#words(room, by, reason));
    // State may have changed during the await; check it again.
    if (registry.find(roomId, by) !== room) throw new ModuleError('ROOM_UNKNOWN', { room: roomId });
    this.#assertAllowed(room, by, 'canKickUsers', userId);
    const text = typeof passed === 'string' ? passed : undefined;
    return { room, reason: raw ? this.#context.escape(text) : text };
  }

  /** Text that a member sends to the target of an action, as a message for checks and filters. */
  #words(room: Room, userId: string, content: string): RoomMessage {
    const [connection] = this.#parts.connections.getUserConnections(userId);
    return { room, userId, content, ...(connection && { connection }) };
  }

  /** @throws NOT_IN_ROOM, SELF_ACTION, FORBIDDEN */
  #assertAllowed(room: Room, by: string, permission: Permission, target?: string): void {
    if (!isMemberOrHasRole(room, by)) throw new ModuleError('NOT_IN_ROOM', { room: room.id, user: by });
    if (!room.can(by, permission)) throw forbidden(`the permission ${permission}`);
    if (target === undefined) return;
    if (target === by) throw new ModuleError('SELF_ACTION');
    if (permission === 'canInviteUsers') return;
    // Otherwise the owner of a room could send reasons to any user of the server.
    if (!this.#parts.lists.knows(room, target)) throw new ModuleError('NOT_IN_ROOM', { room: room.id, user: target });
    if (room.getUserRole(target) === 'owner') throw forbidden('a member who is not an owner');
    // Members with a permission act on each other only with canManageRoom.
    if (room.can(target, permission) && !room.can(by, 'canManageRoom')) throw forbidden('the permission canManageRoom');
  }
}

const forbidden = (needs: string): ModuleError => new ModuleError('FORBIDDEN', { needs });

/** Whether a user is in a room, or has a role there. */
const isMemberOrHasRole = (room: Room, userId: string): boolean => room.hasMember(userId) || room.roles.has(userId);
