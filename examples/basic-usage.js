// An echo server with a page to try it from. Run it with `npm start`, or with `node` after `npm ci`. Then open
// the address that it prints.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import WebSocketModule, { gracefulShutdown } from 'websocket-module';

const page = readFileSync(new URL('public/index.html', import.meta.url));

// Stands for your http server. It still answers its own requests.
const server = createServer((request, response) => {
  const json = (body) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  if (request.url === '/') response.setHeader('content-type', 'text/html; charset=utf-8').end(page);
  else if (request.url === '/api/websocket/health') json(wsManager.getHealth());
  else if (request.url === '/api/websocket/metrics') json(wsManager.getMetrics());
  else response.writeHead(404).end();
});

const wsManager = WebSocketModule.create({
  server,
  maxConnections: 1000,
  heartbeat: { interval: 30000, timeout: 5000 },
});

// The page loads the client from `/websocket-client.js`.
wsManager.use('endpoints', { client: true, paths: false });

// What a handler returns is the reply.
wsManager.registerHandler('text', async (message) => ({
  type: 'text',
  content: { text: `Echo: ${message.payload.text}`, timestamp: new Date().toISOString() },
}));

server.on('error', (error) => {
  const isTaken = error.code === 'EADDRINUSE';
  console.error(isTaken ? `Port ${error.port} is taken; choose another one: PORT=3002 npm start` : error);
  process.exit(1);
});

server.listen(process.env.PORT ?? 3001, async () => {
  await wsManager.start();
  const { port } = server.address();
  console.log(`Open http://localhost:${port} in a browser, or connect to ws://localhost:${port}/ws`);
});

// On Ctrl+C or SIGTERM: lets handlers finish, closes the clients with a time to reconnect, and ends the process.
gracefulShutdown(wsManager, { server });
