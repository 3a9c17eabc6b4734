import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { packed } from '../support/packed.ts';
import { root } from '../structure/sources.ts';

const execute = promisify(execFile);

const esm = `
import { createServer } from 'node:http';
import WebSocketModule, { definePlugin, ModuleError, type Connection, type Message } from 'websocket-module';
import { AuthHandler } from 'websocket-module/handlers/AuthHandler';
import monitoring from 'websocket-module/plugins/monitoring';
import { pluginSuite, start, type Client } from 'websocket-module/testing';

const manager = WebSocketModule.create({ server: createServer(), path: '/ws' });
manager.use(monitoring({ alertThresholds: { errorRate: 0.05 } }));
manager.use({ type: 'message', handler: (message, connection, next) => connection.id && message.type && next() });
manager.use(definePlugin({ name: 'mine', setup() { throw new ModuleError('INTERNAL_ERROR'); } }));
manager.registerHandler('text', (message: Message, connection: Connection) => ({ type: 'text', content: [message.id, connection.id] }));
manager.on('connection:removed', (connection, { code }) => [connection.sessionId, code.toFixed()]);
export const auth: AuthHandler = new AuthHandler({ jwtSecret: 'x'.repeat(32) });

export const client: Promise<Client> = start({ use: [monitoring()] }).then(({ connect }) => connect({ headers: { cookie: 'a=b' } }));
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
    this.timeout(120_000);
    const { dir } = await packed();
    const folder = join(dir, 'typed');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'esm.mts'), esm);
    writeFileSync(join(folder, 'cjs.cts'), cjs);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
      compilerOptions: { module: 'nodenext', target: 'es2023', types: ['node'], strict: true, noEmit: true, skipLibCheck: false },
      include: ['*.mts', '*.cts'],
    }));

    const complaint = await execute(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder])
      .then(() => '', (error: unknown) => (error as { stdout: string }).stdout);

    expect(complaint).to.equal('');
  });
});
