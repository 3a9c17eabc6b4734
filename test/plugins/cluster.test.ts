import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { cluster, type ClusterOptions } from '../../plugins/cluster.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

declare module '../../plugins/cluster.ts' {
  interface ClusterMessages { 'price-changed': { readonly price: number } }
}

const asAnn = { type: 'connection' as const, handler: () => ({ user: { id: 'ann' } }) };

/** Nodes of one bus, added one by one. */
function nodes() {
  const bus = {};
  return async (nodeId: string, options: ClusterOptions = {}) => {
    const started = await start({ adapter: new MemoryAdapter(bus), nodeId, use: [asAnn, cluster(options)] });
    const errors: (Error & { code?: string })[] = [];
    started.manager.on('error', (error) => errors.push(error));
    return { ...started, errors, api: () => started.manager.api('cluster') };
  };
}

async function two() {
  const node = nodes();
  const all = [await node('a', { name: 'first', address: '10.0.0.1:80', version: '2.0.0' }), await node('b')] as const;
  await eventually('the nodes know each other', () => all.every(({ api }) => api().nodes().length === 2));
  return all;
}

describe('cluster', () => {
  pluginSuite('cluster', () => cluster());

  it('lists all running nodes, this one first', async () => {
    const [a, b] = await two();

    const [own, other] = b.api().nodes();

    expect(own).to.equal(b.api().self);
    expect(own).to.include({ id: 'b', name: 'b', address: '', version: '' });
    expect(other).to.include({ id: 'a', name: 'first', address: '10.0.0.1:80', version: '2.0.0' });
    expect(a.manager.getMetrics().plugins['cluster']).to.deep.equal({ cluster_nodes: 2 });
  });

  it('emits events for nodes that join and leave', async () => {
    const node = nodes();
    const a = await node('a');
    const log: string[] = [];
    a.manager.on('cluster:joined', ({ node: { name } }) => log.push(`joined ${name}`));
    a.manager.on('cluster:left', ({ node: { name } }) => log.push(`left ${name}`));

    const b = await node('b', { name: 'second' });
    await eventually('it joined', () => log.length === 1);
    await b.manager.stop();
    await eventually('it left', () => log.length === 2);

    expect(log).to.deep.equal(['joined second', 'left second']);
    expect(a.api().nodes().map(({ id }) => id)).to.deep.equal(['a']);
  });

  it('adds up the statistics of all nodes, and names those that do not answer', async () => {
    const [a, b] = await two();
    await Promise.all([a.connect(), b.connect(), b.connect()]);

    const whole = await a.api().stats();
    await b.manager.unload('cluster');
    const partial = await a.api().stats();

    expect(whole).to.include({ connections: 3 });
    expect(whole.nodes.map(({ node, connections, status }) => [node, connections, status])).to.deep.equal([['a', 1, 'healthy'], ['b', 2, 'healthy']]);
    expect([whole.missing, partial.missing, partial.connections]).to.deep.equal([[], ['b'], 1]);
  });

  it('finds a user on all nodes', async () => {
    const [a, b] = await two();
    await Promise.all([a.connect(), b.connect()]);

    const found = await a.api().find('ann');

    expect(found.map(({ node }) => node)).to.deep.equal(['a', 'b']);
    expect(found.map(({ connectionId }) => connectionId)).to.deep.equal([...a.manager.connections.keys(), ...b.manager.connections.keys()]);
    expect(await a.api().find('unknown')).to.deep.equal([]);
    await b.manager.unload('cluster');
    const failure = await a.api().find('ann').catch((error: unknown) => error);
    expect(failure).to.include({ code: 'NODES_SILENT' }).with.nested.property('details.nodes').that.deep.equals(['b']);
  });

  it('carries messages to the listeners of all other nodes, or of one', async () => {
    const node = nodes();
    const [a, b, c] = [await node('a'), await node('b'), await node('c')];
    const all = [a, b, c];
    await eventually('the nodes know each other', () => all.every(({ api }) => api().nodes().length === 3));
    const heard: string[] = [];
    for (const { api } of all) api().on('price-changed', ({ price }, from) => heard.push(`${api().self.id} got ${price} from ${from}`));

    a.api().send('price-changed', { price: 1 });
    a.api().send('price-changed', { price: 2 }, { node: 'c' });
    await eventually('all of them', () => heard.length === 3 || heard);

    expect(heard).to.have.members(['b got 1 from a', 'c got 1 from a', 'c got 2 from a']);
  });

  it('reports a listener that fails, calls the others, and no longer calls one that was removed', async () => {
    const [a, b] = await two();
    const heard: unknown[] = [];
    b.api().on('server-shutdown', () => { throw new Error('a listener'); });
    b.api().on('server-shutdown', async () => Promise.reject(new Error('another')));
    const undo = b.api().on('server-shutdown', () => heard.push('undone'));
    b.api().on('server-shutdown', (data) => heard.push(data));
    undo();

    a.api().send('server-shutdown', { reason: 'update' });
    await eventually('both failures', () => b.errors.length === 2);

    expect(heard).to.deep.equal([{ reason: 'update' }]);
    expect(b.errors.map(({ message }) => message)).to.deep.equal(['a listener', 'another']);
  });

  it('works on a single node, without an adapter', async () => {
    const { manager, connect } = await start({ use: [asAnn, cluster({ name: 'only' })] });
    await connect();
    const api = manager.api('cluster');

    api.send('server-shutdown', {});

    expect(api.nodes()).to.deep.equal([api.self]);
    expect(await api.stats()).to.include({ connections: 1 });
    expect(await api.find('ann')).to.have.lengthOf(1);
  });

  it('refuses wrong options, names and listeners', async () => {
    const { manager } = await start({ use: [cluster()] });
    const api = manager.api('cluster');

    expect(() => cluster({ name: 5 as never })).to.throw().with.property('code', 'OPTION_INVALID');
    expect(() => cluster({ nam: 'x' } as never)).to.throw().with.property('code', 'OPTION_UNKNOWN');
    expect(() => api.send('' as never, {} as never)).to.throw().with.property('code', 'OPTION_INVALID');
    expect(() => api.on('server-shutdown', 'no' as never)).to.throw().with.property('code', 'OPTION_INVALID');
  });
});
