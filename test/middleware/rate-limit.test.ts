import { expect } from 'chai';
import fc from 'fast-check';
import sinon from 'sinon';
import { customerKey, Message, ModuleError, type Connection, type MessageLayer } from '../../index.ts';
import { rateLimit, type RateLimitOptions } from '../../middleware/rate-limit.ts';
import { cleanup } from '../support/cleanup.ts';
import { frame, TEXT } from '../support/frames.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { rawWebSocket } from '../support/raw.ts';
import { start, type Started } from '../support/start.ts';
import { eventually, percentile, timed, withinAllowance } from '../support/timing.ts';
import { setUp, stubConnection } from '../support/stub-context.ts';

/** A clock that stands still until it is ticked. */
function standStill(): sinon.SinonFakeTimers {
  const clock = sinon.useFakeTimers({ toFake: ['performance'] });
  cleanup(() => clock.restore());
  return clock;
}

/** The layer without a server: says of a message whether it passed, and if not, why. */
function judge(options: RateLimitOptions) {
  const stub = setUp(rateLimit({ muteFor: 0, closeAfter: false, ...options }));
  const layer = stub.layers[0] as MessageLayer | undefined;
  const ask = (connection: Connection, type = 'chat', bytes = 20): Record<string, any> | undefined => {
    const verdict = stub.guards[0]!.charge(connection, bytes);
    if (verdict instanceof ModuleError) return verdict.details;
    try {
      layer?.handler(new Message({ type }), connection, () => undefined);
      return undefined;
    } catch (error) {
      return (error as { details: Record<string, any> }).details;
    }
  };
  const passed = (connection: Connection, count: number, type?: string, bytes?: number) =>
    Array.from({ length: count }, () => ask(connection, type, bytes)).filter((refusal) => !refusal).length;
  return { ...stub, ask, passed };
}

const one = stubConnection({ id: 'one' });
const other = stubConnection({ id: 'other', ip: '192.0.2.2' });

describe('rate-limit', () => {
  it('answers a message above the limit with RATE_LIMITED and the time to wait', async () => {
    const { manager, connect } = await start({ use: [rateLimit({ maxPerSecond: 0.1, burstSize: 2 })] });
    manager.registerHandler('chat', () => 'said');
    const client = await connect();

    const replies = [await client.request({ type: 'chat' }), await client.request({ type: 'chat' }), await client.request({ type: 'chat' })];

    expect(replies.map(({ type }) => type)).to.deep.equal(['chat', 'chat', 'error']);
    expect(replies[2]!.content).to.include({ code: 'RATE_LIMITED', scope: 'connection' });
    expect(replies[2]!.content.retryAfter).to.be.within(5_000, 10_000);
  });

  it('is a built-in by either of its names', async () => {
    const { connect } = await start({ middleware: ['rateLimit'], builtins: { 'rate-limit': { maxPerSecond: 50 } } });
    const client = await connect();

    const reply = await client.request({ type: 'init' });

    expect(reply.content.features).to.include('rate-limit');
  });

  describe('as a token bucket', () => {
    it('lets a burst through, and then one each interval', () => {
      const clock = standStill();
      const { passed } = judge({ maxPerSecond: 10, burstSize: 5 });

      expect(passed(one, 20)).to.equal(5);
      clock.tick(99);
      expect(passed(one, 20)).to.equal(0);
      clock.tick(1);
      expect(passed(one, 20)).to.equal(1);
      clock.tick(10_000);
      expect(passed(one, 20)).to.equal(5);
    });

    it('uses a default rate of 100, and the rate as the default burst', () => {
      standStill();

      expect(judge({ maxPerSecond: 7 }).passed(one, 20)).to.equal(7);
      expect(judge({}).passed(one, 500)).to.equal(100);
      expect(judge({ maxPerSecond: 0.5 }).passed(one, 20)).to.equal(1);
    });

    it('enforces a rate per minute together with the rate per second', () => {
      const clock = standStill();
      const { passed } = judge({ maxPerSecond: 10, maxPerMinute: 30 });
      const counts: number[] = [];

      for (let second = 0; second < 10; second++) {
        counts.push(passed(one, 50));
        clock.tick(1_000);
      }

      // 30 at once are the minute's, and one every two seconds comes back.
      expect(counts).to.deep.equal([10, 10, 10, 1, 1, 0, 1, 0, 1, 0]);
    });

    it('enforces a rate per minute alone, with its own burst if one is given', () => {
      standStill();

      expect(judge({ maxPerMinute: 30 }).passed(one, 100)).to.equal(30);
      expect(judge({ maxPerMinute: 30, burstSize: 3 }).passed(one, 100)).to.equal(3);
    });

    it('takes no token for a rejected message', () => {
      const clock = standStill();
      const { passed } = judge({ maxPerSecond: 10, burstSize: 1, maxPerMinute: 100 });

      passed(one, 1_000);
      clock.tick(60_000);
      const counts = Array.from({ length: 100 }, () => {
        clock.tick(100);
        return passed(one, 1);
      });

      expect(counts.filter(Boolean)).to.have.lengthOf(100);
    });

    it('lets through never more than burst + rate × time, between any two messages', () => {
      const clock = standStill();
      fc.assert(fc.property(
        fc.record({ rate: fc.double({ min: 0.1, max: 1_000, noNaN: true }), burst: fc.integer({ min: 1, max: 50 }) }),
        fc.array(fc.record({ wait: fc.double({ min: 0, max: 500, noNaN: true }), messages: fc.integer({ min: 1, max: 30 }) }), { minLength: 1, maxLength: 40 }),
        ({ rate, burst }, steps) => {
          const { ask } = judge({ maxPerSecond: rate, burstSize: burst });
          const client = stubConnection({ id: 'x' });
          const times: number[] = [];
          for (const { wait, messages } of steps) {
            clock.tick(wait);
            for (let count = 0; count < messages; count++) if (!ask(client)) times.push(performance.now());
          }
          for (let from = 0; from < times.length; from++) {
            for (let to = from; to < times.length; to++) {
              expect(to - from + 1).to.be.at.most(burst + (rate * (times[to]! - times[from]!)) / 1_000 + 1e-6);
            }
          }
        },
      ));
    });

    it('gives a wait that is neither too short nor too long', () => {
      const clock = standStill();
      fc.assert(fc.property(
        fc.double({ min: 0.1, max: 500, noNaN: true }), fc.integer({ min: 1, max: 50 }), fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
        (maxPerSecond, burstSize, maxPerMinute) => {
          const { ask, passed } = judge({ maxPerSecond, burstSize, ...(maxPerMinute === undefined ? {} : { maxPerMinute }) });
          const client = stubConnection({ id: 'x' });
          passed(client, 600);
          const { retryAfter } = ask(client)!;

          clock.tick(retryAfter - 1);
          const early = ask(client);
          clock.tick(1);

          expect(early, 'a millisecond early').to.not.equal(undefined);
          expect(ask(client), 'in time').to.equal(undefined);
        },
      ));
    });
  });

  describe('in bytes', () => {
    it('lets a burst of bytes pass, and then the configured number per second', () => {
      const clock = standStill();
      const { ask } = judge({ maxPerSecond: 1_000, maxBytesPerSecond: 1_000, burstBytes: 3_000 });
      const sent = (bytes: number) => {
        let count = 0;
        while (!ask(one, 'chat', bytes)) count++;
        return count;
      };

      expect(sent(500)).to.equal(6);
      clock.tick(499);
      expect(ask(one, 'chat', 500)).to.deep.equal({ retryAfter: 1, scope: 'connection bytes' });
      clock.tick(1);
      expect(sent(500)).to.equal(1);
    });

    it('lets a message above the burst pass after a pause, and then waits until it is paid off', () => {
      const clock = standStill();
      const { ask } = judge({ maxBytesPerSecond: 1_000, burstBytes: 1_000 });

      expect(ask(one, 'chat', 5_000)).to.equal(undefined);
      expect(ask(one, 'chat', 20)).to.deep.equal({ retryAfter: 4_020, scope: 'connection bytes' });
      clock.tick(4_020);
      expect(ask(one, 'chat', 20)).to.equal(undefined);
    });

    it('takes 256 KiB a second and four times as much at once by default, and any number with maxBytesPerSecond: false', () => {
      standStill();

      expect(judge({ maxPerSecond: 100_000 }).passed(one, 100, 'chat', 65_536)).to.equal(16);
      expect(judge({ maxPerSecond: 100_000, maxBytesPerSecond: false }).passed(one, 100, 'chat', 1_048_576)).to.equal(100);
    });

    it('answers a message above the limit with RATE_LIMITED, and does not handle it', async () => {
      const { manager, connect } = await start({ use: [rateLimit({ maxBytesPerSecond: 100, burstBytes: 2_000 })] });
      let handled = 0;
      manager.registerHandler('chat', () => ++handled);
      const client = await connect();

      const replies = [1, 2].map(() => client.request({ type: 'chat', content: 'x'.repeat(1_500) }));

      expect((await Promise.all(replies)).map(({ type }) => type)).to.deep.equal(['chat', 'error']);
      expect((await replies[1]!).content).to.include({ code: 'RATE_LIMITED', scope: 'connection bytes' });
      expect(handled).to.equal(1);
    });
  });

  describe('of frames that reach no handler', () => {
    const strict = () => start({ use: [rateLimit({ maxPerSecond: 0.01, burstSize: 5, muteFor: 0, closeAfter: false })] });

    it('HOSTILE 36: counts acknowledgements that answer nothing', async () => {
      const { connect } = await strict();
      const client = await connect();

      for (let n = 0; n < 5; n++) void client.send({ type: 'ack', replyTo: 'nothing' });

      expect((await client.request({ type: 'ping' })).content).to.include({ code: 'RATE_LIMITED' });
    });

    it('HOSTILE 36: counts frames that are not messages', async () => {
      const { connect } = await strict();
      const client = await connect();

      for (let n = 0; n < 5; n++) client.ws.send('{');

      expect((await client.request({ type: 'ping' })).content).to.include({ code: 'RATE_LIMITED' });
    });

    it('takes nothing for a reply to an open request', async () => {
      const { manager, connect } = await strict();
      const client = await connect();
      const [id] = manager.connections.keys();
      client.ws.on('message', (data) => {
        const { type, id: replyTo } = JSON.parse((data as Buffer).toString()) as { type: string; id: string };
        if (type === 'question') client.ws.send(JSON.stringify({ type: 'answer', replyTo }));
      });

      for (let n = 0; n < 20; n++) expect((await manager.request(id!, { type: 'question' })).type).to.equal('answer');

      expect((await client.request({ type: 'ping' })).type).to.equal('pong');
    });
  });

  describe('by scope', () => {
    const user = (id: string, userId: string | undefined, ip = '192.0.2.1') => stubConnection({ id, ip, user: userId === undefined ? undefined : { id: userId } });

    it('counts each connection separately', () => {
      standStill();
      const { passed } = judge({ maxPerSecond: 3 });

      expect([passed(one, 5), passed(other, 5)]).to.deep.equal([3, 3]);
    });

    it('counts the connections of a user together', () => {
      standStill();
      const { passed, ask } = judge({ maxPerSecond: 3, by: 'user' });

      expect([passed(user('a', 'ann'), 2), passed(user('b', 'ann'), 2), passed(user('c', 'bob'), 2)]).to.deep.equal([2, 1, 2]);
      expect(ask(user('d', 'ann'))).to.include({ scope: 'user' });
    });

    it('counts a connection without a user by itself, and once', () => {
      standStill();

      expect(judge({ maxPerSecond: 4, by: 'user' }).passed(user('a', undefined), 5)).to.equal(4);
      expect(judge({ maxPerSecond: 4, by: ['connection', 'user'] }).passed(user('a', undefined), 5)).to.equal(4);
    });

    it('counts the connections of an IPv4 address, or of an IPv6 /64 network, together', () => {
      standStill();
      const { passed, ask } = judge({ maxPerSecond: 3, by: ['ip'] });
      const at = (id: string, ip: string) => stubConnection({ id, ip });

      expect([passed(at('a', '2001:db8::1'), 2), passed(at('b', '2001:db8::ffff:2'), 2), passed(at('c', '2001:db8:0:1::1'), 2)]).to.deep.equal([2, 1, 2]);
      expect(ask(at('d', '2001:db8:0:0:9::'))).to.include({ scope: 'ip' });
    });

    it('counts a client of unknown address, as over a unix socket, by its connection', () => {
      standStill();
      const { passed, metrics } = judge({ maxPerSecond: 3, by: 'ip' });
      const local = (id: string) => stubConnection({ id, ip: '' });

      expect([passed(local('a'), 5), passed(local('b'), 5)]).to.deep.equal([3, 3]);
      expect(metrics().rate_limit_tracked).to.include({ value: 0 });
    });

    it('needs a token of each scope, and takes none when one scope has none', () => {
      const clock = standStill();
      const { passed, ask } = judge({ maxPerSecond: 4, burstSize: 4, by: ['connection', 'ip'] });
      const neighbour = stubConnection({ id: 'neighbour' });

      expect(passed(one, 3)).to.equal(3);
      expect(passed(neighbour, 3)).to.equal(1);
      expect(ask(neighbour)).to.include({ scope: 'ip' });
      clock.tick(250);
      expect(passed(neighbour, 3)).to.equal(1);
    });

    it('limits a message type within the overall limit, in any spelling', () => {
      standStill();
      const { passed, ask } = judge({ maxPerSecond: 10, types: { send_chat: { maxPerSecond: 2 } } });

      expect([passed(one, 5, 'send-chat'), passed(one, 5, 'send chat')]).to.deep.equal([2, 0]);
      expect(ask(one, 'send_chat')).to.include({ scope: 'connection send-chat' });
      expect(passed(one, 20, 'other')).to.equal(8);
      expect(ask(one, 'send_chat'), 'refused before its type is known').to.include({ scope: 'connection' });
    });

    it('gives all addresses of a /64 the same key in any spelling, and other networks another key', () => {
      const group = fc.integer({ min: 0, max: 0xffff });
      const half = fc.tuple(group, group, group, group);
      const address = (groups: readonly number[]) => groups.map((value) => value.toString(16)).join(':');
      const shortened = (groups: readonly number[]) => address(groups).replace(/(^|:)0(:0)+(:|$)/, '::');

      fc.assert(fc.property(half, half, half, (network, a, b) => {
        expect(customerKey(shortened([...network, ...a]))).to.equal(customerKey(address([...network, ...b])));
      }));
      fc.assert(fc.property(half, fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 0xffff }), (network, at, by) => {
        const elsewhere = network.map((value, index) => (index === at ? (value + by) % 0x10000 : value));
        expect(customerKey(address([...network, 0, 0, 0, 1]))).to.not.equal(customerKey(address([...elsewhere, 0, 0, 0, 1])));
      }));
    });
  });

  describe('of clients that continue above the limit', () => {
    // One burst, and no further token while the test lasts, however slow the machine is.
    const eager = (options: RateLimitOptions) => start({ use: [rateLimit({ maxPerSecond: 0.01, burstSize: 5, ...options })] });

    it('mutes them: notifies once, stops reading for a while, and then continues in order', async () => {
      const { manager, connect } = await eager({ maxPerSecond: 10, muteAfter: 3, muteFor: 600 });
      const handled: { n: number; at: number }[] = [];
      manager.registerHandler('chat', ({ content }) => {
        handled.push({ n: content, at: performance.now() });
        return content;
      });
      const client = await connect();

      for (let n = 0; n < 13; n++) void client.send({ type: 'chat', content: n, id: String(n) });
      await eventually('an answer to each', () => client.messages.length >= 13 || client.messages.length);

      const refused = client.messages.filter(({ type }) => type === 'error');
      expect(refused.map(({ replyTo }) => replyTo)).to.deep.equal(['5', '6', '7']);
      expect(refused.map(({ content }) => content.muted)).to.deep.equal([undefined, undefined, true]);
      expect(refused[2]!.content.retryAfter).to.equal(600);
      expect(handled.map(({ n }) => n)).to.deep.equal([0, 1, 2, 3, 4, 8, 9, 10, 11, 12]);
      expect(handled[5]!.at - handled[4]!.at).to.be.at.least(590);
    });

    it('closes them with 4129 after closeAfter mutes', async () => {
      const { manager, connect } = await eager({ muteAfter: 2, muteFor: 20, closeAfter: 2 });
      manager.registerHandler('chat', () => undefined);
      const client = await connect();

      for (let n = 0; n < 50; n++) void client.send({ type: 'chat' });

      const { code, reason } = await client.closed;
      expect(code).to.equal(4129);
      expect(reason).to.match(/^RATE_LIMITED: retry after \d+ ms$/);
      expect(client.messages.map(({ content }) => content.code)).to.deep.equal(Array(5).fill('RATE_LIMITED'));
      const metrics = manager.getMetrics().plugins['rate-limit']!;
      const [refused, muted, closed] = ['refused', 'muted', 'closed'].map((name) => metrics[`rate_limit_${name}_total`]);
      expect([refused, muted, closed]).to.deep.equal([6, 2, 1]);
    });

    it('closes them at once with closeAfter: 0, and never mutes or closes with muteFor: 0 and closeAfter: false', async () => {
      const strict = await eager({ muteAfter: 1, closeAfter: 0 });
      const lenient = await eager({ muteFor: 0, closeAfter: false });
      const [first, second] = [await strict.connect(), await lenient.connect()];

      for (let n = 0; n < 100; n++) {
        void first.send({ type: 'ping' });
        void second.send({ type: 'ping' });
      }

      expect((await first.closed).code).to.equal(4129);
      await eventually('an answer to each', () => second.messages.length === 100 || second.messages.length);
      expect(second.messages.filter(({ type }) => type === 'error')).to.have.lengthOf(95);
    });

    it('resets the count of rejections after a minute without one', () => {
      const clock = standStill();
      let closed = 0;
      const client = stubConnection({ id: 'x', close: () => { closed++; } });
      const { passed } = judge({ maxPerSecond: 1, burstSize: 1, muteAfter: 2, closeAfter: 1 });

      for (let minute = 0; minute < 10; minute++) {
        passed(client, 3);
        clock.tick(61_000);
      }
      expect(closed).to.equal(0);

      passed(client, 5);
      expect(closed).to.equal(1);
    });

    it('ends all mutes when it is unloaded', async () => {
      const { manager, connect } = await eager({ muteAfter: 1, muteFor: 60_000 });
      manager.registerHandler('chat', ({ content }) => content);
      const client = await connect();
      for (let n = 0; n < 8; n++) void client.send({ type: 'chat', content: n });
      await client.next('error');

      await manager.unload('rate-limit');

      await eventually('the rest handled', () => client.messages.length === 8 || client.messages);
      expect(client.messages.slice(-2).map(({ content }) => content)).to.deep.equal([6, 7]);
    });

    it('handles the messages of a muted client that disconnected at the configured rate', async () => {
      const { manager, connect } = await eager({ maxPerSecond: 2, muteAfter: 1, muteFor: 600 });
      const handled: number[] = [];
      manager.registerHandler('chat', ({ content }) => void handled.push(content as number));
      const client = await connect();

      for (let n = 0; n < 7; n++) void client.send({ type: 'chat', content: n });
      await client.next('error');
      await client.close();

      await eventually('the last one handled', () => handled.includes(6) || handled);
      expect(handled).to.deep.equal([0, 1, 2, 3, 4, 6]);
    });
  });

  describe('under a flood', () => {
    const LIMIT = { maxPerSecond: 100, burstSize: 200 };

    /** Sends messages as fast as the socket takes them, until told to stop. Returns how many. */
    async function flood({ port }: Started, until: (sent: number) => boolean): Promise<number> {
      const client = await rawWebSocket({ port });
      const messages = Buffer.concat(Array.from({ length: 200 }, (_, n) => frame(TEXT, `{"type":"work","id":"${n}","content":"${'x'.repeat(64)}"}`)));
      let sent = 0;
      await new Promise<void>((resolve) => {
        const pump = () => {
          if (until(sent) || client.ended) return resolve();
          sent += 200;
          if (client.socket.write(messages)) setImmediate(pump);
          else client.socket.once('drain', pump);
        };
        client.socket.once('close', () => resolve());
        // A muted client's socket never drains.
        const watch = setInterval(() => { if (until(sent)) { clearInterval(watch); resolve(); } }, 10);
        pump();
      });
      client.reset();
      return sent;
    }

    for (const [name, options] of [['muted', {}], ['answered', { muteFor: 0, closeAfter: false }]] as const) {
      it(`HOSTILE 11: calls handlers at most 200 + 100 × t times when the offender is ${name}`, async () => {
        const started = await start({ use: [rateLimit({ ...LIMIT, ...options })] });
        const calls: number[] = [];
        started.manager.registerHandler('work', () => void calls.push(performance.now()));
        const end = performance.now() + 1_000;

        // Nothing more is read of a muted client; it has sent what fits in the buffers.
        const enough = name === 'muted' ? 400 : 2_000;
        const sent = await flood(started, (count) => performance.now() > end && count > enough);

        expect(sent).to.be.above(enough);
        expect(calls.length).to.be.at.least(200);
        for (let from = 0; from < calls.length; from += 7) {
          for (let to = from; to < calls.length; to++) expect(to - from + 1).to.be.at.most(200 + (100 * (calls[to]! - calls[from]!)) / 1_000 + 1);
        }
        if (name === 'answered') expect(calls.length).to.be.closeTo(200 + (100 * (calls.at(-1)! - calls[0]!)) / 1_000, 1.5);
      });
    }

    it('HOSTILE 11: mutes the offender within a second, while others are answered within 50 ms', () => withinAllowance(6, async () => {
      const started = await start({ use: [rateLimit(LIMIT)] });
      started.manager.registerHandler('work', () => undefined);
      const honest = await started.connect();
      const trip = () => timed(() => honest.request({ type: 'ping' }));
      const idle: number[] = [];
      for (let count = 0; count < 50; count++) idle.push(await trip());
      const from = performance.now();
      let mutedAfter = Infinity;
      const trips: number[] = [];
      const muted = () => started.manager.getMetrics().plugins['rate-limit']?.rate_limit_muted_total === 1;
      const flooding = flood(started, () => performance.now() - from > 1_300);

      while (performance.now() - from < 1_300) {
        await new Promise((resolve) => setTimeout(resolve, 15));
        trips.push(await trip());
        if (muted()) mutedAfter = Math.min(mutedAfter, performance.now() - from);
      }
      await flooding;

      return {
        'ms until the offender is muted': { value: mutedAfter, allowed: 1_000 },
        'ms of the round trips of others, p99': { value: percentile(trips, 0.99), allowed: Math.max(50, 3 * percentile(idle, 0.99)) },
      };
    })).timeout(60_000);

    const kinds = [
      ['acknowledgements that answer nothing', '{"type":"ack","replyTo":"x"}', 1_000],
      ['acknowledgements of 1 MiB', `{"type":"ack","replyTo":"x","content":"${'x'.repeat(1_048_500)}"}`, 20],
      ['pings', '{"type":"ping"}', 1_000],
      ['messages of an unknown type', '{"type":"nothing"}', 1_000],
    ] as const;
    for (const [name, text, count] of kinds) {
      it(`HOSTILE 36: closes a client that floods with ${name}, by default after three mutes that take less than a second`, async () => {
        await withinAllowance(6, async () => {
          const { manager, port } = await start({ use: [rateLimit()] });
          let closed: { code: number; after: number } | undefined;
          const client = await rawWebSocket({ port });
          const message = frame(TEXT, text);
          const batch = message.length > 1_000 ? message : Buffer.concat(Array<Buffer>(count).fill(message));
          const from = performance.now();
          manager.on('connection:removed', (_, { code }) => { closed = { code, after: performance.now() - from }; });

          const pump = (): void => {
            if (closed || client.ended) return;
            if (client.socket.write(batch)) setImmediate(pump);
            else client.socket.once('drain', pump);
          };
          client.socket.on('error', () => undefined);
          pump();
          await eventually('it is closed', () => closed !== undefined);
          client.reset();

          expect(closed!.code).to.equal(4129);
          // Three mutes take 750 ms of it. The rest is the client's own work, on a machine that others share.
          return { 'ms until it is closed': { value: closed!.after, allowed: 2_000 } };
        });
      });
    }

    it('HOSTILE 11: reads nothing from an offender that it has muted, so that nothing of it is allocated', async () => {
      const started = await start({ use: [rateLimit({ ...LIMIT, muteFor: 60_000 })] });
      started.manager.registerHandler('work', () => undefined);
      const end = performance.now() + 700;
      const flooding = flood(started, () => performance.now() > end);
      await eventually('a mute', () => started.manager.getMetrics().plugins['rate-limit']?.rate_limit_muted_total === 1);
      await eventually('a pause', () => [...started.manager.connections.values()].some((connection) => (connection as unknown as { isPaused: boolean }).isPaused));
      const before = started.manager.getMetrics();

      await flooding;

      const { bytes, messages } = started.manager.getMetrics();
      expect(bytes.received).to.equal(before.bytes.received);
      expect(messages.totalMessages).to.equal(before.messages.totalMessages);
    });
  });

  describe('in memory', () => {
    it('HOSTILE 38: rejects new addresses when maxTracked are in use, and keeps those in use', () => {
      const clock = standStill();
      const { ask, passed } = judge({ maxPerSecond: 1, by: 'ip', maxTracked: 3 });
      const at = (n: number) => stubConnection({ id: 'x', ip: `10.0.0.${n}` });
      for (const n of [1, 2, 3]) passed(at(n), 1);

      for (let n = 4; n < 200; n++) expect(ask(at(n))).to.deep.equal({ retryAfter: 1_000, scope: 'ip' });
      expect([1, 2, 3].map((n) => passed(at(n), 1))).to.deep.equal([0, 0, 0]);
      clock.tick(1_000);
      expect(passed(at(4), 1)).to.equal(1);
    });

    it('keeps an active address when many new ones arrive', () => {
      const clock = standStill();
      const { ask, passed, metrics } = judge({ maxPerSecond: 1, burstSize: 100, by: 'ip', maxTracked: 100 });
      const at = (n: number) => stubConnection({ id: 'x', ip: `10.0.${n >> 8}.${n & 255}` });
      passed(one, 100);

      let more = 0;
      for (let n = 0; n < 1_000; n++) {
        ask(at(n));
        clock.tick(10);
        if (n % 20 === 0) more += passed(one, 10);
      }

      expect(more).to.be.closeTo(10, 1);
      expect(metrics().rate_limit_tracked).to.have.property('value').that.is.at.most(100);
    });

    it('forgets users and addresses with full buckets, which gives them no extra tokens', () => {
      const clock = standStill();
      const { ask, passed, metrics } = judge({ maxPerSecond: 1, burstSize: 100, by: ['user', 'ip'] });
      for (let n = 0; n < 50; n++) ask(stubConnection({ id: 'x', ip: `10.0.0.${n}`, user: { id: `user ${n}` } }));
      const tracked = () => (metrics().rate_limit_tracked as { value: number }).value;
      const ann = stubConnection({ id: 'ann', user: { id: 'ann' } });
      expect(tracked()).to.equal(100);
      passed(ann, 100);

      let more = 0;
      for (let second = 0; second < 300; second += 20) {
        clock.tick(20_000);
        more += passed(ann, 100);
      }

      expect(more).to.equal(300);
      expect(tracked(), 'Ann by her name and her address').to.equal(2);
    });
  });

  it('can be loaded twice, each time with its own limits', async () => {
    const { manager, connect } = await start();
    manager.use(rateLimit({ maxPerSecond: 1_000 }));
    manager.use(rateLimit({ maxPerSecond: 0.01, by: 'ip' }), { name: 'per-address' });
    await manager.ready();
    const client = await connect();

    await client.request({ type: 'ping' });
    const reply = await client.request({ type: 'ping' });

    expect(reply.content).to.include({ code: 'RATE_LIMITED', scope: 'ip' });
    expect(manager.getMetrics().plugins).to.have.property('per-address').that.includes({ per_address_refused_total: 1 });
  });

  describe('with wrong options', () => {
    const wrong: readonly (readonly [given: unknown, code: string, text: RegExp])[] = [
      [{ maxPerSecond: -1 }, 'OPTION_INVALID', /"rateLimit\.maxPerSecond" must be a number from 0\.001/],
      [{ maxPerSecond: NaN }, 'OPTION_INVALID', /rateLimit\.maxPerSecond/],
      [{ maxPerMinute: Infinity }, 'OPTION_INVALID', /rateLimit\.maxPerMinute/],
      [{ burstSize: 0 }, 'OPTION_INVALID', /rateLimit\.burstSize/],
      [{ maxBytesPerSecond: 0 }, 'OPTION_INVALID', /rateLimit\.maxBytesPerSecond.*or false/],
      [{ maxBytesPerSecond: false, burstBytes: 1_000 }, 'OPTION_INVALID', /"rateLimit\.burstBytes" must be given with "maxBytesPerSecond"/],
      [{ burstBytes: 1.5 }, 'OPTION_INVALID', /rateLimit\.burstBytes/],
      [{ by: 'address' }, 'OPTION_INVALID', /one of "connection", "user", "ip", or a list of these/],
      [{ by: [] }, 'OPTION_INVALID', /a list of these/],
      [{ types: { chat: { maxPerSecond: '1' } } }, 'OPTION_INVALID', /rateLimit\.types\.chat\.maxPerSecond/],
      [{ types: { chat: { burstSize: 1 } } }, 'OPTION_INVALID', /rateLimit\.types\.chat.*"maxPerSecond" or "maxPerMinute"/],
      [{ types: { 'say it': { maxPerSecond: 1 }, 'say-it': { maxPerSecond: 5 } } }, 'OPTION_INVALID', /rateLimit\.types\.say-it.*the only one of its type/],
      [{ closeAfter: true }, 'OPTION_INVALID', /rateLimit\.closeAfter/],
      [{ max: 10 }, 'OPTION_UNKNOWN', /"rateLimit\.max" does not exist/],
      [{ maxPerSeconds: 10 }, 'OPTION_UNKNOWN', /did you mean "rateLimit\.maxPerSecond"/],
    ];
    for (const [given, code, text] of wrong) {
      it(`rejects ${JSON.stringify(given)} when it is created`, () => {
        expect(() => rateLimit(given as RateLimitOptions)).to.throw(text).with.property('code', code);
      });
    }
  });

  it('exports itself as a property, so that a destructured require() works', () => {
    expect(rateLimit.rateLimit).to.equal(rateLimit);
  });
});

pluginSuite('rate-limit', () => rateLimit({ maxPerSecond: 0.1, burstSize: 5, muteAfter: 2, muteFor: 20, by: ['connection', 'user', 'ip'] }), {
  options: { message: { timeout: 100 } },
  exercise: async ({ manager }, client) => {
    const replies = await Promise.all(Array.from({ length: 8 }, () => client.request({ type: 'ping' })));
    expect(replies.map(({ type }) => type)).to.include('error');
    // The kernel's own, which watches over handlers that wait.
    await eventually('no deadline', () => manager.inspect().deadlines === 0);
  },
});
