import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { packed } from '../support/packed.ts';
import { compile } from '../support/samples.ts';

const esm = `
import { createServer } from 'node:http';
import WebSocketModule, { definePlugin, ModuleError, type Connection, type Message } from 'websocket-module';
import { auth, AuthHandler } from 'websocket-module/handlers/AuthHandler';
import endpoints from 'websocket-module/plugins/endpoints';
import monitoring from 'websocket-module/plugins/monitoring';
import { pluginSuite, start, type Client } from 'websocket-module/testing';

const manager = WebSocketModule.create({ server: createServer(), path: '/ws' });
manager.use(monitoring({ alertThresholds: { errorRate: 0.05 } }));
manager.use({ type: 'message', handler: (message, connection, next) => connection.id && message.type && next() });
manager.use(definePlugin({ name: 'mine', setup() { throw new ModuleError('INTERNAL_ERROR'); } }));
manager.registerHandler('text', (message: Message, connection: Connection) => (
  { type: 'text', content: [message.id, connection.id] }
));
manager.on('connection:removed', (connection, { code }) => [connection.sessionId, code.toFixed()]);
export const handler: AuthHandler = new AuthHandler({ jwtSecret: 'x'.repeat(32) });

// A variable of the environment may be undefined.
manager.use(endpoints({ token: process.env.METRICS_TOKEN }));
manager.use(auth({ jwtSecret: process.env.JWT_SECRET }));
WebSocketModule.create({ server: createServer(), path: undefined, heartbeat: { interval: undefined } });

// The result of a callback does not matter.
manager.use(definePlugin({
  name: 'callbacks',
  setup(context) {
    context.every(1_000, () => context.node.publish('clock', { type: 'tick' }));
    context.http('/page', (request, response) => response.end(request.url));
    context.onUnload(() => [1].pop());
  },
}));
// Node gives every request of a handshake an address.
manager.use({ type: 'connection', handler: (ws, request) => ({ page: request.url.length }) });

export const client: Promise<Client> = start({ use: [monitoring()] }).then(
  ({ connect }) => connect({ headers: { cookie: 'a=b' } }),
);
pluginSuite('monitoring', () => monitoring(), { exercise: (started, other) => other.request({ type: 'ping' }) });

// @ts-expect-error a path is a string
WebSocketModule.create({ server: createServer(), path: 1 });
`;

const cjs = `
import { createServer } from 'node:http';
import WebSocketModule = require('websocket-module');
import AuthHandler = require('websocket-module/handlers/AuthHandler');
import monitoring = require('websocket-module/plugins/monitoring');

const manager = WebSocketModule.create({ server: createServer() });
manager.use(monitoring());
export = new AuthHandler({ jwtSecret: 'x'.repeat(32) });
`;

describe('the types of the package', () => {
  it('serve a TypeScript project of either module system, whose declarations are all checked', async function () {
    this.timeout(300_000);
    const { dir } = await packed();
    const folder = mkdtempSync(join(dir, 'typed-'));
    writeFileSync(join(folder, 'esm.mts'), esm);
    writeFileSync(join(folder, 'cjs.cts'), cjs);

    const output = await compile(folder, { module: 'nodenext', skipLibCheck: false });

    expect(output).to.equal('');
  });
});
