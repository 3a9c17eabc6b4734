import { expect } from 'chai';
import type { ModuleError } from '../../src/index.ts';
import { faultProxy, subscribes } from '../support/fault-proxy.ts';
import { freePort } from '../support/free-port.ts';
import { redisServer } from '../support/redis.ts';
import { CLIENTS, redisPeer } from '../support/redis-bench.ts';
import { eventually, withinAllowance } from '../support/timing.ts';

const failure = (work: Promise<unknown>): Promise<ModuleError> =>
  work.then(() => { throw new Error('it did not fail'); }, (error: unknown) => error as ModuleError);

for (const name of ['redis', 'a client of ioredis'] as const) {
  const options = CLIENTS[name];
  describe(`the Redis adapter with ${name}, when Redis fails`, function () {
    this.timeout(60_000);

    it('subscribes again after kill -9 and a restart, within 2 s', () => withinAllowance(6, async () => {
      const server = await redisServer();
      const [a, b] = [await redisPeer(options(server.port)), await redisPeer(options(server.port))];
      await b.subscribe('chat');

      await server.kill();
      await eventually('both to be unhealthy', async () => await a.status() === 'unhealthy' && await b.status() === 'unhealthy');
      await server.restart();
      const back = performance.now();
      await eventually('both to be healthy', async () => await a.status() === 'healthy' && await b.status() === 'healthy');
      const elapsed = performance.now() - back;
      await a.publish('chat', 'again');
      await eventually('the packet', () => b.received.length === 1);

      expect(b.interruptions).to.have.length(1);
      expect(await b.adapter.check()).to.include({ interruptions: 1, topics: 1 });
      return { 'ms until both are healthy': { value: elapsed, allowed: 2_000 } };
    }));

    it('rejects publishes that Redis did not accept, limits waiting ones, and keeps the topics', async () => {
      const server = await redisServer();
      const [a, b] = [await redisPeer(options(server.port)), await redisPeer(options(server.port))];
      await server.kill();
      await eventually('both to be unhealthy', async () => await a.status() === 'unhealthy' && await b.status() === 'unhealthy');

      // A connection that is lost, and not known to be, takes any number of commands.
      await failure(a.publish('early', 'before'));
      const early = failure(b.subscribe('early'));
      const publishing = Array.from({ length: 1_200 }, (_, index) =>
        a.publish('early', String(index)).then(() => 'done', (error: unknown) => (error as ModuleError).code));
      const results = await Promise.all(publishing);
      const { code } = await early;
      const [late, published] = [b.subscribe('late'), a.publish('late', 'it waited')];
      await server.restart();
      await Promise.all([late, published]);
      await Promise.all([a.publish('early', '1'), a.publish('late', '2')]);
      await eventually('the packets', () => b.received.length >= 2);

      expect(new Set(results.slice(0, 1_000))).to.deep.equal(new Set(['ADAPTER_UNAVAILABLE']));
      expect(new Set(results.slice(1_000))).to.deep.equal(new Set(['ADAPTER_BACKLOG_FULL']));
      expect(code).to.equal('ADAPTER_UNAVAILABLE');
      expect(b.received.map(({ text }) => text).filter((text) => text !== 'it waited')).to.deep.equal(['1', '2']);
    });

    it('survives resets of its connections, one by one and together, and reports the gap', async () => {
      const server = await redisServer();
      const proxy = await faultProxy(server.port);
      const [a, b] = [await redisPeer(options(server.port)), await redisPeer(options(proxy.port))];
      await b.subscribe('chat');

      for (const which of [subscribes, (link: { sent: string }) => !subscribes(link), () => true]) {
        const { count } = proxy;
        proxy.reset(which);
        await eventually('a new connection', () => proxy.count > count);
        await eventually('b to be healthy', async () => await b.status() === 'healthy');
        await a.publish('chat', 'to b');
        await b.publish('chat', 'from b');
        await eventually('the packet', () => b.received.length > 0);
        b.received.length = 0;
      }

      expect(b.interruptions).to.have.length(2);
      expect(proxy.size).to.equal(2);
    });

    it('rejects commands that are not answered within 2 s, and replaces both connections', () => withinAllowance(6, async () => {
      const server = await redisServer();
      const proxy = await faultProxy(server.port);
      const [a, b] = [await redisPeer(options(proxy.port)), await redisPeer(options(server.port))];
      await b.subscribe('chat');

      proxy.silence((link) => !subscribes(link));
      const start = performance.now();
      const errors = await Promise.all([failure(a.publish('chat', '1')), failure(a.publish('chat', '2'))]);
      const elapsed = performance.now() - start;
      await eventually('a to be healthy', async () => await a.status() === 'healthy');
      await a.publish('chat', '3');
      await eventually('the packet', () => b.received.length > 0);

      expect(errors.map(({ code }) => code)).to.deep.equal(['ADAPTER_TIMEOUT', 'ADAPTER_UNAVAILABLE']);
      expect(elapsed).to.be.at.least(1_700);
      expect(proxy.count).to.equal(4);
      expect(a.reports.map(({ report }) => report.status)).to.deep.equal(['healthy', 'unhealthy', 'healthy'].slice(-a.reports.length));
      return { 'ms until the commands fail': { value: elapsed, allowed: 3_500 } };
    }));
  });
}

describe('the Redis adapter at its start', function () {
  this.timeout(60_000);

  it('rejects with REDIS_UNREACHABLE after some tries if there is no Redis, or only a replica', async () => {
    const port = await freePort();
    const primary = await redisServer();
    const replica = await redisServer({ args: ['--replicaof', '127.0.0.1', String(primary.port)] });

    const errors = await Promise.all([
      failure(redisPeer({ port, host: '127.0.0.1' })), failure(redisPeer({ url: replica.url })),
    ]);

    expect(errors.map(({ code }) => code)).to.deep.equal(['REDIS_UNREACHABLE', 'REDIS_UNREACHABLE']);
    expect(errors[0].message).to.match(new RegExp(`^cannot connect to Redis \\(127.0.0.1:${port}\\): .*ECONNREFUSED`));
    expect(errors[1].message).to.include('it is a replica');
  });

  it('waits for a Redis that starts a little later', async () => {
    const server = await redisServer();
    await server.kill();

    const starting = redisPeer({ url: server.url });
    await server.restart();
    const peer = await starting;

    expect(await peer.status()).to.equal('healthy');
  });

  it('rejects a wrong password at once, and without it in the message', () => withinAllowance(6, async () => {
    const server = await redisServer({ args: ['--requirepass', 'right'] });
    const start = performance.now();

    const errors = [await failure(redisPeer({ url: `redis://:wrong-one@127.0.0.1:${server.port}` })), await failure(redisPeer({ url: server.url }))];
    const right = await redisPeer({ url: server.url, password: 'right' });

    const elapsed = performance.now() - start;
    expect(errors.map(({ code }) => code)).to.deep.equal(['REDIS_UNREACHABLE', 'REDIS_UNREACHABLE']);
    expect(errors[0]!.message).to.include('WRONGPASS').and.not.include('wrong-one');
    expect(errors[1]!.message).to.include('NOAUTH');
    expect(await right.status()).to.equal('healthy');
    return { 'ms of three attempts': { value: elapsed, allowed: 3_000 } };
  }));

  it('is degraded, with a warning, if Redis evicts keys', async () => {
    const server = await redisServer({ args: ['--maxmemory-policy', 'allkeys-lru'] });
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));

    const peer = await redisPeer({ url: server.url });

    expect((await warned).message).to.include('maxmemory-policy is allkeys-lru');
    expect(await peer.adapter.check()).to.deep.include({ status: 'degraded', version: (await peer.adapter.check())['version'] });
  });
});
