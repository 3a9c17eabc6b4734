import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import type { Adapter } from '../../src/index.ts';
import { codeOf, deferred } from '../src/start-kernel.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

/** An adapter whose parts a test can replace. */
const adapterWith = (changes: Partial<Adapter>): Adapter => {
  const adapter = new MemoryAdapter({});
  return Object.assign(adapter, changes);
};

describe('manager.useAdapter()', () => {
  it('connects a running node, with the topics that it has already', async () => {
    const bus = {};
    const [here, there] = [await start(), await start({ adapter: new MemoryAdapter(bus) })];
    const client = await here.connect();
    const [connection] = here.manager.connections.values();
    here.manager.subscribe(connection!.id, 'news');

    await here.manager.useAdapter(new MemoryAdapter(bus));
    await eventually('both know each other', () => [here, there].every(({ manager }) => manager.inspect().nodes === 1));
    there.manager.publish('news', { type: 'from there' });
    const sent = there.manager.sendToConnection(connection!.id, { type: 'to one' });

    expect(sent).to.be.true;
    await client.next('from there');
    await client.next('to one');
  });

  it('lets requests of other nodes reach clients that were connected before', async () => {
    const bus = {};
    const [here, there] = [await start(), await start({ adapter: new MemoryAdapter(bus) })];
    const client = await here.connect();
    const [connection] = here.manager.connections.values();
    await here.manager.useAdapter(new MemoryAdapter(bus));
    await eventually('both know each other', () => [here, there].every(({ manager }) => manager.inspect().nodes === 1));

    const reply = there.manager.request(connection!.id, { type: 'question' });
    const { id } = await client.next('question');
    void client.send({ type: 'ack', replyTo: id, content: 'answer' });

    expect((await reply).content).to.equal('answer');
  });

  it('rejects what is no adapter, and a second adapter', async () => {
    const { manager } = await start();
    const gate = deferred();
    const slow = adapterWith({ start: () => gate.promise, subscribe: () => undefined, publish: () => undefined, stop: async () => undefined });

    const wrong = await codeOf(manager.useAdapter({} as Adapter));
    const first = manager.useAdapter(slow);
    const meanwhile = await codeOf(manager.useAdapter(new MemoryAdapter({})));
    gate.resolve();
    await first;
    const later = await codeOf(manager.useAdapter(new MemoryAdapter({})));
    const given = await start({ adapter: new MemoryAdapter({}) });

    expect([wrong, meanwhile, later]).to.deep.equal(['OPTION_INVALID', 'DUPLICATE', 'DUPLICATE']);
    expect(await codeOf(given.manager.useAdapter(new MemoryAdapter({})))).to.equal('DUPLICATE');
  });

  it('leaves the node alone after a failure, and can be called again', async () => {
    const { manager, connect } = await start();
    await connect();
    const stopped: string[] = [];
    const stop = async (): Promise<void> => void stopped.push('stopped');

    const unreachable = await codeOf(manager.useAdapter(adapterWith({ start: () => Promise.reject(new Error('no bus')), stop })));
    const deaf = await codeOf(manager.useAdapter(adapterWith({ subscribe: () => Promise.reject(new Error('no topics')), stop })));
    const sent = manager.broadcast({ type: 'to all' });
    await manager.useAdapter(new MemoryAdapter({}));

    expect([unreachable, deaf]).to.deep.equal(['ADAPTER_FAILED', 'ADAPTER_FAILED']);
    expect(stopped).to.deep.equal(['stopped', 'stopped']);
    expect(sent).to.equal(1);
  });

  it('is refused after stop(), and stop() waits for one that is being started', async () => {
    const { manager } = await start();
    const gate = deferred();
    const order: string[] = [];
    const adapter = adapterWith({
      start: async () => { await gate.promise; order.push('started'); },
      subscribe: () => undefined,
      publish: () => undefined,
      stop: async () => void order.push('stopped'),
    });

    const joined = codeOf(manager.useAdapter(adapter));
    const stopping = manager.stop();
    gate.resolve();
    await stopping;

    expect(await joined).to.equal(undefined);
    expect(order).to.deep.equal(['started', 'stopped']);
    expect(await codeOf(manager.useAdapter(new MemoryAdapter({})))).to.equal('MANAGER_STOPPED');
  });

  it('adds the health check of the adapter', async () => {
    const { manager } = await start();

    await manager.useAdapter(adapterWith({ check: () => ({ status: 'degraded', reason: 'a slow bus' }) }));

    await eventually('the check', () => manager.getHealth().status === 'degraded');
    expect(JSON.stringify(manager.getHealth())).to.include('a slow bus');
  });
});
