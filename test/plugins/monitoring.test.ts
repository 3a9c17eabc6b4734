import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { expect } from 'chai';
import { spy, useFakeTimers, type SinonFakeTimers } from 'sinon';
import { Vitals } from '../../plugins/monitoring/vitals.ts';
import { monitoring, type Alert, type MonitoringOptions } from '../../plugins/monitoring.ts';
import { definePlugin, ModuleError, WebSocketModule, type HealthReport, type HistogramValue, type LabelledValue } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import type { Client } from '../support/client.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { close, start, type Manager, type Started } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

const QUIET = { logger: { debug() {}, info() {}, warn() {}, error() {} } };

/** Sampling at the test's command: everything else goes by real time. */
function frozen(): SinonFakeTimers {
  const clock = useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'], now: Date.now() });
  cleanup(() => clock.restore());
  return clock;
}

const metrics = (manager: Manager) => manager.getMetrics().plugins['monitoring']! as Record<string, any>;

function heard(manager: Manager): Alert[] {
  const alerts: Alert[] = [];
  manager.on('alert', (alert) => alerts.push(alert));
  return alerts;
}

/** A manager that fails on `fail`, refuses `refuse` and answers everything else. */
async function watched(options?: MonitoringOptions): Promise<Started & { clock: SinonFakeTimers; alerts: Alert[]; client: Client }> {
  const clock = frozen();
  const started = await start({ ...QUIET, heartbeat: false, use: [monitoring(options)] });
  started.manager.registerHandler('fail', () => { throw new Error('no luck'); });
  started.manager.registerHandler('refuse', () => { throw new ModuleError('NO_LUCK'); });
  return { ...started, clock, alerts: heard(started.manager), client: await started.connect() };
}

async function repeat(client: Client, type: string, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => client.request({ type })));
}

/** Holds the event loop. */
function stall(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

describe('monitoring', () => {
  it('is used by its name alone, and shows its metrics', async () => {
    const { manager, connect } = await start({ plugins: ['monitoring'] });
    const client = await connect();

    await repeat(client, 'ping', 5);

    const { message_duration_seconds: durations, ...rest } = metrics(manager);
    expect(durations.count).to.equal(5);
    expect(durations.sum).to.be.above(0);
    expect(rest.message_duration_p50_seconds).to.be.within(1e-6, 1);
    expect(rest.message_duration_p99_seconds).to.be.at.least(rest.message_duration_p50_seconds);
    expect(rest).to.include({ messages_failed_total: 0, message_failures_ratio: 0, waiting_bytes: 0, connections_paused: 0 });
    expect(rest.heap_used_bytes).to.be.within(1e6, rest.heap_limit_bytes);
    expect(rest.resident_memory_bytes).to.be.above(1e6);
    expect(rest.memory_used_ratio).to.be.within(0, 1);
    expect(rest.event_loop_utilization_ratio).to.be.within(0, 1);
    expect(rest.alert_active).to.deep.equal(
      ['errorRate', 'responseTime', 'memory', 'eventLoopLag'].map((alert) => ({ labels: { alert }, value: 0 })));
  });

  it('runs the snippet of the documentation', async () => {
    const server = createServer();
    const manager = WebSocketModule.create({ server, ...QUIET });
    cleanup(() => close(server));
    cleanup(() => manager.stop());
    const clock = frozen();
    const alerts: Alert[] = [];

    manager.use(monitoring({ alertThresholds: { errorRate: 0.05, responseTime: 5000, connectionCount: 900 } }));
    manager.on('alert', (alert) => { alerts.push(alert); });
    await manager.ready();
    await clock.tickAsync(3_000);

    expect(alerts).to.deep.equal([]);
    expect(manager.getHealth().checks['monitoring']).to.include({ status: 'healthy' });
  });

  it('gives gauges and counters the names and helps that Prometheus expects', async () => {
    const { manager } = await start();
    let described = new Map<string, { type: string; help: string }>();
    manager.use(monitoring()).use(definePlugin({ name: 'reader', setup: ({ node }) => { described = new Map(node.describeMetrics()); } }));

    await manager.ready();

    const metrics = [...described].filter(([name]) => /^(message_|messages_failed|event_loop|heap|alert|waiting)/.test(name));
    expect(metrics.length).to.be.above(10);
    for (const [name, { type, help }] of metrics) {
      expect(name.endsWith('_total'), name).to.equal(type === 'counter');
      expect(help, name).to.match(/^[A-Z].*\.$/);
    }
  });

  describe('an alert', () => {
    it('comes once and clears once, with connectionCount around its threshold', async () => {
      const { clock, alerts, connect } = await watched({ alertThresholds: { connectionCount: 3 } });
      const others = [await connect(), await connect()];
      const since = Date.now();

      for (let sample = 0; sample < 3; sample++) await clock.tickAsync(1_000);
      const reached = [...alerts];
      for (const other of others) await other.close();
      for (let sample = 0; sample < 3; sample++) await clock.tickAsync(1_000);

      const alert = { name: 'connectionCount', threshold: 3, since: since + 1_000 };
      expect(reached).to.deep.equal([{ ...alert, level: 'warning', value: 3 }]);
      expect(alerts.slice(1)).to.deep.equal([{ ...alert, level: 'cleared', value: 1 }]);
    });

    it('degrades the health while it is active, from the moment that its listeners are called', async () => {
      const { clock, manager, connect } = await watched({ alertThresholds: { connectionCount: 2 } });
      const heardBy: HealthReport[] = [];
      manager.on('alert', () => heardBy.push(manager.getHealth().checks['monitoring']!));
      const other = await connect();

      await clock.tickAsync(1_000);
      const standing = manager.api('monitoring').alerts();
      await other.close();
      await clock.tickAsync(1_000);

      expect(heardBy.map(({ status, alerts }) => [status, alerts])).to.deep.equal([['degraded', ['connectionCount']], ['healthy', []]]);
      expect(standing.map(({ name }) => name)).to.deep.equal(['connectionCount']);
      expect(manager.api('monitoring').alerts()).to.deep.equal([]);
      expect(manager.getHealth().status).to.equal('healthy');
    });

    it('is among the metrics and in the log', async () => {
      const lines: string[] = [];
      const logger = { ...QUIET.logger, warn: (line: string) => lines.push(`warn ${line}`), info: (line: string) => lines.push(`info ${line}`) };
      const clock = frozen();
      const { manager, connect } = await start({ logger, use: [monitoring({ alertThresholds: { connectionCount: 1 } })] });
      const client = await connect();

      await clock.tickAsync(1_000);
      const during = metrics(manager);
      await client.close();
      await clock.tickAsync(1_000);

      const of = (list: LabelledValue[]) => list.find(({ labels }) => labels['alert'] === 'connectionCount')!.value;
      expect([of(during['alert_active']), of(during['alerts_total'])]).to.deep.equal([1, 1]);
      expect([of(metrics(manager)['alert_active']), of(metrics(manager)['alerts_total'])]).to.deep.equal([0, 1]);
      expect(lines.filter((line) => line.includes('websocket:monitoring'))).to.deep.equal([
        'warn websocket:monitoring alert: connectionCount {"value":1,"threshold":1}',
        'info websocket:monitoring cleared: connectionCount {"value":0,"threshold":1}',
      ]);
    });

    it('of errorRate needs enough messages, and clears when the failures are forgotten', async () => {
      const { clock, alerts, client } = await watched({ alertThresholds: { errorRate: 0.5 }, window: 12_000 });

      await repeat(client, 'fail', 9);
      await clock.tickAsync(1_000);
      const tooFew = alerts.length;
      await repeat(client, 'fail', 1);
      await clock.tickAsync(1_000);
      const first = [...alerts];
      for (let sample = 0; sample < 13; sample++) await clock.tickAsync(1_000);

      expect(tooFew).to.equal(0);
      expect(first).to.have.lengthOf(1);
      expect(first[0]).to.include({ name: 'errorRate', level: 'warning', value: 1, threshold: 0.5 });
      expect(alerts.slice(1).map(({ name, level, value }) => [name, level, value])).to.deep.equal([['errorRate', 'cleared', 0]]);
    });

    for (const window of [1_000, 11_500, 17_000, 18_000, 25_000]) {
      it(`of errorRate is active for a window of ${window} ms, and less than two twelfths or samples more`, async () => {
        const { clock, alerts, client } = await watched({ alertThresholds: { errorRate: 0.5 }, window });
        await repeat(client, 'fail', 10);
        let samples = 0;
        while (alerts.length < 2 && samples < 60) {
          await clock.tickAsync(1_000);
          samples++;
        }

        const stood = (samples - 1) * 1_000;
        expect(alerts.map(({ level }) => level)).to.deep.equal(['warning', 'cleared']);
        expect(stood).to.be.within(window - 999, window + 2 * Math.max(1_000, Math.ceil(window / 12_000) * 1_000));
      });
    }

    it('of errorRate does not come and go while single messages hover around the minimum', async () => {
      const { clock, alerts, client } = await watched({ alertThresholds: { errorRate: 0.5 }, minimum: 2, window: 12_000 });

      for (let sample = 0; sample < 40; sample++) {
        await repeat(client, 'fail', sample % 12 === 0 ? 2 : 0);
        await clock.tickAsync(1_000);
      }

      expect(alerts.map(({ level }) => level)).to.deep.equal(['warning']);
    });

    it('of errorRate counts what isFailure says', async () => {
      const isFailure = ({ code }: ModuleError): boolean => code !== 'INTERNAL_ERROR';
      const { clock, alerts, client, manager } = await watched({ alertThresholds: { errorRate: 0.5 }, isFailure });

      await repeat(client, 'fail', 20);
      await clock.tickAsync(1_000);
      const spared = alerts.length;
      await repeat(client, 'unheard-of', 20);
      await clock.tickAsync(1_000);

      expect(spared).to.equal(0);
      expect(alerts).to.have.lengthOf(1);
      expect(metrics(manager)).to.include({ messages_failed_total: 20, message_failures_ratio: 0.5 });
    });

    it('of errorRate does not count what clients cause, and counts a handler that does not answer in time', async () => {
      const clock = frozen();
      const { manager, connect } = await start({ ...QUIET, heartbeat: false, message: { timeout: 20 }, use: [monitoring()] });
      manager.registerHandler('refuse', () => { throw new ModuleError('NO_LUCK'); });
      manager.registerHandler('overloaded', () => { throw new ModuleError('BUSY', {}, { expose: true, status: 503 }); });
      manager.registerHandler('hang', () => new Promise(() => {}));
      const [client, alerts] = [await connect(), heard(manager)];

      await repeat(client, 'refuse', 20);
      await repeat(client, 'unheard-of', 20);
      for (let count = 0; count < 5; count++) await client.send('{');
      await clock.tickAsync(1_000);
      const byClients = [manager.getHealth().status, alerts.length, metrics(manager)['messages_failed_total']];
      await repeat(client, 'hang', 3);
      await repeat(client, 'overloaded', 2);
      await clock.tickAsync(1_000);

      expect(byClients).to.deep.equal(['healthy', 0, 0]);
      expect([manager.getHealth().status, alerts.length, metrics(manager)['messages_failed_total']]).to.deep.equal(['degraded', 1, 5]);
    });

    it('of responseTime comes when one message in twenty takes longer', async () => {
      const { clock, alerts, client, manager } = await watched({ alertThresholds: { responseTime: 500 } });
      manager.registerHandler('slow', () => new Promise((resolve) => setTimeout(() => resolve('done'), 550)));

      await repeat(client, 'ping', 19);
      await clock.tickAsync(1_000);
      const before = alerts.length;
      await repeat(client, 'slow', 2);
      await clock.tickAsync(1_000);

      expect(before).to.equal(0);
      expect(alerts).to.have.lengthOf(1);
      expect(alerts[0]).to.include({ name: 'responseTime', threshold: 500 });
      expect(alerts[0]!.value).to.be.within(500, 20_000);
      const { buckets, count } = metrics(manager)['message_duration_seconds'] as HistogramValue;
      expect(count - buckets.find(([bound]) => bound === 0.025)![1]).to.be.at.least(2);
    });

    it('of memory comes when the process uses the allowed share of memory', async () => {
      const { clock, alerts } = await watched({ alertThresholds: { memory: 0.000_1 } });

      await clock.tickAsync(1_000);
      await clock.tickAsync(1_000);

      expect(alerts).to.have.lengthOf(1);
      expect(alerts[0]).to.include({ name: 'memory', level: 'warning' });
      expect(alerts[0]!.value).to.be.within(0.000_1, 1);
    });

    it('never comes from a metric that is off', async () => {
      const off = { errorRate: false, responseTime: false, connectionCount: false, memory: false, eventLoopLag: false } as const;
      const { clock, alerts, client, manager } = await watched({ alertThresholds: off });

      await repeat(client, 'fail', 20);
      await clock.tickAsync(1_000);

      expect(alerts).to.deep.equal([]);
      expect(metrics(manager)['alert_active']).to.deep.equal([]);
    });

    it('reaches the other listeners when one throws, and is not repeated', async () => {
      const { clock, alerts, manager, connect } = await watched({ alertThresholds: { connectionCount: 2 } });
      manager.on('alert', () => { throw new Error('a listener of the application'); });
      const after = heard(manager);
      await connect();

      await clock.tickAsync(1_000);
      await clock.tickAsync(1_000);

      expect([alerts.length, after.length]).to.deep.equal([1, 1]);
    });
  });

  describe('HOSTILE 27: a stall of the event loop', () => {
    it('shows in the lag, whenever it begins', async () => {
      const { manager } = await start({ use: [monitoring({ interval: 50, window: 60_000 })] });

      stall(300);
      await eventually('the stall in the metric', () => metrics(manager)['event_loop_lag_seconds'] >= 0.25);
      const first = metrics(manager)['event_loop_lag_seconds'] as number;
      stall(600);
      await eventually('the longer stall in the metric', () => metrics(manager)['event_loop_lag_seconds'] >= 0.55);

      expect(first).to.be.within(0.25, 0.59);
    });

    it('alerts, drops no client, and clears when the window has passed', async () => {
      const options = { interval: 20, window: 240, alertThresholds: { eventLoopLag: 200, memory: false } } as const;
      const { manager, connect } = await start({ ...QUIET, heartbeat: { interval: 100, timeout: 50 }, use: [monitoring(options)] });
      const client = await connect();
      const alerts = heard(manager);

      stall(500);
      await eventually('the alert to come and to clear', () => alerts.length === 2 || alerts);

      expect(alerts.map(({ name, level }) => [name, level])).to.deep.equal([['eventLoopLag', 'warning'], ['eventLoopLag', 'cleared']]);
      expect(alerts[0]!.value).to.be.within(300, 5_000);
      expect((await client.request({ type: 'ping' })).type).to.equal('pong');
    });
  });

  describe('its metrics', () => {
    it('show how much waits for a client that does not read', async () => {
      const { clock, manager, port, connect } = await watched();
      await connect();
      const slow = connectTcp(port, '127.0.0.1');
      cleanup(() => slow.destroy());
      const key = Buffer.alloc(16).toString('base64');
      slow.write(`GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`);
      await once(slow, 'data');
      slow.pause();

      // As much as the operating system takes for it, and then some.
      await eventually('something to wait', async () => {
        for (const { id, ip } of manager.connections.values()) if (ip) manager.sendToConnection(id, { type: 'bulk', content: 'x'.repeat(200_000) });
        await new Promise(setImmediate);
        await clock.tickAsync(1_000);
        return metrics(manager)['waiting_bytes'] > 200_000;
      });

      const { waiting_bytes: waiting, highest_waiting_bytes: highest, connections_backlogged: backlogged } = metrics(manager);
      expect(backlogged).to.be.within(1, 3);
      expect(highest).to.be.within(waiting / backlogged, waiting);
    });

    it('count connections that are not read from, because too many of their messages wait', async () => {
      const clock = frozen();
      const { manager, connect } = await start({ use: [monitoring()], message: { maxWaiting: 2 } });
      let release = () => {};
      manager.registerHandler('hold', () => new Promise<void>((resolve) => (release = resolve)));
      const client = await connect();

      for (let index = 0; index < 4; index++) await client.send({ type: 'hold' });
      await eventually('the pause', async () => {
        await clock.tickAsync(1_000);
        return metrics(manager)['connections_paused'] === 1;
      });

      cleanup(() => { for (let index = 0; index < 4; index++) setImmediate(() => release()); });
      expect(metrics(manager)['connections_paused']).to.equal(1);
    });

    it('count closed connections by code, with a limit on the codes that clients can cause', async () => {
      const { manager, connect } = await watched();

      for (const code of [1000, 1000, 4010, 3000, 3001, 4998, 4999]) await (await connect()).close(code);
      await eventually('the connections to be gone', () => manager.connections.size === 1);

      const closed = metrics(manager)['connections_closed_total'] as LabelledValue[];
      expect(closed).to.have.deep.members([
        { labels: { code: '1000' }, value: 2 }, { labels: { code: '4010' }, value: 1 }, { labels: { code: 'other' }, value: 4 },
      ]);
      expect(metrics(manager)['connection_lifetime_seconds'].count).to.equal(7);
    });

    it('measure lifetimes on the monotonic clock, also of connections that were there before', async () => {
      const clock = useFakeTimers({ toFake: ['Date', 'performance'], now: Date.now() });
      cleanup(() => clock.restore());
      const { manager, connect } = await start({ ...QUIET, heartbeat: false });
      const before = await connect();
      clock.tick(20_000);
      manager.use(monitoring());
      await manager.ready();
      const after = await connect();

      clock.tick(5_000);
      // The wall clock is set: the monotonic one goes on.
      clock.setSystemTime(Date.now() + 86_400_000);
      await Promise.all([before, after].map((client) => client.close()));
      await eventually('the connections to be gone', () => manager.connections.size === 0);

      const { sum, count } = metrics(manager)['connection_lifetime_seconds'] as HistogramValue;
      expect([sum, count]).to.deep.equal([30, 2]);
    });

    it('are there while other collectors and checks throw, hang and reject', async () => {
      const { manager, client } = await watched();
      const errors: Error[] = [];
      manager.on('error', (error) => errors.push(error));
      manager.use(definePlugin({
        name: 'broken',
        setup(context) {
          context.metrics(() => { throw new Error('a collector'); });
          context.health('hangs', () => new Promise(() => {}));
          context.health('rejects', () => Promise.reject(new Error('a check')));
          context.health('throws', () => { throw new Error('another check'); });
        },
      }));
      await manager.ready();

      await repeat(client, 'ping', 3);
      await new Promise(setImmediate);

      expect(metrics(manager)['message_duration_seconds'].count).to.equal(3);
      expect(errors.map(({ message }) => message)).to.include('a collector');
      const { status, checks } = manager.getHealth();
      expect(status).to.equal('unhealthy');
      expect(checks).to.deep.include.keys('monitoring', 'rejects', 'throws');
      expect(checks['monitoring']).to.include({ status: 'healthy' });
      expect(checks['rejects']).to.include({ status: 'unhealthy', error: 'a check' });
    });

    it('go on when isFailure throws, and the sender is answered', async () => {
      const clock = frozen();
      const { manager, connect } = await start({ ...QUIET, use: [monitoring({ isFailure: () => { throw new Error('of the application'); } })] });
      const errors: Error[] = [];
      manager.on('error', (error) => errors.push(error));
      const client = await connect();

      const reply = await client.request({ type: 'unheard-of' });
      await repeat(client, 'ping', 2);
      await clock.tickAsync(1_000);

      expect(reply.content.code).to.equal('UNKNOWN_TYPE');
      expect(metrics(manager)['message_duration_seconds'].count).to.be.at.least(2);
    });

    it('are no longer taken after an unload, not even by Node\'s own histograms', async () => {
      const stop = spy(Vitals.prototype, 'stop');
      cleanup(() => stop.restore());
      const { manager, clock } = await watched();
      const sample = spy(Vitals.prototype, 'sample');
      cleanup(() => sample.restore());
      await clock.tickAsync(1_000);

      await manager.unload('monitoring');
      await clock.tickAsync(5_000);

      expect([sample.callCount, stop.callCount]).to.deep.equal([1, 1]);
    });

    it('begin at zero after an unload and a second load', async () => {
      const { manager, client } = await watched();
      await repeat(client, 'ping', 3);

      await manager.unload('monitoring');
      const between = manager.getMetrics().plugins;
      manager.use('monitoring');
      await manager.ready();
      await repeat(client, 'ping', 2);

      expect(between).to.deep.equal({});
      expect(metrics(manager)['message_duration_seconds'].count).to.equal(2);
    });
  });

  describe('its options', () => {
    const wrong: readonly (readonly [options: object, code: string, path: string])[] = [
      [{ interval: '1s' }, 'OPTION_INVALID', 'monitoring.interval'],
      [{ interval: 0 }, 'OPTION_INVALID', 'monitoring.interval'],
      [{ window: NaN }, 'OPTION_INVALID', 'monitoring.window'],
      [{ window: -1 }, 'OPTION_INVALID', 'monitoring.window'],
      [{ minimum: 0.5 }, 'OPTION_INVALID', 'monitoring.minimum'],
      [{ hysteresis: 1 }, 'OPTION_INVALID', 'monitoring.hysteresis'],
      [{ isFailure: true }, 'OPTION_INVALID', 'monitoring.isFailure'],
      [{ alertThresholds: [] }, 'OPTION_INVALID', 'monitoring.alertThresholds'],
      [{ alertThresholds: { errorRate: 5 } }, 'OPTION_INVALID', 'monitoring.alertThresholds.errorRate'],
      [{ alertThresholds: { errorRate: 0 } }, 'OPTION_INVALID', 'monitoring.alertThresholds.errorRate'],
      [{ alertThresholds: { memory: 500 } }, 'OPTION_INVALID', 'monitoring.alertThresholds.memory'],
      [{ alertThresholds: { responseTime: '5s' } }, 'OPTION_INVALID', 'monitoring.alertThresholds.responseTime'],
      [{ alertThresholds: { connectionCount: Infinity } }, 'OPTION_INVALID', 'monitoring.alertThresholds.connectionCount'],
      [{ alertThresholds: { eventLoopLag: true } }, 'OPTION_INVALID', 'monitoring.alertThresholds.eventLoopLag'],
      [{ alertThresholds: { responsTime: 5 } }, 'OPTION_UNKNOWN', 'monitoring.alertThresholds.responsTime'],
      [{ intervall: 5 }, 'OPTION_UNKNOWN', 'monitoring.intervall'],
    ];

    it('take the default for a threshold that is undefined', async () => {
      const { clock, alerts, client } = await watched({ alertThresholds: { errorRate: undefined, memory: false, eventLoopLag: false } });

      await repeat(client, 'ping', 30);
      await clock.tickAsync(1_000);
      const before = alerts.length;
      await repeat(client, 'fail', 10);
      await clock.tickAsync(1_000);

      expect(before).to.equal(0);
      expect(alerts).to.have.lengthOf(1);
      expect(alerts[0]).to.include({ name: 'errorRate', threshold: 0.05 });
    });

    for (const [options, code, path] of wrong) {
      it(`refuse ${JSON.stringify(options)} with ${code}, naming ${path}`, () => {
        expect(() => monitoring(options)).to.throw(ModuleError, path).with.property('code', code);
      });
    }

    it('are given to the manager with its name, and refused there by name', async () => {
      const { manager } = await start({ ...QUIET });

      manager.use('monitoring', { interval: 0 });

      const error = await manager.ready().then(() => undefined, (thrown: unknown) => thrown as Error);
      expect(error?.message).to.match(/monitoring\.interval/);
      await manager.unload('monitoring');
    });
  });

  it('is a property of itself, so that `require()` can be destructured', () => {
    expect(monitoring.monitoring).to.equal(monitoring);
  });
});

pluginSuite('monitoring', () => monitoring({ interval: 10, alertThresholds: { connectionCount: 1 } }), {
  options: QUIET,
  exercise: async ({ manager }) => {
    await new Promise<void>((resolve) => {
      const listener = (): void => (manager.off('alert', listener), resolve());
      manager.on('alert', listener);
    });
  },
});
