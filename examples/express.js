// WebSockets in an Express application, whose routes reach the connected clients.
// Run it with `npm run example express`, or with `node` after `npm ci`.
import { createServer } from 'node:http';
import express from 'express';
import WebSocketModule, { gracefulShutdown } from 'websocket-module';

const app = express();
const server = createServer(app);

// The manager serves as soon as the server listens. start() is not needed.
const wsManager = WebSocketModule.create({ server, path: '/ws' });

app.get('/api/websocket/health', (req, res) => {
  res.json(wsManager.getHealth());
});

app.get('/api/websocket/metrics', (req, res) => {
  res.json(wsManager.getMetrics());
});

// From an HTTP request to every connected client:
//   curl -X POST -H 'content-type: application/json' -d '{"title":"Lunch"}' http://localhost:3001/api/announcements
app.post('/api/announcements', express.json(), (req, res) => {
  const reached = wsManager.broadcast({ type: 'announcement', content: req.body });
  res.status(202).json({ reached });
});

server.listen(process.env.PORT ?? 3001, () => {
  console.log(`Listening on http://localhost:${server.address().port}`);
});

gracefulShutdown(wsManager, { server });
