import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { ModuleError, WebSocketModule, type Adapter, type ErrorContext } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import { connect, UpgradeRefused } from '../support/client.ts';
import { close, start, type Manager } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

type Action = 'start' | 'publish' | 'subscribe' | 'unsubscribe' | 'stop' | 'check';
const QUIET = { debug() {}, info() {}, warn() {}, error() {} };

/** A memory adapter that fails at what it is told to, either way a function can. */
class Faulty extends MemoryAdapter {
  readonly failing = new Set<Action>();
  readonly #how: 'throws' | 'rejects';

  constructor(how: 'throws' | 'rejects') {
    super();
    this.#how = how;
    for (const action of ['start', 'publish', 'subscribe', 'unsubscribe', 'stop', 'check'] as const) {
      const work = this[action].bind(this) as (...args: unknown[]) => unknown;
      Object.defineProperty(this, action, { value: (...args: unknown[]) => (this.failing.has(action) ? this.#fail(action) : work(...args)) });
    }
  }

  #fail(action: Action): unknown {
    const error = new Error(`cannot ${action}`);
    if (this.#how === 'throws') throw error;
    return Promise.reject(error);
  }
}

interface Reported { readonly error: ModuleError; readonly context: ErrorContext }

function reports(manager: Manager): Reported[] {
  const reported: Reported[] = [];
  manager.on('error', (error, context) => reported.push({ error: error as ModuleError, context }));
  return reported;
}

const shape = ({ error, context }: Reported) => [error.code, error.details['action'], context.phase, (error.cause as Error | undefined)?.message];

for (const how of ['throws', 'rejects'] as const) {
  describe(`an adapter that ${how}`, () => {
    it('when it starts makes ready() reject and clients get 503', async () => {
      const adapter = new Faulty(how);
      adapter.failing.add('start');
      const server = createServer();
      const manager = WebSocketModule.create({ server, adapter, logger: QUIET });
      cleanup(() => close(server));
      cleanup(() => manager.stop());
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');

      const error = await manager.ready().then(() => undefined, (thrown: unknown) => thrown as ModuleError);
      const refused = await connect(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`).then(() => undefined, (thrown: unknown) => thrown);

      expect([error?.code, error?.details, (error?.cause as Error).message]).to.deep.equal(['ADAPTER_FAILED', { adapter: 'memory', action: 'start' }, 'cannot start']);
      expect(refused).to.be.instanceOf(UpgradeRefused).with.property('status', 503);
    });

    it('when it publishes is reported, and the clients of this node still receive the message', async () => {
      const adapter = new Faulty(how);
      const { manager, connect } = await start({ adapter, logger: QUIET });
      const reported = reports(manager);
      const client = await connect();
      adapter.failing.add('publish');

      const count = manager.broadcast({ type: 'news' });
      await client.next('news');
      await eventually('the report', () => reported.length === 1);
      manager.sendToConnection('other.node', { type: 'news' });
      await eventually('the report', () => reported.length === 2);

      expect(count).to.equal(1);
      expect(reported.map(shape)).to.deep.equal(Array(2).fill(['ADAPTER_FAILED', 'publish', 'adapter', 'cannot publish']));
    });

    it('when it subscribes or unsubscribes is reported, and the topic works on this node', async () => {
      const adapter = new Faulty(how);
      const { manager, connect } = await start({ adapter, logger: QUIET });
      const reported = reports(manager);
      const client = await connect();
      const [id] = manager.connections.keys();
      adapter.failing.add('subscribe').add('unsubscribe');

      manager.subscribe(id!, 'room');
      const count = manager.publish('room', { type: 'news' });
      await client.next('news');
      manager.unsubscribe(id!, 'room');
      await eventually('both reports', () => reported.length === 2);

      expect(count).to.equal(1);
      expect(reported.map(shape)).to.deep.equal([
        ['ADAPTER_FAILED', 'subscribe', 'adapter', 'cannot subscribe'], ['ADAPTER_FAILED', 'unsubscribe', 'adapter', 'cannot unsubscribe'],
      ]);
    });

    it('in its health check makes the health unhealthy', async () => {
      const adapter = new Faulty(how);
      adapter.failing.add('check');
      const { manager } = await start({ adapter, logger: QUIET });

      await eventually('the answer', () => manager.getHealth().checks['adapter'] !== undefined);

      expect(manager.getHealth().checks['adapter']).to.include({ status: 'unhealthy', error: 'cannot check' });
      expect(manager.getHealth().status).to.equal('unhealthy');
    });

    it('when it stops is reported, and the manager stops', async () => {
      const adapter = new Faulty(how);
      const { manager, connect } = await start({ adapter, logger: QUIET });
      const reported = reports(manager);
      const client = await connect();
      adapter.failing.add('stop');

      await manager.stop();
      await client.closed;

      expect(reported.map(({ error, context }) => [error.message, context.phase])).to.deep.equal([['adapter "memory" failed to stop', 'adapter']]);
    });
  });
}

/** A node, and what its adapter received. */
async function receiving() {
  let receive: (topic: string, packet: Uint8Array) => void = () => {};
  const adapter = new (class extends MemoryAdapter {
    override async start(node: Parameters<Adapter['start']>[0]): Promise<void> {
      receive = (topic, packet) => node.receive(topic, packet);
      return super.start(node);
    }
  })();
  const node = await start({ adapter, logger: QUIET });
  return { ...node, receive: (topic: string, packet: Uint8Array) => receive(topic, packet) };
}

describe('packets from the bus', () => {
  it('are delivered once, whether or not their sender is known yet', async () => {
    const { connect, manager, receive } = await receiving();
    const client = await connect();
    const gaps: unknown[] = [];
    manager.on('node:gap', (gap) => gaps.push(gap));
    const send = (n: number, body: object) => receive('*', Buffer.from(JSON.stringify({ v: 1, from: 'other', run: 'r', n, prev: n - 1, ...body })));

    for (const n of [1, 1, 2, 1]) send(n, { message: { type: 'news', content: n } });
    send(3, { peer: 'hello' });
    for (const n of [2, 4, 4, 6]) send(n, { message: { type: 'news', content: n } });
    await eventually('the last one', () => client.messages.at(-1)?.content === 6);

    expect(client.messages.map(({ content }) => content)).to.deep.equal([1, 2, 4, 6]);
    expect(gaps).to.deep.equal([{ node: 'other', topic: '*' }]);
  });

  it('are reported if they are invalid, and reach clients only if they are valid', async function () {
    this.timeout(60_000);
    const { manager, connect, receive } = await receiving();
    const reported = reports(manager);
    const client = await connect();
    const [id] = manager.connections.keys();
    const packet = fc.record({
      v: fc.oneof(fc.constant(1), fc.jsonValue()),
      from: fc.oneof(fc.string(), fc.jsonValue()),
      run: fc.oneof(fc.constant('r'), fc.jsonValue()),
      n: fc.oneof(fc.nat(), fc.jsonValue()),
      prev: fc.oneof(fc.nat(), fc.jsonValue()),
      peer: fc.oneof(fc.constantFrom('hello', 'here', 'bye'), fc.jsonValue()),
      channel: fc.oneof(fc.constant('kernel'), fc.jsonValue()),
      ask: fc.oneof(fc.nat(), fc.jsonValue()),
      payload: fc.jsonValue(),
      answer: fc.oneof(fc.nat(), fc.jsonValue()),
      error: fc.jsonValue(),
      message: fc.oneof(fc.jsonValue(), fc.record({ type: fc.oneof(fc.constant('news'), fc.jsonValue()), id: fc.jsonValue(), content: fc.jsonValue(), toJSON: fc.jsonValue() }, { requiredKeys: ['type'] })),
      to: fc.oneof(fc.constant(id!), fc.jsonValue()),
      except: fc.jsonValue(),
    }, { requiredKeys: [] });
    const anything = fc.oneof(fc.uint8Array(), fc.json().map((text) => Buffer.from(text)), packet.map((value) => Buffer.from(JSON.stringify(value))));

    fc.assert(fc.property(fc.constantFrom('*', `user:${id}`, '__proto__', ''), anything, (topic, bytes) => receive(topic, bytes)), { numRuns: 2_000, seed: 24 });
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    receive('*', Buffer.from(`{"v":1,"from":"x","run":"r","n":1,"prev":0,"message":{"type":"news","content":${deep}}}`));
    receive('*', Buffer.from('{"v":1,"from":"x","run":"r","n":2,"prev":1,"message":{"type":"last"}}'));
    await client.next('last');

    expect(client.ws.readyState).to.equal(client.ws.OPEN);
    for (const { error } of reported) expect(error).to.be.instanceOf(ModuleError).with.property('code').that.is.oneOf(['ADAPTER_FAILED', 'UNSENDABLE_MESSAGE', 'PACKET_INVALID']);
    for (const { type } of client.messages) expect(type).to.be.a('string');
    expect(Object.keys(Object.prototype)).to.deep.equal([]);
    cleanup(() => { receive('*', Buffer.from('after the test')); });
  });
});
