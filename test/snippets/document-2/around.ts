import { serve as serveProgram, type Form, type Serving } from '../../support/snippets.ts';

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
