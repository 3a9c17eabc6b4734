import { expect } from 'chai';
import { eventually } from '../../support/timing.ts';
import { plugin, raise, startKernel } from '../start-kernel.ts';

describe('getMetrics()', () => {
  it('counts connections, messages, bytes and errors', async () => {
    const { manager, connect } = await startKernel();
    manager.registerHandler('ask', () => 'reply');
    manager.registerHandler('fail', () => raise(new Error('boom')));
    const clients = [await connect(), await connect()];
    for (let each = 0; each < 3; each++) await clients[0]!.request({ type: 'ask' });
    await clients[0]!.request({ type: 'fail' });
    await clients[0]!.request({ type: 'unknown' });
    await clients[1]!.close();
    await eventually('one left', () => manager.connections.size === 1);

    const { connections, messages, bytes, errors, plugins } = manager.getMetrics();

    expect(connections).to.deep.equal({ activeConnections: 1, totalConnections: 2, peakConnections: 2, refusedConnections: 0 });
    expect(messages).to.deep.include({ totalMessages: 5, sentMessages: 5, droppedMessages: 0 });
    expect(messages.messagesPerSecond).to.be.within(0.1, 5);
    expect(messages.avgResponseTime).to.be.within(0, 5_000);
    expect(bytes.received).to.be.above(100);
    expect(bytes.sent).to.be.above(100);
    expect(errors).to.deep.equal({ totalErrors: 2, errorRate: 0.4, byCode: { INTERNAL_ERROR: 1, UNKNOWN_TYPE: 1 } });
    expect(plugins).to.deep.equal({});
  });

  it('keeps at most 200 codes, however many an application uses', async () => {
    const { manager, connect } = await startKernel();
    const { ModuleError } = await import('../../../src/errors.ts');
    manager.registerHandler('fail', (message) => { throw new ModuleError(`CODE_${String(message.content)}`); });
    const client = await connect();

    await Promise.all(Array.from({ length: 300 }, (_, n) => client.request({ type: 'fail', content: n })));

    const { byCode, totalErrors } = manager.getMetrics().errors;
    expect(Object.keys(byCode).length).to.be.at.most(201);
    expect(byCode.other).to.equal(100);
    expect(totalErrors).to.equal(300);
  });

  it('measures how long a reply takes', async () => {
    const { manager, connect } = await startKernel();
    manager.registerHandler('slow', () => new Promise((resolve) => setTimeout(resolve, 50)));
    const client = await connect();

    await client.request({ type: 'slow', ack: true });

    expect(manager.getMetrics().messages.avgResponseTime, 'milliseconds').to.be.within(45, 20_000);
  });
});

describe('getHealth()', () => {
  it('has the documented shape and units', async () => {
    const { manager, connect } = await startKernel();
    await connect();
    await eventually('a connection', () => manager.connections.size === 1);

    const health = manager.getHealth();

    expect(health).to.have.all.keys('status', 'uptime', 'connections', 'memory', 'checks');
    expect(health).to.deep.include({ status: 'healthy', connections: { active: 1, total: 1 } });
    expect(health.uptime).to.be.within(0, 60_000);
    expect(health.memory.used).to.be.within(1, health.memory.total);
  });

  it('is as bad as the worst check', async () => {
    const { manager } = await startKernel();
    const statuses = ['healthy', 'unhealthy', 'degraded'] as const;
    const seen: string[] = [];

    for (const status of statuses) {
      manager.use(plugin(status, (context) => { context.health(status, () => ({ status })); }));
      await manager.ready();
      seen.push(manager.getHealth().status);
    }

    expect(seen).to.deep.equal(['healthy', 'unhealthy', 'unhealthy']);
  });
});

describe('describeMetrics()', () => {
  it('describes every metric with type and help, including those of plugins', async () => {
    const { manager, connect } = await startKernel();
    let metrics!: ReadonlyMap<string, { readonly type: string; readonly help: string; readonly value: unknown }>;
    manager.use(plugin('metrics', (context) => {
      context.metrics(() => ({ rows: 3, seconds: { type: 'histogram', help: 'Seconds.', value: { buckets: [[1, 2]], sum: 3, count: 2 } } }));
      context.on('connection:added', () => { metrics = context.node.describeMetrics(); });
    }));
    await manager.ready();

    await connect();
    await eventually('metrics', () => (metrics as unknown) !== undefined);

    expect(metrics.get('connections')).to.deep.include({ type: 'gauge', value: 1 });
    expect(metrics.get('connections_total')).to.deep.include({ type: 'counter', value: 1 });
    expect(metrics.get('rows')).to.deep.equal({ type: 'gauge', help: 'rows', value: 3 });
    expect(metrics.get('seconds')).to.deep.include({ type: 'histogram', help: 'Seconds.' });
    for (const [name, { help }] of metrics) {
      expect(name).to.match(/^[a-z][a-z\d_]*$/);
      expect(help).to.not.equal('');
    }
  });
});
