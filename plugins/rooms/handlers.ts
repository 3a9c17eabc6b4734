import type { Connection, Outgoing, PluginContext } from '../../src/index.ts';
import type { Act, RoomInfo, RoomsApi } from './api.ts';
import { MOST_PASSWORD } from './password.ts';
import { Payload } from './payload.ts';
import { invalid, refusal } from './refusals.ts';
import type { RoomRegistry } from './registry.ts';
import type { Room } from './room.ts';

/** Rooms, and members, that one answer lists at most. */
const MOST_LISTED = 1_000;
const MOST_REASON = 500;

export interface Membership {
  /** The most that a client may ask for. */
  readonly maxUsers: number;
  readonly memberOf: (connection: Connection) => string;
}

/** What clients may say. A handler of the application's takes precedence over that of the same type here. */
export function registerHandlers(context: PluginContext, api: RoomsApi, registry: RoomRegistry, { maxUsers, memberOf }: Membership): void {
  const handle = (type: string, handler: (payload: Payload, connection: Connection) => unknown): void =>
    context.registerHandler(type, (message, connection) => handler(new Payload(message), connection), { yields: true, raw: true });
  const answer = (type: string, content: object): Outgoing => ({ type: context.named(type), content });
  /** What is told of a room: its `id` as `roomId`, as in every message. */
  const about = ({ id, name, ...rest }: RoomInfo): object => ({ roomId: id, name: context.escape(name), ...rest });

  handle('create-room', async (payload, connection) => {
    const name = payload.get('name') ?? payload.get('roomName') ?? payload.get('roomId');
    if (typeof name !== 'string') throw invalid('name', 'must be a text');
    const room = await api.create(name, {
      owner: memberOf(connection),
      ...(payload.has('roomId') && { id: payload.roomId }),
      ...(payload.has('password') && { password: payload.text('password', MOST_PASSWORD) }),
      ...(payload.has('isPrivate') && { isPrivate: payload.flag('isPrivate') }),
      ...(payload.has('maxUsers') && { maxUsers: payload.integer('maxUsers', 1, maxUsers) }),
    });
    registry.catchUp(connection);
    return answer('room-created', { ...about(registry.infoOf(room)), success: true });
  });
  handle('join-room', async (payload, connection) => {
    const password = payload.has('password') ? payload.text('password', MOST_PASSWORD) : undefined;
    const room = await api.join(connection.id, payload.roomId, password);
    return answer('room-joined', { ...about(registry.infoOf(room)), role: room.getUserRole(memberOf(connection)) });
  });
  handle('leave-room', async ({ roomId }, connection) => {
    await api.leave(connection.id, roomId);
    return answer('room-left', { roomId });
  });
  handle('delete-room', async ({ roomId }, connection) => {
    await api.delete(roomId, { by: memberOf(connection) });
    return answer('room-deleted', { roomId });
  });
  handle('room-message', async ({ roomId, said }, connection) => {
    if (said === undefined || said === null || said === '') throw invalid('content', 'must be there');
    await api.send(roomId, said, { connectionId: connection.id, raw: true });
  });
  handle('get-rooms', (payload) => {
    const offset = payload.has('offset') ? payload.integer('offset', 0, Number.MAX_SAFE_INTEGER) : 0;
    const limit = payload.has('limit') ? payload.integer('limit', 1, MOST_LISTED) : 100;
    const rooms = some(registry.public, offset, limit).map((room) => ({ id: room.id, ...about(registry.infoOf(room)) }));
    return answer('rooms-list', { rooms, total: registry.public.size });
  });
  handle('get-room-info', ({ roomId }, connection) => {
    const room = registry.find(roomId);
    const userId = memberOf(connection);
    const isIn = room.users.has(userId);
    // Who may not see it is not told that it is there.
    if (room.isPrivate && !isIn && !room.expects(userId)) throw refusal('ROOM_UNKNOWN', { room: roomId });
    return answer('room-info', { ...about(registry.infoOf(room)), ...(isIn && { users: usersOf(room) }) });
  });

  /** What members do to members. */
  const act = (type: string, work: (roomId: string, userId: string, act: Act, payload: Payload) => Promise<object | void>): void =>
    handle(type, async (payload, connection) => {
      const { roomId, userId } = payload;
      const reason = payload.has('reason') ? { reason: context.escape(payload.prose('reason', MOST_REASON)) } : {};
      const outcome = await work(roomId, userId, { by: memberOf(connection), ...reason }, payload);
      return answer(type, { roomId, userId, ...outcome });
    });
  act('room-invite', (roomId, userId, by) => api.invite(roomId, userId, by));
  act('room-kick', (roomId, userId, by) => api.kick(roomId, userId, by));
  act('room-ban', (roomId, userId, by) => api.ban(roomId, userId, by));
  act('room-unban', (roomId, userId, by) => api.unban(roomId, userId, by));
  act('room-mute', (roomId, userId, by, payload) => api.mute(roomId, userId, payload.integer('duration', 1, Number.MAX_SAFE_INTEGER), by));
  act('room-unmute', (roomId, userId, by) => api.unmute(roomId, userId, by));
  act('room-warn', async (roomId, userId, by) => ({ warningCount: await api.warn(roomId, userId, by) }));
  act('room-role', async (roomId, userId, by, payload) => {
    const role = payload.text('role', 64);
    await api.setRole(roomId, userId, role, by);
    return { role };
  });
}

function usersOf(room: Room): object[] {
  return some(room.users, 0, MOST_LISTED).map((userId) => ({ userId, role: room.getUserRole(userId) }));
}

/** A page of a set, without making a list of all of it. */
function some<T>(all: ReadonlySet<T>, offset: number, limit: number): T[] {
  const page: T[] = [];
  let index = 0;
  for (const item of all) {
    if (page.length >= limit) break;
    if (index++ >= offset) page.push(item);
  }
  return page;
}
