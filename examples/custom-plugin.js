// A server with two plugins of its own, from counter.js. custom-plugin.test.js tests them.
// Run it with `npm run example custom-plugin`.
import { createServer } from 'node:http';
import WebSocketModule, { gracefulShutdown } from 'websocket-module';
import { announcer, counter } from './counter.js';

/** A shared counter: clients add to it and watch it. */
const counter = ({ limit = 100 } = {}) => definePlugin({
  name: 'counter',
  setup(context) {
    let count = 0;

    context.registerHandler('counter:watch', (message, connection) => {
      context.node.subscribe(connection, 'counter');
      return { count };
    });
    context.registerHandler('counter:add', ({ payload }) => {
      const { by } = payload;
      const refuse = (code, message) => { throw new ModuleError(code, { limit }, { message }); };
      if (!Number.isInteger(by)) refuse('NOT_A_NUMBER', '"by" must be an integer');
      if (count + by > limit) refuse('LIMIT_REACHED', `the counter ends at ${limit}`);
      count += by;
      context.node.publish('counter', { type: 'counter:changed', content: { count } });
      return { count };
    });
    context.health('counter', () => ({ status: count < limit ? 'healthy' : 'degraded', count }));
    context.metrics(() => ({ counter_value: count }));

    // The API for plugins with `requires: ['counter']`.
    return { value: () => count };
  },
});

/** Sends the count to each new client, by means of the other plugin. */
const announcer = definePlugin({
  name: 'announcer',
  requires: ['counter'],
  setup(context, { counter }) {
    context.on('connection:added', (connection) => {
      connection.send({ type: 'welcome', content: { count: counter.value() } });
    });
  },
});

// `curl -X DELETE http://localhost:3001/plugins/announcer` unloads a plugin while clients are connected: everything that
// it added goes, and nothing else. While the announcer requires the counter, the counter cannot be unloaded.
// `curl -X DELETE http://localhost:3001/plugins/counter` unloads a plugin while clients are connected: everything that
// it added is undone, and nothing else changes. While the announcer requires the counter, the server answers 409 with
// PLUGIN_IN_USE.
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
