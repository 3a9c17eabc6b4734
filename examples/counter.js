// Two plugins. A plugin is a named unit of handlers, listeners, checks and metrics. It can be loaded, required by other
// plugins, and unloaded.
import { defineErrors, definePlugin, ModuleError, validationError } from 'websocket-module';

defineErrors('counter', {
  LIMIT_REACHED: [({ limit }) => `the counter ends at ${limit}`, { expose: true }],
});

/** A shared counter: clients add to it and watch it. */
export const counter = ({ limit = 100 } = {}) => definePlugin({
  name: 'counter',
  setup(context) {
    let count = 0;

    context.registerHandler('counter-watch', (message, connection) => {
      context.node.subscribe(connection, 'counter');
      return { count };
    });
    context.registerHandler('counter-add', ({ payload }) => {
      const by = payload?.by;
      if (!Number.isInteger(by)) throw validationError([{ path: 'by', message: 'must be an integer' }]);
      if (count + by > limit) throw new ModuleError('LIMIT_REACHED', { limit });
      count += by;
      context.node.publish('counter', { type: 'counter-changed', content: { count } });
      return { count };
    });
    context.health('counter', () => ({ status: count < limit ? 'healthy' : 'degraded', count }));
    context.metrics(() => ({ counter_value: count }));

    // The API: plugins with `requires: ['counter']` receive it.
    return { value: () => count };
  },
});

/** Welcomes each client with the value of the counter. It uses the API of the other plugin. */
export const announcer = definePlugin({
  name: 'announcer',
  requires: ['counter'],
  setup(context, { counter: { value } }) {
    context.on('connection:added', (connection) => connection.send({ type: 'welcome', content: { count: value() } }));
  },
});
