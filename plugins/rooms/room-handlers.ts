import { ListBudget, type Connection, type Handler, type Outgoing, type PluginContext } from '../../src/index.ts';
import type { NodeConnections } from './connection-manager.ts';
import type { ResolvedRoomConfig } from './room-config.ts';
import type { RoomOwnership } from './room-ownership.ts';
import { MAX_PASSWORD_LENGTH } from './room-passwords.ts';
import { MAX_LISTED } from './room-reader.ts';
import type { RoomRegistry } from './room-registry.ts';
import { RoomRequest } from './room-request.ts';
import type { ActionOptions, RoomInfo, RoomsApi } from './rooms-api.ts';
import type { SharedRooms } from './shared-rooms.ts';

const MAX_REASON_LENGTH = 500;

export interface HandlerParts {
  readonly api: RoomsApi;
  readonly registry: RoomRegistry;
  readonly ownership: RoomOwnership;
  readonly connections: NodeConnections;
  readonly shared: SharedRooms | undefined;
}

/** An action on a member. The object to which it resolves is added to the reply. */
type Action = (roomId: string, userId: string, act: ActionOptions, request: RoomRequest) => Promise<object | void>;

/** Registers the handlers of rooms. Handlers of the application for the same types take precedence. */
export function registerHandlers(context: PluginContext, { maxUsers }: ResolvedRoomConfig, parts: HandlerParts): void {
  const { api, registry, ownership, shared } = parts;
  const lists = new ListBudget(MAX_LISTED);
  /** The number of public rooms on all nodes, by the last list. */
  let lastTotal = 0;
  const memberOf = (connection: Connection): string => parts.connections.memberOf(connection);
  const handle = (type: string, handler: (request: RoomRequest, connection: Connection) => unknown): void => {
    const run: Handler = (message, connection) => handler(new RoomRequest(message), connection);
    context.registerHandler(context.named(type), run, { yields: true, raw: true });
  };
  /** Room information for clients. The id is `roomId`, as in every message. */
  const about = ({ id, name, ...rest }: RoomInfo): object => ({ roomId: id, name: context.escape(name), ...rest });
  const answer = (type: string, content: object): Outgoing => ({ type: context.named(type), content });

  handle('create-room', async (request, connection) => {
    const id = request.hasRoomId ? request.roomId : undefined;
    const name = request.get('name') ?? request.get('roomName') ?? id;
    if (typeof name !== 'string') throw request.refusal('name', 'must be a string');
    const room = await api.create(name, {
      owner: memberOf(connection),
      ...(id !== undefined && { id }),
      ...(request.has('password') && { password: request.text('password', MAX_PASSWORD_LENGTH) }),
      ...(request.has('isPrivate') && { isPrivate: request.flag('isPrivate') }),
      ...(request.has('maxUsers') && { maxUsers: request.integer('maxUsers', 1, maxUsers) }),
    });
    ownership.update(connection);
    return answer('room-created', { ...about(registry.infoOf(room)), success: true });
  });
  handle('join-room', async (request, connection) => {
    const password = request.has('password') ? request.text('password', MAX_PASSWORD_LENGTH) : undefined;
    const room = await api.join(connection.id, request.roomId, password);
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
  handle('room-message', async ({ roomId, messageContent }, connection) => {
    await api.send(roomId, messageContent, { connectionId: connection.id, raw: true });
  });
  handle('get-rooms', async (request, connection) => {
    const offset = request.has('offset') ? request.integer('offset', 0, Number.MAX_SAFE_INTEGER) : 0;
    const limit = request.has('limit') ? request.integer('limit', 1, MAX_LISTED) : 100;
    // Charged before the work.
    const known = shared ? lastTotal : registry.public.size;
    lists.charge(connection, Math.max(0, Math.min(limit, known - offset)));
    const { rooms: listed, total } = await api.fetchList({ offset, limit });
    lastTotal = total;
    return answer('rooms-list', { rooms: listed.map((info) => ({ id: info.id, ...about(info) })), total });
  });
  handle('get-room-info', async ({ roomId }, connection) => {
    const userId = memberOf(connection);
    if (shared) await shared.copies.load(roomId, [userId]);
    const room = registry.find(roomId, userId);
    const isMember = room.users.has(userId);
    lists.charge(connection, isMember ? Math.min(room.memberCount, MAX_LISTED) : 1);
    const info = await api.fetchInfo(roomId);
    const users = isMember ? { users: (await api.fetchMembers(roomId, { limit: MAX_LISTED })).members } : {};
    return answer('room-info', { ...about(info), ...users });
  });

  const act = (type: string, work: Action): void =>
    handle(type, async (request, connection) => {
      const { roomId, userId } = request;
      const isGiven = request.has('reason');
      const reason = isGiven ? { reason: request.displayText('reason', MAX_REASON_LENGTH), raw: true } : {};
      const outcome = await work(roomId, userId, { by: memberOf(connection), ...reason }, request);
      return answer(type, { roomId, userId, ...outcome });
    });
  for (const name of ['invite', 'kick', 'ban', 'unban', 'unmute'] as const) {
    act(`room-${name}`, (roomId, userId, by) => api[name](roomId, userId, by));
  }
  act('room-mute', (roomId, userId, by, request) => {
    return api.mute(roomId, userId, request.integer('duration', 1, Number.MAX_SAFE_INTEGER), by);
  });
  act('room-warn', async (roomId, userId, by) => ({ warningCount: await api.warn(roomId, userId, by) }));
  act('room-role', async (roomId, userId, by, request) => {
    const role = request.text('role', 64);
    await api.setRole(roomId, userId, role, by);
    return { role };
  });
}
