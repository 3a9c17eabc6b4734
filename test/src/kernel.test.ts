import { expect } from 'chai';
import type { Adapter, Collector } from '../../src/index.ts';
import { definePlugin } from '../../src/index.ts';
import { frame, PONG } from '../support/frames.ts';
import { rawWebSocket } from '../support/raw.ts';
import { eventually } from '../support/timing.ts';
import { deferred, next, only, recorder, startKernel } from './start-kernel.ts';

const measuring = (collect: Collector) => definePlugin({ name: 'meter', setup: (context) => context.metrics(collect) });

describe('metrics of plugins', () => {
  for (const [what, given] of [['null', null], ['undefined', undefined], ['a text', 'many'], ['an object without value', {}]] as const) {
    it(`that are ${what} are reported under the name of the plugin, and the other metrics are returned`, async () => {
      const { manager, failures } = await startKernel({ use: [measuring(() => ({ bad: given as never }))] });

      expect(manager.getMetrics().plugins).to.deep.equal({});
      expect(manager.describeMetrics().get('connections')?.value).to.equal(0);

      expect(failures.map(({ context }) => context)).to.deep.equal([{ phase: 'plugin', plugin: 'meter' }, { phase: 'plugin', plugin: 'meter' }]);
    });
  }

  it('cannot replace metrics of the kernel', async () => {
    const { manager } = await startKernel({ use: [measuring(() => ({ connections: 99 }))] });

    expect(manager.describeMetrics().get('connections')?.value).to.equal(0);
    expect(manager.getMetrics().plugins.meter).to.deep.equal({ connections: 99 });
  });
});

describe('health', () => {
  it('is unhealthy from the call of stop(), so that load balancers send no more clients', async () => {
    const { manager, connect } = await startKernel();
    const gate = deferred();
    manager.registerHandler('slow', () => gate.promise);
    void (await connect()).send({ type: 'slow' });
    await next(manager, 'message:received');

    const stopped = manager.stop();
    const { status } = manager.getHealth();
    gate.resolve();
    await stopped;

    expect(status).to.equal('unhealthy');
  });
});

describe('a packet from another node', () => {
  for (const [what, message] of [['a forbidden key', '{"type":"x","content":{"__proto__":{"admin":true}}}'], ['no type', '{"content":1}'], ['no message', 'null']]) {
    it(`with ${what} reaches no client`, async () => {
      let receive: (topic: string, packet: Uint8Array) => void = () => undefined;
      const adapter: Adapter = {
        name: 'bus',
        start: async (node) => { receive = (topic, packet) => node.receive(topic, packet); },
        publish() {}, subscribe() {}, unsubscribe() {},
        stop: async () => {},
      };
      const { manager, connect, failures } = await startKernel({ adapter });
      manager.registerHandler('sync', () => 'done');
      const client = await connect();

      receive('*', Buffer.from(`{"from":"elsewhere","message":${message}}`));
      await client.request({ type: 'sync' });

      expect(client.messages.map(({ type }) => type)).to.deep.equal(['sync']);
      expect(failures.map(({ error, context }) => [error.code, context.phase])).to.deep.equal([['ADAPTER_FAILED', 'adapter']]);
    });
  }
});

describe('a connection that is held', () => {
  it('receives messages sent to it alone, but none of topics, until it is released', async () => {
    const { manager, connect } = await startKernel({
      use: [definePlugin({ name: 'holder', setup: (context) => ({ hold: (isHeld: boolean) => context.node.hold(only(manager), isHeld) }) })],
    });
    const { hold } = manager.api('holder') as { hold: (isHeld: boolean) => void };
    const added = next(manager, 'connection:added');
    const client = await connect();
    await added;

    hold(true);
    const held = manager.broadcast({ type: 'news' });
    manager.sendToConnection(only(manager).id, { type: 'direct' });
    hold(false);
    const free = manager.broadcast({ type: 'late' });
    await client.next('late');

    expect([held, free]).to.deep.equal([0, 1]);
    expect(client.messages.map(({ type }) => type)).to.deep.equal(['direct', 'late']);
  });
});

describe('control frames', () => {
  it('close the connection with 1008 when there are too many', async () => {
    const started = await startKernel();
    const client = await rawWebSocket(started);
    const removed = next(started.manager, 'connection:removed');

    await client.write(Buffer.concat(Array.from({ length: 1_001 }, () => frame(PONG))));

    expect((await removed)[1]).to.deep.equal({ code: 1008, reason: 'too many control frames' });
  });
});

describe('messages that wait for a slow handler', () => {
  it('are bounded in bytes, too: after one large message, the socket is paused', async () => {
    const { manager, connect } = await startKernel();
    const gate = deferred();
    manager.registerHandler('slow', () => gate.promise);
    manager.registerHandler('sync', () => 'done');
    const client = await connect();
    void client.send({ type: 'slow' });
    await next(manager, 'message:received');

    for (let each = 0; each < 10; each++) void client.send({ type: 'slow', content: 'x'.repeat(500_000) });
    await eventually('a pause', () => only(manager).isPaused);
    const { received } = manager.getMetrics().bytes;
    gate.resolve();
    await client.request({ type: 'sync' });

    expect(received).to.be.below(1_100_000);
    expect(manager.getMetrics().messages.totalMessages, 'and none is lost').to.equal(12);
  });
});

describe('stop()', () => {
  it('emits stopping first, so that plugins send messages that they delay', async () => {
    const { manager } = await startKernel();
    const heard: boolean[] = [];
    manager.on('stopping', () => void heard.push(manager.getHealth().status === 'unhealthy'));

    await manager.stop();

    expect(heard).to.deep.equal([true]);
  });
});

describe('the log of a default manager', () => {
  it('names a page whose origin is refused once, with the remedy', async () => {
    const logger = recorder();
    const { connect } = await startKernel({ logger });

    for (let each = 0; each < 3; each++) await connect({ origin: 'http://localhost:5173' }).catch(() => undefined);

    const told = logger.lines.filter((line) => line.includes('ORIGIN_REFUSED'));
    expect(told).to.have.lengthOf(1);
    expect(told[0]).to.include('http://localhost:5173').and.to.include('"origins"');
  });

  it('lists connections and messages at level debug, without content', async () => {
    const logger = recorder();
    const { manager, connect } = await startKernel({ logger, logLevel: 'debug' });
    manager.registerHandler('ask', () => 'done');
    const client = await connect();
    await client.request({ type: 'ask', content: 'a secret' });
    const removed = next(manager, 'connection:removed');
    await client.close();
    await removed;

    const text = logger.lines.join('\n');
    expect(text).to.match(/websocket:connection added .*\n(.*\n)*.*websocket:message handled .*"type":"ask".*\n(.*\n)*.*websocket:connection removed/);
    expect(text).to.not.include('a secret');
  });

  it('explains a function given to use(), and a layer of unknown type', async () => {
    const { manager } = await startKernel();

    expect(() => manager.use((() => 1) as never)).to.throw(/call it, or wrap it/);
    expect(() => manager.use({ type: 'mesage', handler: () => 1 } as never)).to.throw(/mesage/);
  });
});

describe('a text message of type "binary"', () => {
  it('does not reach the handler of binary frames', async () => {
    const { manager, connect } = await startKernel();
    const handled: unknown[] = [];
    manager.registerHandler('binary', ({ content }) => void handled.push(content));

    const { content } = await (await connect()).request({ type: 'binary', content: 'no bytes' });

    expect(content.code).to.equal('INVALID_MESSAGE');
    expect(handled).to.deep.equal([]);
  });
});
