import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import { packed } from '../support/packed.ts';
import { redisServer } from '../support/redis.ts';
import { both, manager, run, serve, snippet } from '../support/snippets.ts';

const listen = 'server.listen(3001);';
/** The value that a block prints, from the comment below it. */
const printed = (name: string): unknown => runInNewContext(
  `(${snippet(name).replace(/^[^/].*$/gm, '').replaceAll('//', '')})`,
);

describe('the blocks of document 1, by require and by import', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('quick start: echoes a text', async () => both(async (form) => {
    const { connect, until } = await serve(form, snippet('1-02-quick-start'));
    const client = await connect();

    const reply = await client.request({ type: 'text', content: { text: 'Hello' } });

    expect(reply).to.include({ type: 'text' });
    expect(reply.content).to.have.keys('text', 'timestamp');
    expect(reply.content.text).to.equal('Echo: Hello');
    await until(/WebSocket服务已启动在端口3001/);
  }));

  for (const version of ['express', 'express4']) {
    it(`${version}: serves health, metrics and clients, without a call of start()`, async () => both(async (form) => {
      const { http, connect } = await serve(form, snippet('1-03-express'), { instead: { express: version } });
      const client = await connect();

      const health = await (await fetch(`${http}/api/websocket/health`)).json() as Record<string, unknown>;
      const metrics = await (await fetch(`${http}/api/websocket/metrics`)).json() as Record<string, unknown>;

      expect(health).to.deep.include({ status: 'healthy', connections: { active: 1, total: 1 } });
      expect(metrics['connections']).to.include({ activeConnections: 1, totalConnections: 1, peakConnections: 1 });
      expect((await client.request({ type: 'ping' })).type).to.equal('pong');
    }));
  }

  it('options and create: listens on the port, with the named plugin and layer', async () => both(async (form) => {
    const { connect } = await serve(form, snippet('1-05-options'), {
      before: `${manager.replace(/^const wsManager.*$/m, '').replace('server =', 'httpServer =')}const options =`,
      // The snippet `create`, word for word.
      after: `${snippet('1-04-create')}
        wsManager.registerHandler('loaded', () => wsManager.inspect());
await wsManager.start();`,
    });
    const client = await connect();

    const loaded = await client.request({ type: 'loaded' });

    // The four handlers, the plugin and the layer.
    expect(loaded.content).to.include({ plugins: 6, messageLayers: 1 });
  }));

  // The snippet is a list of calls rather than a program: it stops the manager before it registers a handler. Here the
  // stop waits.
  it('core methods: start, register, send, broadcast, health, metrics, stop', async () => both(async (form) => {
    const { connect, until } = await serve(form, snippet('1-06-methods'), {
      before: `${manager}
        const [connectionId, response] = ['unknown', { fine: true }];
        const message = { type: 'system', content: 'to all' };
        wsManager.on(
          'message:sent', ({ message, target }) => console.log('sent', message.type, JSON.stringify(target)),
        );
        wsManager.on('message:dropped', ({ code }) => console.log('dropped', code));
        const { stop } = wsManager;
        wsManager.stop = async () => {};`,
      after: `console.log(health.status, metrics.messages.totalMessages);
        process.once('SIGTERM', () => stop.call(wsManager).then(() => server.close()));
        ${listen}`,
    });
    const client = await connect();

    const reply = await client.request({ type: 'messageType' });

    expect(reply).to.deep.include({ type: 'messageType', content: { fine: true } });
    await until(/dropped CONNECTION_UNKNOWN\nsent system \{"topic":"\*"\}\nhealthy 0\n/);
  }));

  it('message: is accepted as it stands', async () => both(async (form) => {
    const { connect } = await serve(form, snippet('1-02-quick-start'));
    const client = await connect();
    const message = runInNewContext(`(${snippet('1-07-message')})`) as { type: string; id: string };

    const reply = await client.request(message);

    expect(reply).to.include({ type: 'text', replyTo: 'unique-message-id' });
    expect(reply.content.text).to.equal('Echo: Hello World');
  }));

  it('auth: lets anonymous clients in, knows users by their token, refuses bad ones', async () => both(async (form) => {
    const { connect, until } = await serve(form, snippet('1-08-auth'), {
      before: manager,
      after: `wsManager.registerHandler('who', (message, { user }) => user?.id ?? 'anonymous');\n${listen}`,
    });
    const token = jwt.sign({ sub: 'ada' }, 'your-secret-key', { expiresIn: '1m' });
    const forged = jwt.sign({ sub: 'ada' }, 'another-secret-key', { expiresIn: '1m' });

    const anonymous = await connect();
    const ada = await connect({ headers: { authorization: `Bearer ${token}` } });
    const alsoAda = await connect({ search: `?token=${token}` });
    const forger = await connect({ search: `?token=${forged}` });

    expect((await anonymous.request({ type: 'who' })).content).to.equal('anonymous');
    expect((await ada.request({ type: 'who' })).content).to.equal('ada');
    expect((await alsoAda.request({ type: 'who' })).content).to.equal('ada');
    expect((await forger.closed).code).to.equal(4001);
    // The block's secret is shorter than an HMAC's hash.
    await until(/jwtSecret has 15 bytes/);
  }));

  it('validation: rejects other types and long messages, and escapes texts', async () => both(async (form) => {
    const { connect } = await serve(form, snippet('1-09-validation'), {
      before: manager,
      after: `for (const type of ['text', 'custom']) wsManager.registerHandler(type, ({ content }) => content);
        ${listen}`,
    });
    const client = await connect();

    const replies = await Promise.all([
      client.request({ type: 'text', content: { text: '<b>Hello</b>' } }),
      client.request({ type: 'custom', content: { text: 'Hello' } }),
      client.request({ type: 'text', content: { text: 'x'.repeat(8_001) } }),
    ]);

    expect(replies[0].content.text).to.equal('&lt;b&gt;Hello&lt;&#x2F;b&gt;');
    expect(replies.slice(1).map(({ content }) => content.code)).to.deep.equal(['TYPE_NOT_ALLOWED', 'MESSAGE_TOO_LONG']);
  }));

  it('monitoring: raises an alert when the error rate is over its threshold', async () => both(async (form) => {
    const { connect, until } = await serve(form, snippet('1-10-monitoring'), {
      before: manager,
      after: `wsManager.registerHandler('fail', () => { throw new Error('no'); });
        wsManager.on('error', () => {});
        ${listen}`,
    });
    const client = await connect();

    for (let count = 0; count < 20; count++) await client.request({ type: 'fail' });

    const [alert] = await until(/Alert: \{[^}]+\}/);
    expect(runInNewContext(`({ ${alert} })`)).to.deep.nested.include({
      'Alert.name': 'errorRate', 'Alert.level': 'warning', 'Alert.value': 1, 'Alert.threshold': 0.05,
    });
  }));

  it('custom handler: replies, and hides the text of an unexpected error', async () => both(async (form) => {
    const { connect, until } = await serve(form, snippet('1-11-handler'), {
      before: `${manager}const processCustomMessage = async ({ content }) => {
        if (content.fail) throw new Error('the secret reason');
        return { done: content.what };
      };`,
      after: listen,
    });
    const client = await connect();

    const reply = await client.request({ type: 'custom', content: { what: 'it' } });
    const failure = await client.request({ type: 'custom', content: { fail: true } });

    expect(reply).to.deep.include({ type: 'custom_response', content: { done: 'it' } });
    expect(reply['sessionId']).to.be.a('string').that.is.not.empty;
    expect(failure.content).to.deep.equal({
      code: 'INTERNAL_ERROR', message: 'the server failed to handle this message',
    });
    await until(/Error: 处理失败: the secret reason.*\n +at /);
  }));

  it('custom middleware: runs around the handler', async () => both(async (form) => {
    const { connect, until, output } = await serve(form, snippet('1-12-middleware'), {
      before: manager,
      after: `wsManager.registerHandler('text', () => console.log('handled'));\n${listen}`,
    });
    const client = await connect();

    await client.request({ type: 'text', ack: true });

    await until(/Message processed/);
    expect(output()).to.match(/Processing message: text\nhandled\nMessage processed\n$/);
  }));

  it('events: have the fields that the listeners read', async () => both(async (form) => {
    const { connect, until, output } = await serve(form, snippet('1-13-events'), {
      before: manager,
      after: `wsManager.registerHandler('fail', () => { throw new Error('no'); });\n${listen}`,
    });
    const client = await connect();

    await client.request({ type: 'ping' });
    await client.request({ type: 'fail' });
    await client.close();

    const [, id] = await until(/连接断开: (\S+)/);
    await until(/WebSocket错误: Error: no\n +at /);
    const events = output().split('\n').filter((line) => /^(新连接|收到|发送|连接断开)/.test(line));
    expect(events).to.deep.equal([
      `新连接: ${id}`, '收到消息: ping', '发送消息: pong', '收到消息: fail', '发送消息: error', `连接断开: ${id}`,
    ]);
  }));

  for (const [name, copy] of [['health', '1-14-health'], ['metrics', '1-15-metrics']] as const) {
    it(`${name}: has the shape and the units of the printed value`, async () => both(async (form) => {
      const { connect, until } = await serve(form, snippet(copy), {
        before: `${manager}setInterval(() => {}, 1_000);
          const busy = () => { const end = performance.now() + 20; while (performance.now() < end); };
          wsManager.registerHandler('text', () => (busy(), null));
          ${listen}
await new Promise((resolve) => wsManager.on('connection:removed', resolve));`,
        after: `console.log('[json %s]', JSON.stringify(${name}));`,
      });
      const client = await connect();
      await client.request({ type: 'text' });
      await client.request({ type: 'nope' });
      await client.close();

      const [, json = ''] = await until(/\[json (.*)\]/);

      const actual = JSON.parse(json) as Record<string, any>;
      const shape = printed(copy) as Record<string, any>;
      for (const [key, value] of Object.entries(shape)) {
        if (typeof value !== 'object') expect(actual[key], key).to.be.a(typeof value);
        else {
          for (const field of Object.keys(value as object)) {
            expect(actual[key][field], `${key}.${field}`).to.be.a('number');
          }
        }
      }
      if (name === 'health') {
        expect(actual['status']).to.equal('healthy');
        expect(actual['connections']).to.deep.equal({ active: 0, total: 1 });
        // Milliseconds, and megabytes.
        expect(actual['uptime']).to.be.within(20, 20_000);
        expect(actual['memory'].used).to.be.within(1, 200);
        expect(actual['memory'].total).to.be.within(actual['memory'].used, 400);
      } else {
        expect(actual['connections']).to.include({ activeConnections: 0, totalConnections: 1, peakConnections: 1 });
        expect(actual['messages']).to.include({ totalMessages: 2 });
        // Milliseconds: one message took twenty, the other next to none.
        expect(actual['messages'].avgResponseTime).to.be.within(10, 2_000);
        expect(actual['messages'].messagesPerSecond).to.be.within(0.1, 2);
        expect(actual['errors']).to.include({ totalErrors: 1, errorRate: 0.5 });
      }
    }));
  }

  it('debug: turns the debug lines on at run time', async () => both(async (form) => {
    const { connect, until } = await serve(
      form, snippet('1-16-debug'), { before: `${manager}${listen}`, env: { DEBUG: '' } },
    );

    await connect({ origin: 'https://elsewhere.example' }).catch(() => {});

    await until(/websocket:acceptor .*ORIGIN_REFUSED/);
  }));

  it('manual test: a bare client gets its answer', async () => both(async (form) => {
    const { port } = await serve(form, snippet('1-02-quick-start'));

    const { stdout } = await run(
      form, snippet('1-19-manual-test'), { env: { PORT: port }, after: 'ws.on(\'message\', () => ws.close());' },
    );

    expect(stdout).to.match(/^收到消息: \{/);
    expect(stdout).to.match(/type: 'init'/).and.to.match(/replyTo: 'test-1'/).and.to.match(/connectionId: /);
  }));

  it('production: compresses, limits, validates and monitors', async () => both(async (form) => {
    const { connect } = await serve(form, snippet('1-20-production'), {
      before: manager.replace(/^const wsManager.*$/m, ''),
      after: `wsManager.registerHandler('loaded', () => wsManager.inspect());\n${listen}`,
    });
    const client = await connect();

    const loaded = await client.request({ type: 'loaded' });
    void client.send('x'.repeat(1_024 * 1_024 + 1));

    expect(client.ws.extensions).to.equal('permessage-deflate');
    expect(loaded.content).to.include({ plugins: 7, messageLayers: 1 });
    expect((await client.closed).code).to.equal(1009);
  }));

  it('Redis: two processes reach each other\'s clients', async () => both(async (form) => {
    const { port } = await redisServer();
    // The host of the block is the service of a compose file.
    const around = {
      before: `${manager.replace(/^const wsManager.*$/m, '')}
        const net = process.getBuiltinModule('node:net');
        const { createConnection } = net;
        net.createConnection = (options, ...rest) => createConnection(
          options.host === 'redis-server' ? { ...options, host: '127.0.0.1', port: ${port} } : options, ...rest,
        );
      `,
      after: `wsManager.registerHandler('tell', () => { wsManager.broadcast({ type: 'told' }); });\n${listen}`,
    };
    const [here, there] = await Promise.all(['here', 'there'].map(() => serve(form, snippet('1-22-redis'), around)));
    const [near, far] = [await here!.connect(), await there!.connect()];

    void near.send({ type: 'tell' });

    await far.next('told');
  }));

  it('memory: prints what the process uses', async () => both(async (form) => {
    const { code, stdout } = await run(
      form,
      snippet('1-24-memory'),
      { before: 'const setInterval = (work, milliseconds) => { console.log(milliseconds); work(); };' },
    );

    expect(stdout).to.match(/^60000\nMemory usage: \{\s+rss: \d+/);
    expect(code).to.equal(0);
  }));

  it('performance: warns when answers take more than a second', async () => both(async (form) => {
    const slow = { before: `${manager}{
      const { getMetrics } = wsManager;
      wsManager.getMetrics = () => ({ ...getMetrics.call(wsManager), messages: { avgResponseTime: 1_001 } });
    }` };

    const warned = await run(form, snippet('1-25-performance'), slow);
    const fine = await run(form, snippet('1-25-performance'), { before: manager });

    expect(warned.stderr).to.equal('响应时间过长\n');
    expect(fine.stderr).to.equal('');
  }));
});

describe('document 1 on log files', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('finds errors in stderr', async () => {
    const { connect, until, output } = await serve('esm', snippet('1-16-debug'), {
      before: `${manager}wsManager.registerHandler('fail', () => { throw new Error('no'); });\n${listen}`,
    });
    const client = await connect();

    await client.request({ type: 'fail' });
    await until(/Error: no/);

    // `grep "ERROR" logs/websocket.log`
    expect(output().split('\n').filter((line) => line.includes(' ERROR '))).to.have.length(1);
  });
});
