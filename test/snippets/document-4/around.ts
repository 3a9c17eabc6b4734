import jwt from 'jsonwebtoken';
import { serve as serveProgram, snippet, type Form, type Serving } from '../../support/snippets.ts';

export type Client = Awaited<ReturnType<Serving['connect']>>;

/** Sockets on a server, for code that begins in the middle. */
export const sockets = `
const WebSocketModule = require('websocket-module');
const events = require('websocket-module/plugins/events');
const http = require('http');
const server = http.createServer();
const io = events.io(WebSocketModule.create({ server, plugins: ['namespaces'] }));
`;
/** Stands in for `socket.io`: a function of a server and its options, which this package does not have yet. */
const socketIo = `
const WebSocketModule = require('websocket-module');
const events = require('websocket-module/plugins/events');
module.exports = (server, { cors, pingTimeout, pingInterval, maxHttpBufferSize }) => events.io(WebSocketModule.create({
  server,
  plugins: ['namespaces'],
  origins: cors.origin,
  heartbeat: { timeout: pingTimeout, interval: pingInterval },
  maxPayload: maxHttpBufferSize,
}));
`;
export const listen = 'server.listen(process.env.PORT);';

/** The names that the document's applications leave free: a store, and ids of messages. */
export const store = `
let messages = 0;
const generateMessageId = () => 'message-' + ++messages;
const saveMessage = async (message) => console.log('[saved] %s', JSON.stringify(message));
const savePrivateMessage = async (message) => console.log('[saved in private] %s', JSON.stringify(message));
`;

/** A class of a snippet, without what uses it. */
export const roomManager = snippet('4-03-rooms').split('// 使用房间管理器')[0]!;
export const monitor = snippet('4-10-monitor').split('// 使用监控器')[0]!;

const secret = 'a secret of more than thirty-two characters';
/** A token of a user's. */
export const tokenOf = (username: string, claims: object = {}): string => jwt.sign(
  { userId: username.toLowerCase(), username, ...claims }, secret,
);

export function serve(form: Form, code: string, before = '', after = ''): Promise<Serving> {
  // CommonJS gives this to each file; the snippets look there for pages.
  const folder = form === 'esm' ? 'const __dirname = import.meta.dirname;\n' : '';
  return serveProgram(form, code, {
    before: folder + before, after, standIns: { 'socket.io': socketIo }, env: { PORT: '0', JWT_SECRET: secret },
  });
}

/** The values that a client is answered by a callback. */
export async function ask(client: Client, type: string, content?: unknown): Promise<any> {
  return (await client.request({ type, ...(content === undefined ? {} : { content }), ack: true })).content;
}

/** The content of the next event of this name. */
export async function told(client: Client, type: string): Promise<any> {
  return (await client.next(type)).content;
}
