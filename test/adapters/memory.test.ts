import { once } from 'node:events';
import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { ModuleError, WebSocketModule } from '../../index.ts';
import { adapterSuite } from '../support/adapter-suite.ts';
import { start } from '../support/start.ts';

adapterSuite('memory', () => {
  const bus = {};
  return () => new MemoryAdapter(bus);
});

describe('the memory adapter', () => {
  it('reaches no other node without a bus', async () => {
    const [a, b] = [new MemoryAdapter(), new MemoryAdapter()];
    await a.start({ id: 'a', receive() {} });
    await b.start({ id: 'b', receive() {} });

    expect(await a.check()).to.deep.equal({ status: 'healthy', nodes: 1, topics: 0 });
  });

  it('reports the numbers of nodes and topics in its check, and whether it is started', async () => {
    const bus = {};
    const [a, b] = [new MemoryAdapter(bus), new MemoryAdapter(bus)];
    const before = await a.check();
    await a.start({ id: 'a', receive() {} });
    await b.start({ id: 'b', receive() {} });
    a.subscribe('x');

    expect(before).to.deep.equal({ status: 'unhealthy', nodes: 0, topics: 0 });
    expect(await a.check()).to.deep.equal({ status: 'healthy', nodes: 2, topics: 1 });
  });

  it('belongs to one manager', async () => {
    const adapter = new MemoryAdapter();
    await adapter.start({ id: 'a', receive() {} });

    const error = await adapter.start({ id: 'b', receive() {} }).then(() => undefined, (thrown: unknown) => thrown as Error);

    expect(error?.message).to.match(/already started/);
  });

  it('warns of a receiver that throws', async () => {
    const bus = {};
    const [a, b] = [new MemoryAdapter(bus), new MemoryAdapter(bus)];
    await a.start({ id: 'a', receive() {} });
    await b.start({ id: 'b', receive() { throw new Error('a receiver'); } });
    b.subscribe('x');
    const warned = once(process, 'warning') as Promise<[Error]>;

    a.publish('x', new Uint8Array());

    expect((await warned)[0].message).to.equal('a receiver');
  });

  it('is not started for a manager that cannot be made', async () => {
    const { server } = await start();
    const adapter = new MemoryAdapter();

    expect(() => WebSocketModule.create({ server, adapter })).to.throw().with.property('code', 'DUPLICATE');

    expect(await adapter.check()).to.include({ status: 'unhealthy' });
    await adapter.start({ id: 'free', receive() {} });
  });

  it('carries messages that nest deeper than clients may send', async () => {
    const bus = {};
    const [here, there] = [await start({ adapter: new MemoryAdapter(bus), maxDepth: 5 }), await start({ adapter: new MemoryAdapter(bus), maxDepth: 5 })];
    const [near, far] = [await here.connect(), await there.connect()];
    let content: unknown = 'at the bottom';
    for (let depth = 0; depth < 40; depth++) content = [content];

    here.manager.broadcast({ type: 'deep', content });

    expect(await near.next('deep')).to.deep.include({ content });
    expect(await far.next('deep')).to.deep.include({ content });
  });

  it('carries broadcasts and messages to one connection, whatever topics a connection leaves', async () => {
    const bus = {};
    const [here, there] = [await start({ adapter: new MemoryAdapter(bus) }), await start({ adapter: new MemoryAdapter(bus), nodeId: 'there' })];
    const far = await there.connect();
    const { connectionId: id } = (await far.request({ type: 'init' })).content as { connectionId: string };
    for (const topic of ['*', 'node:there']) {
      there.manager.subscribe(id, topic);
      there.manager.unsubscribe(id, topic);
    }

    here.manager.broadcast({ type: 'all' });
    here.manager.sendToConnection(id, { type: 'one' });

    await far.next('all');
    await far.next('one');
  });

  it('drops a bus when its last node has stopped', async () => {
    const adapter = new MemoryAdapter({});
    await adapter.start({ id: 'a', receive() {} });
    adapter.subscribe('x');

    await adapter.stop();

    expect(await adapter.check()).to.deep.equal({ status: 'unhealthy', nodes: 0, topics: 0 });
  });

  for (const bus of ['bus', 5, null, true]) {
    it(`refuses ${JSON.stringify(bus)} as a bus`, () => {
      expect(() => new MemoryAdapter(bus as unknown as object)).to.throw(ModuleError, 'bus').with.property('code', 'OPTION_INVALID');
    });
  }

  it('is the same class from every path', () => {
    expect(MemoryAdapter.MemoryAdapter).to.equal(MemoryAdapter);
  });
});
