// Authentication: POST /login returns a token, and a client connects with it. Some messages need a role.
// Run it with `npm run example auth`, or with `node` after `npm ci`. Then log in:
//   curl -X POST -d '{"name":"ada","password":"correct horse"}' http://localhost:3001/login
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import jwt from 'jsonwebtoken';
import WebSocketModule, { gracefulShutdown } from 'websocket-module';
import { auth, requireRole } from 'websocket-module/handlers/AuthHandler';

// 32 bytes or more, the same for every process: keep it with your other secrets.
const jwtSecret = process.env.JWT_SECRET ?? randomBytes(32);

// Stands for your database. Passwords must be hashed there.
const users = new Map([
  ['ada', { password: 'correct horse', roles: ['admin'] }],
  ['bob', { password: 'battery staple', roles: [] }],
]);

const server = createServer(async (request, response) => {
  if (request.method !== 'POST' || request.url !== '/login') return response.writeHead(404).end();
  const { name, password } = await json(request).catch(() => ({}));
  const user = users.get(name);
  if (!user || user.password !== password) return response.writeHead(401).end();
  const token = jwt.sign({ sub: name, roles: user.roles }, jwtSecret, { expiresIn: '15m' });
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ token }));
});

const wsManager = WebSocketModule.create({ server });

// A client sends the token with the upgrade, as `?token=` or in the header Authorization, or within ten seconds in a
// message { type: 'auth', token }. The message is better for browsers, because proxies log URLs.
wsManager.use(auth({ jwtSecret, requireAuth: true, allowAnonymous: true }));
wsManager.use(requireRole('admin', { types: ['announce', 'kick'] }));

wsManager.registerHandler('who', (message, { user }) => ({ id: user.id, roles: user.roles }));
wsManager.registerHandler('announce', ({ payload }) => ({
  reached: wsManager.broadcast({ type: 'announcement', content: payload }),
}));
// Closes the user's connections, and refuses their tokens from now on.
wsManager.registerHandler('kick', ({ payload }) => ({ closed: wsManager.api('auth').revoke(payload.user) }));

server.listen(process.env.PORT ?? 3001, () => {
  console.log(`Listening on http://localhost:${server.address().port}`);
});

gracefulShutdown(wsManager, { server });
