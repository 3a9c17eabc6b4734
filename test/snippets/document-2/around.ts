import { serve as serveProgram, snippet, type Form, type Serving } from '../../support/snippets.ts';

export type Client = Awaited<ReturnType<Serving['connect']>>;

/** A manager with rooms, where the name of a user is a token. */
export const server = `
import { createServer } from 'node:http';
import WebSocketModule, { definePlugin, ModuleError } from 'websocket-module';
import rooms from 'websocket-module/plugins/rooms';

const users = {
  ada: { id: 'ada', username: 'Ada', roles: ['user'], canCreateRooms: true, permissions: ['talk'] },
  bob: { id: 'bob', username: 'Bob', roles: ['user'], permissions: ['talk'] },
  eve: { id: 'eve', username: 'Eve', roles: ['user'], permissions: [] },
  pat: { id: 'pat', username: 'Pat', roles: ['player'], permissions: ['talk'] },
  mod: { id: 'mod', username: 'Mod', roles: ['moderator'], permissions: ['talk', 'ban'] },
  root: { id: 'root', username: 'Root', roles: ['admin'], permissions: ['talk', 'ban'] },
  user123: { id: 'user123', canCreateRooms: true },
};
const http = createServer();
const manager = WebSocketModule.create({ server: http });
manager.use('auth', { authenticate: (token) => users[token], allowAnonymous: true });
manager.use(rooms());
await manager.ready();
const connectionManager = manager.connections;

let messageIds = 0;
const generateMessageId = () => 'message-' + ++messageIds;
`;
/** The names that the document's room managers leave free. */
export const aroundRooms = `${server}
const userService = {
  findById: async (id) => users[id],
  banUser: async (id, ban) => console.log('[banned %s] %s', id, JSON.stringify(ban)),
};
const auditLogger = { log: async (event, details) => console.log('[audit %s] %s', event, JSON.stringify(details)) };
const counts = new Map();
const rateLimiter = {
  get: (key) => counts.get(key) ?? 0,
  increment: async (key) => void counts.set(key, rateLimiter.get(key) + 1),
};
// The messages of the snippet's errors are for the client.
manager.use(
  'error-handler',
  { map: (error) => (error instanceof ModuleError ? undefined : { code: 'REFUSED', message: error.message }) },
);
`;

/** Runs a snippet after the names that it leaves free, and before code that goes on with it. */
export function serve(form: Form, code: string, before: string, after: string): Promise<Serving> {
  return serveProgram(form, code, { language: 'typescript', before, after: `${after}\nhttp.listen(3001);` });
}

/** Connects as these users. */
export async function people<const Names extends readonly string[]>(
  { connect }: Serving, ...names: Names
): Promise<{ [N in keyof Names]: Client }> {
  const clients = names.map((name) => connect({ search: `?token=${name}`, headers: { 'user-agent': 'a browser' } }));
  return await Promise.all(clients) as { [N in keyof Names]: Client };
}

/** The server of the first part of block 2-02. */
export const chat = (form: Form): Promise<Serving> => serve(form, snippet('2-02a-chat-handler'), `${server}
  const messageService = { saveMessage: async (message) => console.log('[saved] %s', JSON.stringify(message)) };
  const roomService = {
    async findRoom(id) {
      if (id === 'broken') throw new Error('no database');
      return id === 'nowhere' ? undefined : { id, name: 'The room ' + id };
    },
    canUserJoinRoom: async (userId, roomId) => roomId !== 'secret' || userId === 'ada',
  };`, `
  const handler = new ChatMessageHandler(connectionManager);
  // The handlers of the rooms plugin give way to these. "*" takes every type that has no handler.
  for (const type of ['chat_message', 'join_room', 'leave_room', 'typing', '*']) {
    manager.registerHandler(type, (message, connection) => handler.handleMessage(connection, message));
  }`);
