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
export const listen = 'server.listen(process.env.PORT);';

/** What the document's applications leave free: a store, and what names its messages. */
export const store = `
let messages = 0;
const generateMessageId = () => 'message-' + ++messages;
const saveMessage = async (message) => console.log('[saved] %s', JSON.stringify(message));
const savePrivateMessage = async (message) => console.log('[saved in private] %s', JSON.stringify(message));
`;

/** A class of a snippet, without what uses it. */
export const roomManager = snippet('rooms', 4).split('// 使用房间管理器')[0]!;
export const monitor = snippet('monitor', 4).split('// 使用监控器')[0]!;

const secret = 'a secret of more than thirty-two characters';
/** A token of a user's. */
export const tokenOf = (username: string, claims: object = {}): string => jwt.sign({ userId: username.toLowerCase(), username, ...claims }, secret);

export function serve(form: Form, code: string, before = '', after = ''): Promise<Serving> {
  // What CommonJS gives to each file; the snippets look there for pages.
  const folder = form === 'esm' ? 'const __dirname = import.meta.dirname;\n' : '';
  return serveProgram(form, code, { before: folder + before, after, env: { PORT: '0', JWT_SECRET: secret } });
}

/** What a client is answered by a callback. */
export async function ask(client: Client, type: string, content?: unknown): Promise<any> {
  return (await client.request({ type, ...(content === undefined ? {} : { content }), ack: true })).content;
}

/** What a client is told next, of this name. */
export async function told(client: Client, type: string): Promise<any> {
  return (await client.next(type)).content;
}
