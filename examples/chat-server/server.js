// A chat: sign-in, rooms with a history, online users, private messages, moderation. Run it with
// `npm run example:chat`, or with `node` after `npm ci`, and open the address in two browsers. With REDIS_URL,
// several processes are one chat: see cluster.js.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import express from 'express';
import rateLimit from 'express-rate-limit';
import jwt from 'jsonwebtoken';
import WebSocketModule, { gracefulShutdown, ModuleError } from 'websocket-module';
import { LmdbJournal } from 'websocket-module/adapters/lmdb';
import { RedisAdapter } from 'websocket-module/adapters/redis';
import { signIn } from './users.js';

const {
  PORT = 3001, JWT_SECRET, REDIS_URL, METRICS_TOKEN, BANNED_WORDS = 'spam,abuse', SESSION_TIME = '8h',
  HISTORY_FILE = 'data/chat-history.mdb',
} = process.env;
// Without JWT_SECRET, all users must sign in again after a restart. Several processes need the same one.
const jwtSecret = JWT_SECRET || randomBytes(32);

// Over HTTP: the page, POST /api/auth, which returns a token, and POST /api/refresh, which returns a newer one.

const app = express();
const server = createServer(app);

app.disable('x-powered-by');
app.use((request, response, next) => {
  response.set({
    'content-security-policy':
      'default-src \'self\'; img-src data:; base-uri \'none\'; form-action \'none\'; frame-ancestors \'none\'',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  });
  next();
});
app.use(express.static(fileURLToPath(new URL('public', import.meta.url))));
// Limits attempts per minute and address, against guessing: to check a password takes a tenth of a second.
const tries = rateLimit({ windowMs: 60_000, limit: 20, message: { error: 'Too many tries. Wait a minute.' } });
const tokenFor = ({ id, username }) =>
  jwt.sign({ sub: id, username, roles: ['user'] }, jwtSecret, { expiresIn: SESSION_TIME });
app.post('/api/auth', tries, express.json({ limit: '1kb' }), async (request, response) => {
  const user = await signIn(request.body?.username, request.body?.password);
  response.json({ token: tokenFor(user), user });
});
app.post('/api/refresh', rateLimit({ windowMs: 60_000, limit: 120 }), (request, response) => {
  const [, token] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
  try {
    const { sub, username } = jwt.verify(token, jwtSecret, { algorithms: ['HS256'] });
    response.json({ token: tokenFor({ id: sub, username }) });
  } catch {
    // The token is missing, not from this server, or too old.
    response.status(401).json({ error: 'Your session is over. Please sign in again.' });
  }
});
// Express recognizes an error handler by its four parameters.
app.use((error, request, response, _next) => {
  if (!error.expose) console.error(error);
  const [status, text] = error.expose ? [error.status, error.message] : [500, 'The server failed.'];
  response.status(status).json({ error: text });
});

// Over WebSocket: the plugins. Of the default handlers, only `ping` is needed here.

const wsManager = WebSocketModule.create({
  server,
  path: '/chat',
  maxPayload: 16_384,
  handlers: ['ping'],
  adapter: REDIS_URL ? new RedisAdapter({ url: REDIS_URL, keyPrefix: 'chat:' }) : undefined,
});
wsManager
  .use('cluster')
  .use('connection-limits', { maxPerIP: 50, maxPerUser: 10 })
  // Browsers cannot send headers, and proxies log URLs. So clients send the token in a message { type: 'auth', token }.
  .use('auth', { jwtSecret, requireAuth: true, allowAnonymous: true, query: false })
  .use('rate-limit', {
    maxPerSecond: 10, burstSize: 40, by: ['connection', 'user'], types: { 'private-message': { maxPerMinute: 30 } },
  })
  .use('validation', {
    maxContentLength: 4_000,
    allowedTypes: [
      'auth', 'auth:refresh', 'ping', 'join-room', 'leave-room', 'create-room', 'get-rooms', 'get-room-info',
      'chat-message', 'typing', 'get-online-users', 'private-message', 'message-delivered', 'message-read',
      'private-typing', 'room-kick', 'room-ban', 'room-unban', 'room-mute', 'room-unmute', 'get-history', 'recover',
    ],
  })
  // Each room keeps its last 200 messages. 200 rooms take 60 MB at most.
  .use('rooms', {
    maxRooms: 200,
    createOnJoin: true,
    defaults: { message: { historySize: 200, maxLength: 1_000, rateLimitPerMinute: 60 } },
  })
  .use('moderation', {
    bannedWords: BANNED_WORDS.split(',').filter(Boolean), action: 'mask', maxWarnings: 3, muteDuration: 600_000,
  })
  .use('presence', { audience: 'everyone' })
  .use('private-messages', { maxLength: 1_000 })
  .use('monitoring')
  .use('long-polling')
  // The page loads the client from this server. Metrics are for requests from this machine, or, if METRICS_TOKEN is
  // set, for requests with that token.
  .use('endpoints', {
    client: true, token: METRICS_TOKEN || undefined,
    paths: { health: '/health', metrics: '/stats', prometheus: '/metrics' },
  });

// Clients page through the messages of rooms, and get what they missed, also after a crash of the server. The messages
// are in a file, or with REDIS_URL in Redis, where all processes share them.
const journal = REDIS_URL ? undefined : await LmdbJournal.open({ path: HISTORY_FILE });
wsManager.use('history', { journal }).use('recovery');

await wsManager.ready();
const rooms = wsManager.api('rooms');
await rooms.ensure('lobby', { behavior: { welcomeMessage: 'Welcome to the lobby. Be kind.' } });

wsManager.on('connection:added', (connection) => {
  const serverTime = new Date().toISOString();
  connection.send({ type: 'welcome', content: { message: 'Welcome to the chat. Please authenticate.', serverTime } });
});

// Accepts only texts. The sender receives the message, too, on all devices.
wsManager.registerHandler('chat-message', async ({ payload }, { id: connectionId }) => {
  const { roomId, content: text } = { ...payload };
  if (typeof roomId !== 'string' || typeof text !== 'string' || text.trim() === '') {
    throw new ModuleError('VALIDATION_FAILED', { issues: [{ path: '', message: 'roomId and content must be texts' }] });
  }
  const message = await rooms.send(roomId, text, { connectionId, type: 'chat-message' });
  return { type: 'message-sent', content: { roomId, messageId: message.id } };
});

// Sends the last messages of a room to a user that joins.
wsManager.on('message:sent', ({ message: { type, content }, target: { connection } }) => {
  if (!connection || type !== 'room-joined') return;
  const { roomId } = content;
  connection.send({ type: 'message-history', content: { roomId, messages: rooms.get(roomId)?.messages ?? [] } });
});

// Announces public rooms to all clients.
for (const event of ['created', 'deleted']) {
  wsManager.on(`room:${event}`, ({ room: { id, name, isPrivate } }) => {
    if (!isPrivate) wsManager.broadcast({ type: `room-${event}`, content: { roomId: id, name } });
  });
}

// On SIGTERM: each client is closed with a time to reconnect.
wsManager.on('stopping', () => {
  const message = 'The server restarts. You will be reconnected in a moment.';
  wsManager.broadcast({ type: 'server-shutdown', content: { message } });
});
gracefulShutdown(wsManager, { server });

server.listen(PORT, () => {
  const node = REDIS_URL ? ` (node ${wsManager.nodeId})` : '';
  console.log(`Open http://localhost:${server.address().port} in two browsers${node}`);
});
