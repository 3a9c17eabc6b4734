import { EventEmitter, once } from 'node:events';
import { expect } from 'chai';
import fc from 'fast-check';
import sinon from 'sinon';
import {
  definePlugin, ModuleError, type Connection, type Node, type UpgradeLayer, type UpgradeRequest, type Usable,
} from '../../index.ts';
import { connectionLimits, type ConnectionLimitsOptions } from '../../middleware/connection-limits.ts';
import { as, from, names } from '../support/callers.ts';
import { cleanup } from '../support/cleanup.ts';
import type { Client, UpgradeRefused } from '../support/client.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { handshake, raw } from '../support/raw.ts';
import { start, type Started } from '../support/start.ts';
import { eventually } from '../support/timing.ts';
import { setUp, stubConnection } from '../support/stub-context.ts';

const limited = (options: ConnectionLimitsOptions, ...more: readonly Usable[]) =>
  start({ trustProxy: ['127.0.0.0/8'], use: [connectionLimits(options), ...more] });

const refusalOf = (attempt: Promise<Client>) => attempt.then(() => undefined, (error: unknown) => error as UpgradeRefused);

/** How many of so many at once come in, and what the others are told. */
async function burst({ connect }: Started, count: number, options: Parameters<Started['connect']>[0] = {}) {
  const attempt = () => connect(options).then((client) => client, (error: unknown) => (error as UpgradeRefused).status);
  const answers = await Promise.all(Array.from({ length: count }, attempt));
  return {
    clients: answers.filter((answer) => typeof answer !== 'number'),
    refused: answers.filter((answer) => typeof answer === 'number'),
  };
}

/** Upgrades without a server: an upgrade is a socket and an address. */
function gate(options: ConnectionLimitsOptions) {
  const stub = setUp(connectionLimits(options));
  const layer = stub.layers[0] as UpgradeLayer;
  const enter = (ip: string): EventEmitter | undefined => {
    const socket = new EventEmitter();
    try {
      void layer.handler({ socket } as unknown as UpgradeRequest, { ip });
      return socket;
    } catch (error) {
      expect(error).to.have.property('code', 'TOO_MANY_CONNECTIONS');
      return undefined;
    }
  };
  return { ...stub, enter };
}

const open = (value: unknown) => (value as { value: number }).value;

describe('connection-limits', () => {
  it('is a built-in', async () => {
    const { connect } = await start({ middleware: ['connectionLimits'], builtins: { connectionLimits: { maxPerIP: 5 } } });
    const client = await connect();

    const reply = await client.request({ type: 'init' });

    expect(reply.content.features).to.include('connection-limits');
  });

  describe('of an address', () => {
    it('answers a connection above the limit with 429, and accepts other addresses', async () => {
      const { connect } = await limited({ maxPerIP: 2 });
      await connect(from('192.0.2.1'));
      await connect(from('192.0.2.1'));

      const refusal = await refusalOf(connect(from('192.0.2.1')));
      const other = await connect(from('192.0.2.2'));

      expect(refusal).to.have.property('status', 429);
      expect(JSON.parse(refusal!.body)).to.include({ code: 'TOO_MANY_CONNECTIONS' });
      expect(refusal!.headers).to.have.property('retry-after');
      expect(other.ws.readyState).to.equal(other.ws.OPEN);
    });

    it('accepts 50 by default, and any number when the limit is off', () => {
      const usual = gate({});
      const any = gate({ maxPerIP: false });

      expect(Array.from({ length: 80 }, () => usual.enter('192.0.2.1')).filter(Boolean)).to.have.lengthOf(50);
      expect(Array.from({ length: 80 }, () => any.enter('192.0.2.1')).filter(Boolean)).to.have.lengthOf(80);
    });

    it('counts an IPv6 /64 network as one address', async () => {
      const { connect } = await limited({ maxPerIP: 1 });
      await connect(from('2001:db8::1'));

      const neighbour = await refusalOf(connect(from('2001:db8:0:0:ffff::9')));
      const stranger = await connect(from('2001:db8:0:1::1'));

      expect(neighbour).to.have.property('status', 429);
      expect(stranger.ws.readyState).to.equal(stranger.ws.OPEN);
    });

    it('does not count clients of unknown address, as over a unix socket', () => {
      const { enter, metrics } = gate({ maxPerIP: 1, maxPerWindow: 1 });

      expect([enter(''), enter(''), enter('')]).to.not.include(undefined);
      expect(open(metrics().connection_limits_open_addresses)).to.equal(0);
    });

    it('ignores the forwarding headers of an untrusted peer', async () => {
      const { connect } = await start({ use: [connectionLimits({ maxPerIP: 1 })] });
      await connect(from('192.0.2.1'));

      const refusal = await refusalOf(connect(from('192.0.2.2')));

      expect(refusal).to.have.property('status', 429);
    });

    it('HOSTILE 8: accepts exactly the limit from a burst of upgrades, and again after these have disconnected', async () => {
      const started = await limited({ maxPerIP: 20 });

      const first = await burst(started, 100, from('192.0.2.1'));
      expect(first.clients).to.have.lengthOf(20);
      expect(first.refused).to.deep.equal(Array(80).fill(429));

      await Promise.all(first.clients.map((client) => client.close()));
      await eventually('no connection', () => started.manager.connections.size === 0);
      const second = await burst(started, 100, from('192.0.2.1'));
      expect(second.clients).to.have.lengthOf(20);
    });

    it('counts a connection only while its socket is open, whatever the result of the upgrade', async () => {
      let letGo = (): void => {};
      const later: Record<string, () => unknown> = {
        'refused by a later upgrade layer': () => { throw new ModuleError('FORBIDDEN', {}); },
        'gone while a later layer thinks': () => new Promise<void>((resolve) => { letGo = resolve; }),
        'let in': () => undefined,
      };
      for (const [fate, handler] of Object.entries(later)) {
        const started = await limited({ maxPerIP: 1 }, { type: 'upgrade', name: 'later', handler: handler as UpgradeLayer['handler'] });
        const metric = () => started.manager.getMetrics().plugins['connection-limits']!.connection_limits_open_addresses;
        const client = await raw(started);
        await client.write(handshake(started));
        if (fate.startsWith('gone')) await eventually('the upgrade', () => metric() === 1);
        else await client.answer();

        client.reset();

        await eventually(`none counted (${fate})`, () => metric() === 0);
        letGo();
      }
    });

    it('stops counting a connection that a connection layer rejects', async () => {
      const started = await limited({ maxPerIP: 1 }, { type: 'connection', name: 'no', handler: () => false });

      for (let attempt = 0; attempt < 3; attempt++) {
        const client = await started.connect();
        expect((await client.closed).code).to.equal(4003);
        await eventually('none counted', () => started.manager.getMetrics().plugins['connection-limits']!.connection_limits_open_addresses === 0);
      }
    });

    it('counts connections that were open before it was loaded', async () => {
      const started = await start();
      const early = await started.connect();
      started.manager.use(connectionLimits({ maxPerIP: 1 }));
      await started.manager.ready();

      const refusal = await refusalOf(started.connect());
      await early.close();
      await eventually('no connection', () => started.manager.connections.size === 0);
      const next = await started.connect();

      expect(refusal).to.have.property('status', 429);
      expect(next.ws.readyState).to.equal(next.ws.OPEN);
    });

    it('removes its listeners from all sockets when it is unloaded', async () => {
      const listeners: number[] = [];
      let socket: EventEmitter | undefined;
      const spy: UpgradeLayer = { type: 'upgrade', name: 'spy', handler: (request) => { socket = request.socket; } };
      for (const use of [[spy], [connectionLimits(), spy]]) {
        const { manager, connect } = await start({ use });
        await connect();
        if (use.length > 1) await manager.unload('connection-limits');
        listeners.push(socket!.listenerCount('close'));
      }

      expect(listeners[1]).to.equal(listeners[0]);
    });
  });

  describe('in a window', () => {
    it('rejects an address that connects too often, although each connection was closed', async () => {
      const started = await limited({ maxPerWindow: 3 });
      for (let count = 0; count < 3; count++) await (await started.connect(from('192.0.2.1'))).close();

      const refusal = await refusalOf(started.connect(from('192.0.2.1')));
      const other = await started.connect(from('192.0.2.2'));

      expect(refusal).to.have.property('status', 429);
      expect(other.ws.readyState).to.equal(other.ws.OPEN);
    });

    it('never accepts more than maxPerWindow plus the share of the elapsed time', () => {
      const clock = sinon.useFakeTimers({ toFake: ['performance'] });
      cleanup(() => clock.restore());
      fc.assert(fc.property(
        fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 10_000 }),
        fc.array(fc.record({ wait: fc.integer({ min: 0, max: 5_000 }), count: fc.integer({ min: 1, max: 10 }) }), { maxLength: 40 }),
        (maxPerWindow, windowMs, steps) => {
          const { enter } = gate({ maxPerIP: false, maxPerWindow, windowMs });
          const times: number[] = [];
          for (const { wait, count } of steps) {
            clock.tick(wait);
            for (let each = 0; each < count; each++) if (enter('192.0.2.1')) times.push(performance.now());
          }
          for (let first = 0; first < times.length; first++) {
            for (let last = first; last < times.length; last++) {
              expect(last - first + 1).to.be.at.most(maxPerWindow * (1 + (times[last]! - times[first]!) / windowMs) + 1e-6);
            }
          }
        },
      ));
    });

    it('is full again after one window, and no sooner', () => {
      const clock = sinon.useFakeTimers({ toFake: ['performance'] });
      cleanup(() => clock.restore());
      const { enter } = gate({ maxPerIP: false, maxPerWindow: 10, windowMs: 1_000 });
      const count = () => Array.from({ length: 30 }, () => enter('192.0.2.1')).filter(Boolean).length;

      const counts = [count(), (clock.tick(500), count()), (clock.tick(1_000), count()), (clock.tick(99), count()), (clock.tick(1), count())];

      expect(counts).to.deep.equal([10, 5, 10, 0, 1]);
    });

    it('HOSTILE 38: rejects new addresses when maxTracked have used their window, and keeps those', () => {
      const clock = sinon.useFakeTimers({ toFake: ['performance'] });
      cleanup(() => clock.restore());
      const { enter } = gate({ maxPerWindow: 1, windowMs: 1_000, maxTracked: 3 });
      for (const n of [1, 2, 3]) enter(`10.0.0.${n}`);

      for (let n = 4; n < 200; n++) expect(enter(`10.0.0.${n}`)).to.equal(undefined);
      expect([1, 2, 3].map((n) => enter(`10.0.0.${n}`)), 'their windows are as used up as before').to.deep.equal([undefined, undefined, undefined]);
      clock.tick(1_000);
      expect(enter('10.0.0.4')).to.not.equal(undefined);
    });
  });

  describe('of a user', () => {
    it('closes a connection above the limit with 4129, and keeps the others', async () => {
      const { manager, connect } = await limited({ maxPerUser: 2 }, names);
      const first = await connect(as('ann'));
      const second = await connect(as('ann'));

      const third = await connect(as('ann'));
      const bob = await connect(as('bob'));

      const { code, reason } = await third.closed;
      expect([code, reason]).to.deep.equal([4129, 'TOO_MANY_CONNECTIONS: too many connections from this user']);
      expect([first, second, bob].map(({ ws }) => ws.readyState)).to.deep.equal([1, 1, 1]);
      await eventually('three left', () => manager.connections.size === 3);
    });

    it('accepts another after one has disconnected, and does not count rejected ones', async () => {
      const { manager, connect } = await limited({ maxPerUser: 1 }, names);
      const first = await connect(as('ann'));
      await (await connect(as('ann'))).closed;
      await first.close();
      await eventually('no connection', () => manager.connections.size === 0);

      const next = await connect(as('ann'));
      const reply = await next.request({ type: 'ping' });

      expect(reply.type).to.equal('pong');
    });

    it('closes the oldest with 4011 instead with replace-oldest, so that a user can reconnect after a broken link', async () => {
      const { manager, connect } = await limited({ maxPerUser: 2, whenUserFull: 'replace-oldest' }, names);
      const first = await connect(as('ann'));
      const second = await connect(as('ann'));

      const third = await connect(as('ann'));

      const { code, reason } = await first.closed;
      expect([code, reason]).to.deep.equal([4011, 'REPLACED: a newer connection of this user']);
      expect([second, third].map(({ ws }) => ws.readyState)).to.deep.equal([1, 1]);
      await eventually('two left', () => manager.connections.size === 2);
      await (await connect(as('ann'))).request({ type: 'ping' });
      expect((await second.closed).code).to.equal(4011);
    });

    it('stops counting a replaced connection, even if its close frame is never answered', () => {
      const closed: string[] = [];
      const connection = (id: string) => stubConnection({ id, user: { id: 'ann' }, close: (code) => void closed.push(`${id} ${code}`) });
      const stub = setUp(connectionLimits({ maxPerUser: 1, whenUserFull: 'replace-oldest' }));

      for (const id of ['a', 'b', 'c']) stub.tell('connection:identified', connection(id));
      stub.tell('connection:removed', connection('a'), { code: 1006, reason: '' });
      stub.tell('connection:identified', connection('c'));
      stub.tell('connection:identified', connection('d'));

      expect(closed).to.deep.equal(['a 4011', 'b 4011', 'c 4011']);
    });

    it('counts a connection once, from its first authentication on', async () => {
      let node!: Node;
      const late = definePlugin({ name: 'late', setup: (context) => { node = context.node; } });
      const { manager, connect } = await limited({ maxPerUser: 1 }, late);
      const clients = [await connect(), await connect()];
      const [first, second] = [...manager.connections.values()] as [Connection, Connection];

      node.identify(first, { id: 'ann' });
      node.identify(first, { id: 'ann', roles: ['admin'] });
      expect(first.isOpen).to.equal(true);
      node.identify(second, { id: 'ann' });

      expect((await clients[1]!.closed).code).to.equal(4129);
      expect(clients[0]!.ws.readyState).to.equal(1);
    });

    it('stops counting a connection for its user when the plugin that identified it is unloaded', async () => {
      const identifier = definePlugin({
        name: 'identifier',
        setup: ({ node }) => { for (const connection of node.connections.values()) node.identify(connection, { id: 'ann' }); },
      });
      const { manager, connect } = await limited({ maxPerUser: 1 }, names);
      const first = await connect();
      await manager.use(identifier).ready();
      await manager.unload('identifier');
      await first.close();
      await eventually('no connection', () => manager.connections.size === 0);

      const next = await connect(as('ann'));

      expect((await next.request({ type: 'ping' })).type).to.equal('pong');
    });

    it('counts anonymous connections only by their address', async () => {
      const { connect } = await limited({ maxPerUser: 1, maxPerIP: 3 }, names);

      const clients = [await connect(), await connect(), await connect()];

      expect(clients.map(({ ws }) => ws.readyState)).to.deep.equal([1, 1, 1]);
    });

    it('enforces the window for a user who connects from several addresses', async () => {
      const { connect } = await limited({ maxPerWindow: 2 }, names);
      for (const ip of ['192.0.2.1', '192.0.2.2']) await (await connect({ ...from(ip), ...as('ann') })).close();

      const third = await connect({ ...from('192.0.2.3'), ...as('ann') });

      expect((await third.closed).code).to.equal(4129);
    });

    it('counts connections that were open before it was loaded', () => {
      const connection = (id: string, close = (): void => {}) => stubConnection({ id, user: { id: 'ann' }, close });
      const stub = setUp(connectionLimits({ maxPerUser: 2 }), [connection('a'), connection('b')]);
      const closed: string[] = [];

      stub.tell('connection:identified', connection('c', () => closed.push('c')));
      stub.tell('connection:removed', connection('a'), { code: 1000, reason: '' });
      stub.tell('connection:identified', connection('d', () => closed.push('d')));

      expect(closed).to.deep.equal(['c']);
    });

    it('counts a connection no longer whose user is taken back, because what gave it was unloaded', async () => {
      const identifies = definePlugin({
        name: 'identifies',
        setup(context) {
          const identify = (connection: Connection): void => context.node.identify(connection, { id: 'ann' });
          for (const connection of context.node.connections.values()) identify(connection);
          context.on('connection:added', identify);
        },
      });
      const { manager, connect } = await limited({ maxPerUser: 1 }, identifies);
      const first = await connect();
      await manager.unload('identifies');
      await first.close();

      await manager.use(identifies).ready();
      const second = await connect();

      expect((await second.request({ type: 'ping' })).type).to.equal('pong');
      expect([...manager.connections.values()].map(({ user }) => user?.id)).to.deep.equal(['ann']);
    });
  });

  describe('while the event loop is late', () => {
    const stall = (milliseconds: number): void => {
      const end = performance.now() + milliseconds;
      while (performance.now() < end) { /* what a handler that computes does */ }
    };

    it('HOSTILE 27: answers upgrades with 503, closes no open connection, and accepts upgrades when it is over', async () => {
      const started = await start({ heartbeat: { interval: 300, timeout: 200 } });
      const present = await started.connect();
      await started.manager.use(connectionLimits({ maxEventLoopLag: 500 })).ready();
      // Two looks at the event loop are what a delay is measured between.
      for (let looks = 0; looks < 3; looks++) await new Promise((resolve) => setTimeout(resolve, 25));

      stall(1_500);
      const refusal = await refusalOf(started.connect());

      expect(refusal).to.have.property('status', 503);
      expect(JSON.parse(refusal!.body)).to.include({ code: 'SERVER_OVERLOADED' });
      await eventually('an upgrade accepted', () => started.connect().then(() => true, (error: unknown) => (error as UpgradeRefused).status));
      expect((await present.request({ type: 'ping' })).type).to.equal('pong');
    }).timeout(60_000);

    it('accepts upgrades when no limit is set', async () => {
      const started = await start({ use: [connectionLimits()] });

      stall(300);

      expect((await started.connect()).ws.readyState).to.equal(1);
    });

    it('detects consecutive stalls', async () => {
      const started = await start({ use: [connectionLimits({ maxEventLoopLag: 500 })] });
      const statuses: unknown[] = [];

      for (let round = 0; round < 2; round++) {
        stall(1_200);
        statuses.push((await refusalOf(started.connect()))?.status);
      }

      expect(statuses).to.deep.equal([503, 503]);
    }).timeout(60_000);
  });

  describe('with wrong options', () => {
    const wrong: readonly (readonly [given: unknown, code: string, text: RegExp])[] = [
      [{ maxPerIP: 0 }, 'OPTION_INVALID', /"connectionLimits\.maxPerIP" must be an integer from 1.*or false, but is 0/],
      [{ maxPerIP: '50' }, 'OPTION_INVALID', /connectionLimits\.maxPerIP/],
      [{ maxPerUser: false }, 'OPTION_INVALID', /connectionLimits\.maxPerUser/],
      [{ windowMs: -1 }, 'OPTION_INVALID', /connectionLimits\.windowMs/],
      [{ maxEventLoopLag: NaN }, 'OPTION_INVALID', /connectionLimits\.maxEventLoopLag/],
      [{ maxPerUser: 1, whenUserFull: 'refuse' }, 'OPTION_INVALID', /"refuse-newest", "replace-oldest"/],
      [{ whenUserFull: 'replace-oldest' }, 'OPTION_INVALID', /"connectionLimits\.whenUserFull" must be given with "maxPerUser"/],
      [{ maxPerIp: 50 }, 'OPTION_UNKNOWN', /did you mean "connectionLimits\.maxPerIP"/],
    ];
    for (const [given, code, text] of wrong) {
      it(`rejects ${JSON.stringify(given)} when it is created`, () => {
        expect(() => connectionLimits(given as ConnectionLimitsOptions)).to.throw(text).with.property('code', code);
      });
    }
  });

  it('exports itself as a property, so that a destructured require() works', () => {
    expect(connectionLimits.connectionLimits).to.equal(connectionLimits);
  });
});

pluginSuite('connection-limits', () => connectionLimits({ maxPerIP: 5, maxPerUser: 2, maxPerWindow: 100, maxEventLoopLag: 10_000 }), {
  exercise: async ({ connect }) => {
    const client = await connect();
    const gone = once(client.ws, 'close');
    client.ws.close();
    await gone;
  },
});
