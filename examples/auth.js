// Who is there: POST /login gives a token, with which a client connects; some messages are for some users only.
//   curl -X POST -d '{"name":"ada","password":"correct horse"}' http://localhost:3001/login
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import jwt from 'jsonwebtoken';
import WebSocketModule, { gracefulShutdown } from 'websocket-module';
import { auth, requireRole } from 'websocket-module/handlers/AuthHandler';

// Of 32 bytes or more, and the same for every process: keep it where your other secrets are.
const jwtSecret = process.env.JWT_SECRET ?? randomBytes(32);

// Stands for your database, where passwords are hashed.
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

// The token comes with the upgrade, as `?token=` or in the header Authorization; or within ten seconds as a first message
// { type: 'auth', token }, which browsers prefer, because addresses end up in logs.
wsManager.use(auth({ jwtSecret, requireAuth: true, allowAnonymous: true }));
wsManager.use(requireRole('admin', { types: ['announce', 'kick'] }));

wsManager.registerHandler('who', (message, { user }) => ({ id: user.id, roles: user.roles }));
wsManager.registerHandler('announce', ({ content }) => ({ reached: wsManager.broadcast({ type: 'announcement', content }) }));
// Its connections are closed, and its tokens are refused from now on.
wsManager.registerHandler('kick', ({ content }) => ({ closed: wsManager.api('auth').revoke(content.user) }));

server.listen(process.env.PORT ?? 3001, () => {
  console.log(`Listening on http://localhost:${server.address().port}`);
});

gracefulShutdown(wsManager, { server });
