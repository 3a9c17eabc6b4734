// A plugin: a named unit of handlers, listeners, checks and figures that can be loaded, used by others, and taken away again.
import { createServer } from 'node:http';
import WebSocketModule, { definePlugin, gracefulShutdown, ModuleError } from 'websocket-module';

/** A shared counter: clients add to it and watch it. */
const counter = ({ limit = 100 } = {}) => definePlugin({
  name: 'counter',
  setup(context) {
    let count = 0;

    context.registerHandler('counter:watch', (message, connection) => {
      context.node.subscribe(connection, 'counter');
      return { count };
    });
    context.registerHandler('counter:add', ({ content }) => {
      if (!Number.isInteger(content.by)) throw new ModuleError('NOT_A_NUMBER', {}, { message: '"by" must be an integer' });
      if (count + content.by > limit) throw new ModuleError('LIMIT_REACHED', { limit }, { message: `the counter ends at ${limit}` });
      count += content.by;
      context.node.publish('counter', { type: 'counter:changed', content: { count } });
      return { count };
    });
    context.health('counter', () => ({ status: count < limit ? 'healthy' : 'degraded', count }));
    context.metrics(() => ({ counter_value: count }));

    // What other plugins get, who say `requires: ['counter']`.
    return { value: () => count };
  },
});

/** Counts who comes, by means of the other plugin. */
const announcer = definePlugin({
  name: 'announcer',
  requires: ['counter'],
  setup(context, { counter }) {
    context.on('connection:added', (connection) => connection.send({ type: 'welcome', content: { count: counter.value() } }));
  },
});

// `curl -X DELETE http://localhost:3001/plugins/counter` takes a plugin away while clients are connected: everything it added
// goes, and nothing else does. While the announcer needs the counter, this is refused with PLUGIN_IN_USE.
const server = createServer(async (request, response) => {
  const [, name] = /^\/plugins\/(.+)$/.exec(request.url) ?? [];
  if (request.method !== 'DELETE' || !name) return response.writeHead(404).end();
  try {
    await wsManager.unload(name);
    response.end(`${name} is gone\n`);
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
