import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import express from 'express';
import fastify from 'fastify';
import { endpoints, type EndpointsOptions } from '../../plugins/endpoints.ts';
import { monitoring } from '../../plugins/monitoring.ts';
import { definePlugin, ModuleError, WebSocketModule, type HealthStatus, type Usable } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { close, start, type Manager } from '../support/start.ts';
import { tool } from '../support/tools.ts';

const { healthHandler, metricsHandler, prometheusHandler } = endpoints;
// It has the types of Express 5: the part that is used here is the same.
const express4 = createRequire(import.meta.url)('express4') as typeof express;

const HEALTH = '/api/websocket/health';
const METRICS = '/api/websocket/metrics';
const PROMETHEUS = '/api/websocket/metrics/prometheus';
const QUIET = { debug() {}, info() {}, warn() {}, error() {} };

interface Reply { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string; readonly json: any }

async function ask(server: Server, path: string, { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {}): Promise<Reply> {
  const { port } = server.address() as AddressInfo;
  const asked = httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false }).end();
  const [response] = await once(asked, 'response') as [IncomingMessage];
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += chunk as string;
  const isJson = response.headers['content-type']?.startsWith('application/json') && body !== '';
  return { status: response.statusCode!, headers: response.headers, body, json: isJson ? JSON.parse(body) : undefined };
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

async function listen(server: Server): Promise<Server> {
  cleanup(() => close(server));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function managerOn(server: Server, use: readonly Usable[] = [], path = '/ws'): Manager {
  const manager = WebSocketModule.create({ server, path, logger: QUIET, handlers: [] }).use(use);
  cleanup(() => manager.stop());
  return manager;
}

/** A server with the endpoints, and the errors that are reported. */
async function served(options?: EndpointsOptions, use: readonly Usable[] = []) {
  const started = await start({ logger: QUIET, use: [endpoints(options), ...use] });
  const errors: Error[] = [];
  started.manager.on('error', (error) => errors.push(error));
  return { ...started, errors };
}

const check = (status: HealthStatus, details = {}) =>
  definePlugin({ name: 'checked', setup: (context) => context.health('checked', () => ({ status, ...details })) });

describe('endpoints', () => {
  it('serve health, metrics and Prometheus when loaded by name', async () => {
    const { server, manager } = await start({ plugins: ['endpoints'] });

    const [health, metrics, prometheus] = await Promise.all([HEALTH, METRICS, PROMETHEUS].map((path) => ask(server, path)));

    expect([health!.status, metrics!.status, prometheus!.status]).to.deep.equal([200, 200, 200]);
    expect(health!.json).to.have.all.keys(Object.keys(manager.getHealth()));
    expect(metrics!.json).to.have.all.keys(Object.keys(manager.getMetrics()));
    expect(prometheus!.body).to.match(/^websocket_connections 0$/m).and.match(/^process_resident_memory_bytes \d{7,}$/m);
    expect([health!.headers['content-type'], metrics!.headers['content-type'], prometheus!.headers['content-type']]).to.deep.equal([
      'application/json; charset=utf-8', 'application/json; charset=utf-8', 'text/plain; version=0.0.4; charset=utf-8',
    ]);
    for (const { headers } of [health!, metrics!, prometheus!]) {
      expect(headers).to.include({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    }
  });

  for (const [status, code] of [['healthy', 200], ['degraded', 200], ['unhealthy', 503]] as const) {
    it(`answer ${code} to health when it is ${status}`, async () => {
      const { server } = await served({}, [check(status)]);

      const reply = await ask(server, HEALTH);

      expect([reply.status, reply.json.status]).to.deep.equal([code, status]);
    });
  }

  it('answer a HEAD like a GET, without the body', async () => {
    const { server } = await served();

    for (const path of [HEALTH, METRICS, PROMETHEUS]) {
      const head = await ask(server, path, { method: 'HEAD' });
      const { status, headers } = await ask(server, path);

      expect([head.status, head.headers['content-type'], head.body]).to.deep.equal([status, headers['content-type'], '']);
      expect(Number(head.headers['content-length'])).to.be.above(10);
    }
  });

  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    it(`answer a ${method} with 405, and what is allowed`, async () => {
      const { server } = await served({ token: 'secret' });

      const reply = await ask(server, METRICS, { method });

      expect([reply.status, reply.headers.allow, reply.json.code]).to.deep.equal([405, 'GET, HEAD', 'METHOD_NOT_ALLOWED']);
    });
  }

  it('are found by the path alone, whatever the query', async () => {
    const { server } = await served();
    server.on('request', (_, response) => void response.writeHead(418).end());

    const statuses = await Promise.all([`${HEALTH}?a=b`, `${HEALTH}/`, `${HEALTH}x`, '/', '/ws'].map(async (path) => (await ask(server, path)).status));

    expect(statuses).to.deep.equal([200, 418, 418, 418, 418]);
  });

  it('are on the paths of the options, and on no other', async () => {
    const { server } = await served({ paths: { health: '/healthz', metrics: false }, prefix: 'chat:' });
    server.on('request', (_, response) => void response.writeHead(418).end());

    const replies = await Promise.all(['/healthz', HEALTH, METRICS, PROMETHEUS].map((path) => ask(server, path)));

    expect(replies.map(({ status }) => status)).to.deep.equal([200, 418, 418, 200]);
    expect(replies[3]!.body).to.match(/^chat:connections 0$/m).and.not.match(/websocket_/);
  });

  it('refuse a path that another plugin serves, and leave nothing behind', async () => {
    const { server, manager } = await start({ logger: QUIET });

    manager.use(endpoints({ paths: { health: '/same', metrics: '/same' } }));

    const error = await manager.ready().then(() => undefined, (thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(ModuleError).with.property('code', 'DUPLICATE');
    await manager.unload('endpoints');
    await manager.stop();
    expect(Object.hasOwn(server, 'emit')).to.be.false;
  });

  it('write a bigint of a check as a string', async () => {
    const { server } = await served({}, [check('healthy', { rows: 2n ** 70n })]);

    const reply = await ask(server, HEALTH);

    expect(reply.json.checks.checked.rows).to.equal(String(2n ** 70n));
  });

  it('answer with 500 and report it when the result of a check cannot be written as JSON', async () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const { server, errors } = await served({}, [check('healthy', circle)]);

    const reply = await ask(server, HEALTH);

    expect([reply.status, reply.body]).to.deep.equal([500, '']);
    expect(errors[0]?.message).to.match(/circular/);
  });

  it('leave out the metrics of a collector that throws, and report the health of checks that hang', async () => {
    const broken = definePlugin({
      name: 'broken',
      setup(context) {
        context.metrics(() => { throw new Error('a collector'); });
        context.health('hangs', () => new Promise(() => {}));
        context.health('rejects', () => Promise.reject(new Error('a check')));
      },
    });
    const working = definePlugin({ name: 'working', setup: (context) => context.metrics(() => ({ fine: 1 })) });
    const { server, errors } = await served({}, [broken, working]);

    const [health, metrics, prometheus] = await Promise.all([HEALTH, METRICS, PROMETHEUS].map((path) => ask(server, path)));

    expect([health!.status, health!.json.checks.rejects.error]).to.deep.equal([503, 'a check']);
    expect([metrics!.status, metrics!.json.plugins]).to.deep.equal([200, { working: { fine: 1 } }]);
    expect(prometheus!.body).to.match(/^websocket_fine 1$/m);
    expect(errors.map(({ message }) => message)).to.deep.equal(['a collector', 'a collector']);
  });

  describe('for Prometheus', () => {
    it('are accepted by promtool, with monitoring under load', async function () {
      this.timeout(60_000);
      const promtool = tool('promtool');
      const { server, manager, connect } = await served({}, [monitoring({ alertThresholds: { connectionCount: 1 } })]);
      const client = await connect();
      manager.registerHandler('fail', () => { throw new ModuleError('NO_LUCK'); });
      await Promise.all(['fail', 'none', 'fail'].map((type) => client.request({ type })));
      await (await connect()).close(4321);

      const { body } = await ask(server, PROMETHEUS);
      const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], { input: body, encoding: 'utf8' });

      expect([status, stdout, stderr]).to.deep.equal([0, '', '']);
      expect(body).to.match(/^websocket_errors_total\{code="NO_LUCK"\} 2$/m);
      expect(body).to.match(/^websocket_message_duration_seconds_count 3$/m).and.match(/^websocket_message_duration_seconds_bucket\{le="\+Inf"\} 3$/m);
    });

    it('are accepted by promtool when nothing has happened yet', async function () {
      this.timeout(60_000);
      const promtool = tool('promtool');
      const { server } = await served();

      const { body } = await ask(server, PROMETHEUS);
      const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], { input: body, encoding: 'utf8' });

      expect([status, stdout, stderr]).to.deep.equal([0, '', '']);
    });
  });

  describe('with a token', () => {
    const refused: readonly (readonly [what: string, headers: Record<string, string>, challenge: string])[] = [
      ['none', {}, 'Bearer'],
      ['another one', { authorization: 'Bearer Secret-1' }, 'Bearer error="invalid_token"'],
      ['a part of it', { authorization: 'Bearer secret-' }, 'Bearer error="invalid_token"'],
      ['more than it', { authorization: 'Bearer secret-12' }, 'Bearer error="invalid_token"'],
      ['an empty one', { authorization: 'Bearer ' }, 'Bearer'],
      ['it by another scheme', { authorization: 'Basic secret-1' }, 'Bearer'],
      ['it without a scheme', { authorization: 'secret-1' }, 'Bearer'],
    ];

    for (const [what, headers, challenge] of refused) {
      it(`answer 401 to ${what}`, async () => {
        const { server } = await served({ token: 'secret-1' });

        const replies = await Promise.all([HEALTH, METRICS, PROMETHEUS].map((path) => ask(server, path, { headers })));

        for (const reply of replies) {
          expect([reply.status, reply.headers['www-authenticate'], reply.headers['cache-control']]).to.deep.equal([401, challenge, 'no-store']);
          expect(reply.json).to.have.all.keys('code', 'message');
        }
      });
    }

    it('answer requests that carry it', async () => {
      const { server } = await served({ token: 'secret-1' });

      const replies = await Promise.all([HEALTH, METRICS, PROMETHEUS].map((path) => ask(server, path, bearer('secret-1'))));
      const lower = await ask(server, HEALTH, { headers: { authorization: 'bearer  secret-1' } });

      expect([...replies, lower].map(({ status }) => status)).to.deep.equal([200, 200, 200, 200]);
    });

    it('ignore it in the query', async () => {
      const { server } = await served({ token: 'secret-1' });

      const reply = await ask(server, `${METRICS}?token=secret-1&access_token=secret-1`);

      expect(reply.status).to.equal(401);
    });

    it('give requests without it only the status, when health is open', async () => {
      const { server } = await served({ token: 'secret-1', open: 'health' }, [check('unhealthy', { host: 'db-1.internal' })]);

      const [stranger, friend, metrics] = await Promise.all([ask(server, HEALTH), ask(server, HEALTH, bearer('secret-1')), ask(server, METRICS)]);

      expect([stranger.status, stranger.json]).to.deep.equal([503, { status: 'unhealthy' }]);
      expect(friend.json.checks.checked.host).to.equal('db-1.internal');
      expect(metrics.status).to.equal(401);
    });
  });

  describe('without a token', () => {
    // What a proxy on the same machine adds to the requests of others.
    const forwarded = { headers: { 'x-forwarded-for': '203.0.113.7' } };

    it('give requests from other machines only the status', async () => {
      const { server } = await served();

      const [health, metrics, prometheus] = await Promise.all([HEALTH, METRICS, PROMETHEUS].map((path) => ask(server, path, forwarded)));

      expect([health!.status, health!.json]).to.deep.equal([200, { status: 'healthy' }]);
      expect([metrics!.status, metrics!.json.code]).to.deep.equal([403, 'FORBIDDEN']);
      expect(prometheus!.status).to.equal(403);
    });

    it('give them nothing or everything, as the option says', async () => {
      const closed = await served({ open: false });
      const open = await served({ open: true });

      const replies = await Promise.all([closed, open].flatMap(({ server }) => [HEALTH, METRICS].map((path) => ask(server, path, forwarded))));

      expect(replies.map(({ status }) => status)).to.deep.equal([403, 403, 200, 200]);
    });
  });

  describe('on the server of', () => {
    type Make = (when: 'before' | 'after', use: () => Promise<unknown>, server: Server) => Promise<Server>;
    const attach = async (app: (request: any, response: any) => void, ...[when, use, server]: Parameters<Make>): Promise<Server> => {
      if (when === 'before') server.on('request', app);
      await use();
      if (when === 'after') server.on('request', app);
      return listen(server);
    };
    const expressApp = (make: typeof express) => make().get('/app', (_, response) => void response.send('app')).use((_, response) => void response.status(418).end());
    const frameworks: Record<string, Make> = {
      'bare http': (when, use, server) => attach((request, response) => response.writeHead(request.url === '/app' ? 200 : 418).end('app'), when, use, server),
      'Express 4': (when, use, server) => attach(expressApp(express4), when, use, server),
      'Express 5': (when, use, server) => attach(expressApp(express), when, use, server),
      'Fastify 5': async (when, use, server) => {
        let listener: (request: any, response: any) => void = () => {};
        const app = fastify({ serverFactory: (handler) => ((listener = handler), server) });
        app.get('/app', () => 'app');
        app.setNotFoundHandler((_, reply) => reply.code(418).send());
        await app.ready();
        return attach(listener, when, use, server);
      },
    };

    for (const [name, make] of Object.entries(frameworks)) {
      for (const when of ['before', 'after'] as const) {
        it(`${name}, whose listener was added ${when}, they leave it its own paths, and theirs after an unload`, async () => {
          const server = createServer();
          let manager!: Manager;
          await make(when, async () => {
            manager = managerOn(server, [endpoints()]);
            await manager.ready();
          }, server);

          const loaded = await Promise.all([HEALTH, METRICS, PROMETHEUS, '/app', '/none'].map((path) => ask(server, path)));
          await manager.unload('endpoints');
          const unloaded = await Promise.all([HEALTH, '/app', '/none'].map((path) => ask(server, path)));

          expect(loaded.map(({ status }) => status)).to.deep.equal([200, 200, 200, 200, 418]);
          expect(unloaded.map(({ status }) => status)).to.deep.equal([418, 200, 418]);
          expect(unloaded[1]!.body).to.equal('app');
          await manager.stop();
          expect(Object.hasOwn(server, 'emit')).to.be.false;
        });
      }
    }

    it('two managers, each has its own, and one is unloaded without the other', async () => {
      const server = await listen(createServer((_, response) => void response.writeHead(418).end()));
      const chat = managerOn(server, [endpoints({ paths: { health: '/chat/health', metrics: '/chat/metrics', prometheus: false } })], '/chat');
      const game = managerOn(server, [endpoints({ paths: { health: '/game/health', metrics: '/game/metrics', prometheus: false } }), check('unhealthy')], '/game');
      await Promise.all([chat.ready(), game.ready()]);

      const both = await Promise.all(['/chat/health', '/game/health'].map(async (path) => (await ask(server, path)).status));
      await chat.unload('endpoints');
      const one = await Promise.all(['/chat/health', '/game/health'].map(async (path) => (await ask(server, path)).status));
      await game.stop();
      const none = await Promise.all(['/chat/health', '/game/health'].map(async (path) => (await ask(server, path)).status));

      expect([both, one, none]).to.deep.equal([[200, 503], [418, 503], [418, 418]]);
      await chat.stop();
      expect(Object.hasOwn(server, 'emit')).to.be.false;
    });

    it('two managers, the second cannot take the paths of the first', async () => {
      const server = await listen(createServer());
      const first = managerOn(server, [endpoints()]);
      await first.ready();
      const second = managerOn(server, [endpoints()], '/other');

      const error = await second.ready().then(() => undefined, (thrown: unknown) => thrown);

      expect(error).to.be.instanceOf(ModuleError).with.property('code', 'DUPLICATE');
      expect((await ask(server, HEALTH)).status).to.equal(200);
      await second.unload('endpoints');
    });
  });

  describe('their plain handlers', () => {
    const token = 'secret-1';
    const routes = (manager: Manager) => ({
      '/health': healthHandler(manager), '/metrics': metricsHandler(manager), '/prometheus': prometheusHandler(manager), '/guarded': metricsHandler(manager, { token }),
    });
    const expressRoutes = (make: typeof express) => (server: Server, manager: Manager) => {
      const app = make();
      for (const [path, handler] of Object.entries(routes(manager))) app.get(path, handler);
      // The form that the document uses.
      app.get('/api/websocket/health', (_, response) => void response.json(manager.getHealth()));
      app.all('/all', healthHandler(manager));
      server.on('request', app);
    };
    const frameworks: Record<string, (server: Server, manager: Manager) => unknown> = {
      'Express 4': expressRoutes(express4),
      'Express 5': expressRoutes(express),
      'Fastify 5': async (server, manager) => {
        const app = fastify({ serverFactory: (handler) => server.on('request', handler) });
        for (const [path, handler] of Object.entries(routes(manager))) app.get(path, handler);
        app.get('/api/websocket/health', () => manager.getHealth());
        app.all('/all', healthHandler(manager));
        await app.ready();
      },
      'bare http': (server, manager) => {
        const table = new Map(Object.entries({ ...routes(manager), '/all': healthHandler(manager), '/api/websocket/health': healthHandler(manager) }));
        server.on('request', (request, response) => table.get(request.url!)!(request, response));
      },
    };

    for (const [name, mount] of Object.entries(frameworks)) {
      it(`fit ${name}`, async () => {
        const server = createServer();
        const manager = managerOn(server, [endpoints({ paths: false, prefix: 'app_' }), check('unhealthy')]);
        await mount(server, manager);
        await listen(server);
        await manager.ready();

        const replies = await Promise.all(['/health', '/metrics', '/prometheus', '/guarded', '/api/websocket/health'].map((path) => ask(server, path)));
        const friend = await ask(server, '/guarded', bearer(token));
        const post = await ask(server, '/all', { method: 'POST' });
        const head = await ask(server, '/health', { method: 'HEAD' });

        const [health, metrics, prometheus, guarded, own] = replies as [Reply, Reply, Reply, Reply, Reply];
        expect(replies.map(({ status }) => status)).to.deep.equal([503, 200, 200, 401, name === 'bare http' ? 503 : 200]);
        expect(health.json).to.have.all.keys(Object.keys(manager.getHealth()));
        expect(own.json).to.have.all.keys(Object.keys(manager.getHealth()));
        expect(metrics.json).to.have.all.keys(Object.keys(manager.getMetrics()));
        expect(prometheus.headers['content-type']).to.equal('text/plain; version=0.0.4; charset=utf-8');
        expect(prometheus.body).to.match(/^app_connections 0$/m);
        expect(guarded.headers['www-authenticate']).to.equal('Bearer');
        for (const { headers } of [health, metrics, prometheus, guarded]) expect(headers['cache-control']).to.equal('no-store');
        expect(friend.status).to.equal(200);
        expect([post.status, post.headers.allow]).to.deep.equal([405, 'GET, HEAD']);
        expect([head.status, head.body]).to.deep.equal([503, '']);
      });
    }

    it('say what is missing when the plugin is not loaded', async () => {
      const server = createServer();
      const manager = managerOn(server);
      const handler = prometheusHandler(manager);
      server.on('request', handler);
      await listen(server);

      const reply = await ask(server, '/');

      expect(reply.status).to.equal(503);
      expect(reply.json.message).to.include('manager.use(\'endpoints\', { paths: false })');
    });

    it('affect neither the process nor the request when a check does not answer', async () => {
      const circle: Record<string, unknown> = {};
      circle['self'] = circle;
      const server = createServer();
      const manager = managerOn(server, [check('healthy', circle)]);
      server.on('request', healthHandler(manager));
      await listen(server);
      await manager.ready();
      const warned = once(process, 'warning') as Promise<[Error]>;

      const reply = await ask(server, '/');

      expect([reply.status, reply.json.code]).to.deep.equal([500, 'INTERNAL_ERROR']);
      expect((await warned)[0].message).to.match(/circular/);
    });
  });

  describe('their options', () => {
    const wrong: readonly (readonly [options: object, code: string, path: string])[] = [
      [{ token: '' }, 'OPTION_INVALID', 'endpoints.token'],
      [{ token: 'with space' }, 'OPTION_INVALID', 'endpoints.token'],
      [{ token: 5 }, 'OPTION_INVALID', 'endpoints.token'],
      [{ open: true, token: 'secret-1' }, 'OPTION_INVALID', 'endpoints.open'],
      [{ open: 'metrics' }, 'OPTION_INVALID', 'endpoints.open'],
      [{ prefix: '9lives' }, 'OPTION_INVALID', 'endpoints.prefix'],
      [{ prefix: 'with-dash' }, 'OPTION_INVALID', 'endpoints.prefix'],
      [{ paths: true }, 'OPTION_INVALID', 'endpoints.paths'],
      [{ paths: { health: 'health' } }, 'OPTION_INVALID', 'endpoints.paths.health'],
      [{ paths: { health: '/a?b' } }, 'OPTION_INVALID', 'endpoints.paths.health'],
      [{ paths: { metric: '/a' } }, 'OPTION_UNKNOWN', 'endpoints.paths.metric'],
      [{ tokens: 'a' }, 'OPTION_UNKNOWN', 'endpoints.tokens'],
    ];

    for (const [options, code, path] of wrong) {
      it(`refuse ${JSON.stringify(options)} with ${code}, naming ${path}`, () => {
        expect(() => endpoints(options)).to.throw(ModuleError, path).with.property('code', code);
      });
    }

    it('are checked for the handlers, too', () => {
      const manager = {} as Manager;

      for (const make of [healthHandler, metricsHandler, prometheusHandler]) {
        expect(() => make(manager, { token: '' })).to.throw(ModuleError).with.property('code', 'OPTION_INVALID');
        expect(() => make(manager, { tokn: 'a' } as object)).to.throw(ModuleError).with.property('code', 'OPTION_UNKNOWN');
      }
    });

    it('keep the token out of every error', () => {
      const token = 'not allowed: secret';

      expect(() => endpoints({ token })).to.throw(ModuleError).with.property('message').that.does.not.include('secret');
    });
  });

  it('are properties of the plugin, so that `require()` can be destructured', () => {
    expect(endpoints.endpoints).to.equal(endpoints);
    expect(endpoints).to.include.keys('endpoints', 'healthHandler', 'metricsHandler', 'positionHandler', 'prometheusHandler');
  });
});

pluginSuite('endpoints', () => endpoints(), {
  exercise: async ({ server }) => {
    for (const path of [HEALTH, METRICS, PROMETHEUS]) expect((await ask(server, path)).status).to.equal(200);
  },
});
