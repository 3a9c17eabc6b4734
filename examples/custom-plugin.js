// A server with two plugins of its own, from counter.js. custom-plugin.test.js tests them.
// Run it with `npm run example custom-plugin`, or with `node` after `npm ci`.
import { createServer } from 'node:http';
import WebSocketModule, { gracefulShutdown } from 'websocket-module';
import { announcer, counter } from './counter.js';

// `curl -X DELETE http://localhost:3001/plugins/announcer` unloads a plugin while clients are connected. Everything
// that it added is undone, and nothing else changes. While the announcer requires the counter, a request to unload the
// counter is answered with 409 and PLUGIN_IN_USE.
const server = createServer(async (request, response) => {
  const [, name] = /^\/plugins\/(.+)$/.exec(request.url) ?? [];
  if (request.method !== 'DELETE' || !name) return response.writeHead(404).end();
  try {
    await wsManager.unload(name);
    response.end(`${name} is unloaded\n`);
  } catch (error) {
    response.writeHead(409).end(`${error.code}: ${error.message}\n`);
  }
});

const wsManager = WebSocketModule.create({ server });
wsManager.use([counter({ limit: 10 }), announcer]);

server.listen(process.env.PORT ?? 3001, () => {
  console.log(`Listening on http://localhost:${server.address().port}`);
});

gracefulShutdown(wsManager, { server });
