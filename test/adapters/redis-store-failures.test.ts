import { expect } from 'chai';
import { RedisAdapter } from '../../adapters/redis.ts';
import { RedisStore } from '../../adapters/redis/redis-store.ts';
import type { ModuleError, Reaped, Store } from '../../index.ts';
import { faultProxy, subscribes } from '../support/fault-proxy.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { redisLinks, setTime, withStubbedTime } from '../support/redis-store-bench.ts';
import { redisServer, type RedisServer } from '../support/redis.ts';
import { CLIENTS, redisPeer } from '../support/redis-bench.ts';
import { eventually } from '../support/timing.ts';

const failure = (work: Promise<unknown>): Promise<ModuleError> =>
  work.then(() => { throw new Error('it did not fail'); }, (error: unknown) => error as ModuleError);

const codeOf = (work: Promise<unknown>): Promise<string> => work.then(() => 'none', (error: unknown) => (error as ModuleError).code);

/** The codes of an error of the store and of its cause. */
const codesOf = ({ code, cause }: ModuleError): string[] => [code, String((cause as ModuleError | undefined)?.code)];

/** The store of a started adapter, with a lease. */
async function node(id: string, options: ConstructorParameters<typeof RedisAdapter>[0], ttl = 600_000): Promise<Store> {
  const { adapter } = await redisPeer(options);
  await adapter.store.lease(id, ttl);
  return adapter.store;
}

async function reapAll(store: Store): Promise<Reaped[]> {
  const all: Reaped[] = [];
  for (let some = await store.reap(); some.length > 0; some = await store.reap()) all.push(...some);
  return all;
}

const namesOf = (seats: readonly Reaped[]): string[] => seats.map(({ set, member, holder }) => `${set} ${member} ${holder}`).sort();

const waits = (work: Promise<unknown>): Promise<boolean> =>
  Promise.race([work.then(() => false, () => false), new Promise<boolean>((resolve) => { setTimeout(resolve, 50, true); })]);

const back = async (store: Store): Promise<void> => eventually('Redis to be back', async () => await codeOf(store.get(['key'])) === 'none');

for (const name of ['redis', 'a client of ioredis'] as const) {
  const options = CLIENTS[name];
  describe(`the Redis store with ${name}, when Redis fails`, function () {
    this.timeout(60_000);

    it('rejects with STORE_UNAVAILABLE and the cause while the link is silent, and works again afterwards', async () => {
      const server = await redisServer();
      const proxy = await faultProxy(server.port);
      const store = await node('a', options(proxy.port));

      proxy.silence((link) => !subscribes(link));
      const errors = await Promise.all([failure(store.put('key', 1)), failure(store.enter('set', 'member')), failure(store.get(['key']))]);
      await back(store);

      expect(codesOf(errors[0])).to.deep.equal(['STORE_UNAVAILABLE', 'ADAPTER_TIMEOUT']);
      expect(codesOf(errors[1])).to.deep.equal(['STORE_UNAVAILABLE', 'ADAPTER_UNAVAILABLE']);
      expect(codesOf(errors[2])).to.deep.equal(['STORE_UNAVAILABLE', 'ADAPTER_UNAVAILABLE']);
      expect(errors[0].details).to.deep.equal({ store: 'redis', action: 'put' });
    });

    it('keeps its lease over a restart without persistence, in a new generation, and runs waiting calls in order', async () => {
      const server = await redisServer();
      const store = await node('a', options(server.port));
      const { generation } = await store.renew();
      await store.put('key', 'lost');
      await server.kill();
      await eventually('calls to wait for Redis', () => waits(store.get(['key'])));

      const calls = Promise.all([store.get(['key']), store.put('key', 1), store.get(['key']), store.put('key', 2), store.get(['key'])]);
      await server.restart();
      const [before, , first, , second] = await calls;
      const renewed = await store.renew();

      expect(before).to.deep.equal([undefined]);
      expect([first[0]?.value, second[0]?.value]).to.deep.equal([1, 2]);
      expect(renewed.generation).to.not.equal(generation);
    });

    it('begins a new generation after a restart with older data', async () => {
      const server = await redisServer();
      const store = await node('a', options(server.port));
      const { generation } = await store.renew();
      await store.put('key', 'saved');
      await server.command('SAVE');
      await store.put('key', 'lost');

      await server.kill();
      await server.restart();
      await back(store);
      const told: unknown[] = [];
      store.watch((key) => told.push(key));
      const renewed = await store.renew();

      expect((await store.get(['key']))[0]?.value).to.equal('saved');
      expect(renewed.generation).to.not.equal(generation);
      expect(renewed.generation.split('.')[0]).to.equal(generation.split('.')[0]);
      expect(told).to.include(undefined);
    });
  });
}

describe('the Redis store', function () {
  this.timeout(60_000);

  let server: RedisServer;
  before(async () => { server = await redisServer({ forFile: true }); });
  beforeEach(() => server.command('FLUSHALL'));

  it('rejects with STORE_UNAVAILABLE before its adapter has started, and after it has stopped', async () => {
    const adapter = new RedisAdapter({ url: server.url });

    const early = await failure(adapter.store.lease('a', 60_000));
    await adapter.start({ id: 'a', receive: () => undefined });
    await adapter.store.lease('a', 60_000);
    await adapter.stop();
    const late = await failure(adapter.store.put('key', 1));

    expect([early.code, late.code]).to.deep.equal(['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE']);
    expect((late.cause as Error).message).to.equal('the adapter is not started');
  });

  it('rejects what a replica refuses', async () => {
    const own = await redisServer();
    const store = await node('a', { url: own.url });

    await own.command('REPLICAOF', '127.0.0.1', '1');
    const error = await failure(store.put('key', 1));

    expect(codesOf(error)).to.deep.equal(['STORE_UNAVAILABLE', 'ADAPTER_REFUSED']);
    expect((error.cause as Error).message).to.match(/READONLY/);
  });

  it('keeps leases, and releases seats, while the memory of Redis is full', async () => {
    const own = await redisServer();
    const [store, other] = [await node('a', { url: own.url }), await node('b', { url: own.url })];
    await store.enter('set', 'one', { holder: 'h1' });
    await store.enter('set', 'two', { holder: 'h2' });
    await store.enter('set', 'two', { holder: 'h3' });
    await other.enter('set', 'three', { holder: 'h4' });
    await store.put('key', 1);
    await other.release();

    await own.command('CONFIG', 'SET', 'maxmemory', '1');
    const errors = await Promise.all([failure(store.put('key', 2)), failure(store.enter('set', 'four', { holder: 'h5' }))]);
    await store.renew();
    const left = [await store.leave('set', 'one', { holder: 'h1' }), await store.leave('set', 'two', { holder: 'h2' })];
    const reaped = await reapAll(store);
    const deleted = await store.delete('key');
    await other.lease('b', 60_000);

    for (const error of errors) expect((error.cause as Error).message).to.match(/OOM/);
    expect(left).to.deep.equal([{ last: true, size: 2 }, { last: false, size: 2 }]);
    expect(namesOf(reaped)).to.deep.equal(['set three h4']);
    expect(deleted).to.equal(true);
    expect(await store.sizes(['set'])).to.deep.equal([1]);
  });

  it('sends the script again after SCRIPT FLUSH', async () => {
    const store = await node('a', { url: server.url });

    await server.command('SCRIPT', 'FLUSH');
    await Promise.all([store.put('key', 1), store.enter('set', 'member'), store.renew()]);

    expect(await store.sizes(['set'])).to.deep.equal([1]);
  });

  it('shares nothing with another key prefix, and nothing with another database', async () => {
    const store = await node('a', { url: server.url });
    const others = [
      await node('a', { url: server.url, keyPrefix: 'other:' }),
      await node('a', { url: server.url, database: 1 }),
      await node('a', { url: server.url, keyPrefix: 'websocket:}x' }),
    ];
    const told: unknown[] = [];
    for (const other of others) other.watch((key) => told.push(key));
    const notified: unknown[] = [];
    (await node('b', { url: server.url })).watch((key) => notified.push(key));

    await store.put('key', 1);
    await store.enter('set', 'member', { holder: 'h' });
    await store.release();
    await eventually('the notice', () => notified.includes('key'));

    for (const other of others) {
      expect(await reapAll(other)).to.deep.equal([]);
      expect(await other.get(['key'])).to.deep.equal([undefined]);
    }
    expect(told).to.deep.equal([]);
  });

  it('keeps all keys of a prefix in one slot of a cluster', async () => {
    for (const keyPrefix of ['app:', '{app}:', '}', 'a}b']) {
      await server.command('FLUSHALL');
      const store = await node('a', { url: server.url, keyPrefix });
      await store.put('{key}', 1, { ttl: 60_000 });
      await store.enter('{set}', 'member', { ttl: 60_000, value: 1 });
      await store.enter('{set}', 'holder', { holder: 'h' });
      await store.take('{rate}', { burst: 1, per: 60_000 }, 1);

      const keys = await server.command('KEYS', '*') as string[];

      const tags = keys.map((key) => /\{(.*?)\}/.exec(key)?.[1]);
      expect(keys).to.have.length.above(8);
      expect(new Set(tags).size, keyPrefix).to.equal(1);
      expect(tags[0]).to.not.equal('');
    }
  });

  it('works for a user with the documented permissions', async () => {
    const permissions = ['+publish', '+subscribe', '+unsubscribe', '+info', '+@read', '+@write', '+@scripting', '+time', '&websocket:*', '~{websocket:}*'];
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', 'resetkeys', 'resetchannels', '-@all', ...permissions);
    const store = await node('a', { url: server.url, username: 'app', password: 'secret' });

    await store.put('key', 1, { ttl: 60_000 });
    await store.enter('set', 'member', { ttl: 60_000 });
    await store.renew();

    expect(await store.delete('key')).to.equal(true);
    expect(await store.leave('set', 'member')).to.deep.equal({ last: true, size: 0 });
    expect(await codeOf(store.take('rate', { burst: 1, per: 1_000 }, 1))).to.equal('none');
    expect(await store.reap()).to.deep.equal([]);
  });

  it('reads each document of one turn once, with one command', async () => {
    const store = await node('a', { url: server.url });
    await store.put('key', 1);
    await server.command('CONFIG', 'RESETSTAT');

    const found = await Promise.all([store.get(['key', 'other']), store.get(['key']), ...Array.from({ length: 100 }, () => store.get(['other', 'key']))]);
    const statistics = String(await server.command('INFO', 'commandstats'));

    expect(found[0][0]?.value).to.equal(1);
    expect(found[101]!.map((one) => one?.value)).to.deep.equal([undefined, 1]);
    expect(statistics).to.match(/cmdstat_mget:calls=1,/);
  });

  it('reads and touches more names than one script call may have', async () => {
    const store = await node('a', { url: server.url });
    await store.put('last', 1, { ttl: 600_000 });
    await store.enter('last', 'member');
    const names = [...Array.from({ length: 20_000 }, (_, index) => `name-${index}`), 'last'];

    await store.touch(names, 60_000);
    const [sizes, found] = await Promise.all([store.sizes(names), store.get(names)]);

    expect([sizes.length, sizes.at(-1)]).to.deep.equal([20_001, 1]);
    expect([found.length, found.at(-1)?.value]).to.deep.equal([20_001, 1]);
    expect(await server.command('PTTL', '{websocket:}doc:last')).to.be.within(1, 60_000);
  });

  it('notifies of its own change once, and of one whose reply was lost', async () => {
    const proxy = await faultProxy(server.port);
    const store = await node('a', CLIENTS.redis(proxy.port));
    const other = await node('b', { url: server.url });
    const told: (string | undefined)[] = [];
    store.watch((key) => told.push(key));
    await store.put('one', 1);
    await other.put('end', 1);
    await eventually('the notice', () => told.includes('end'));
    const before = [...told];

    proxy.delay(300);
    const lost = codeOf(store.put('two', 1));
    await eventually('the change', async () => (await other.get(['two']))[0] !== undefined);
    proxy.reset();
    proxy.heal();

    expect(await lost).to.equal('STORE_UNAVAILABLE');
    expect(before).to.deep.equal(['one', 'end']);
    expect(told).to.include('two');
    await eventually('the notice that changes may have been missed', () => told.includes(undefined));
  });

  it('hands all seats of a dead node over, those twice that a reaper had when it died', async () => {
    const [clock, links] = [new ManualClock(), await redisLinks({ url: server.url })];
    const commands = withStubbedTime(links, 'test:');
    await setTime(links, clock.now());
    const [dead, dying, survivor] = await Promise.all(['dead', 'dying', 'survivor'].map(async (id) => {
      const store = new RedisStore({ commands: () => commands, clock });
      await store.lease(id, id === 'survivor' ? 600_000 : 1_000);
      return store;
    })) as [RedisStore, RedisStore, RedisStore];
    const seats = Array.from({ length: 1_200 }, (_, index) => [`set${index % 7}`, `m${index}`, `h${index}`] as const);
    await Promise.all(seats.map(([set, member, holder]) => dead.enter(set, member, { holder })));
    await dead.release();

    const handled = await dying.reap();
    const unhandled = await dying.reap();
    await setTime(links, clock.now() + 1_000);
    clock.advance(1_000);
    const rest = await reapAll(survivor);

    expect(namesOf([...handled, ...rest])).to.deep.equal(seats.map((seat) => seat.join(' ')).sort());
    expect(namesOf(rest)).to.include.members(namesOf(unhandled));
    expect(await server.command('KEYS', '*seats*')).to.deep.equal([]);
    expect(await server.command('KEYS', '*handed*')).to.deep.equal([]);
  });

  it('returns seats again if the reply was lost, and confirms them only afterwards', async () => {
    const proxy = await faultProxy(server.port);
    const [dead, other] = [await node('dead', { url: server.url }), await node('b', { url: server.url })];
    const store = await node('a', CLIENTS.redis(proxy.port));
    const again = await node('c', { url: server.url });
    await dead.enter('set', 'handled', { holder: 'h1' });
    await dead.release();
    const handled = await store.reap();
    await dead.lease('dead', 600_000);
    await dead.enter('set', 'member', { holder: 'h2' });
    await dead.release();

    proxy.delay(200);
    const lost = codeOf(store.reap());
    await eventually('the seat to be released', async () => (await other.sizes(['set']))[0] === 0);
    proxy.reset();
    proxy.heal();
    const code = await lost;
    await back(store);
    const returned = await store.reap();
    await store.lease('a', 600_000);

    expect(code).to.equal('STORE_UNAVAILABLE');
    expect([handled, returned].map(namesOf)).to.deep.equal([['set handled h1'], ['set member h2']]);
    expect(namesOf(await reapAll(again))).to.deep.equal(['set member h2']);
    expect(await reapAll(store)).to.deep.equal([]);
  });

  it('refuses what a node sends after its lease has expired, although the clock of the node stood still', async () => {
    const [clock, links] = [new ManualClock(), await redisLinks({ url: server.url })];
    const commands = withStubbedTime(links, 'test:');
    await setTime(links, clock.now());
    const [asleep, awake] = [new RedisStore({ commands: () => commands, clock }), new RedisStore({ commands: () => commands, clock: new ManualClock() })];
    await asleep.lease('a', 1_000);
    await asleep.enter('set', 'member', { holder: 'h' });
    await setTime(links, clock.now() + 1_000);
    await awake.lease('b', 600_000);
    const reaped = await reapAll(awake);

    const late = [asleep.put('key', 1), asleep.enter('set', 'late', { holder: 'h' }), asleep.renew(), asleep.sizes(['set'])];

    expect(await Promise.all(late.map(codeOf))).to.deep.equal(Array<string>(4).fill('LEASE_LOST'));
    expect(namesOf(reaped)).to.deep.equal(['set member h']);
    expect(await awake.sizes(['set'])).to.deep.equal([0]);
    expect(await awake.get(['key'])).to.deep.equal([undefined]);
  });

  it('rejects answers that arrive after the lease has expired by the clock of the node', async () => {
    const [clock, links] = [new ManualClock(), await redisLinks({ url: server.url })];
    const store = new RedisStore({ commands: () => links, clock });
    await store.lease('a', 1_000);
    const told: unknown[] = [];
    store.watch((key) => told.push(key));

    const late = [store.put('key', 1), store.get(['key']), store.members('set', { limit: 1 }), store.renew()];
    clock.advance(1_000);

    expect(await Promise.all(late.map(codeOf))).to.deep.equal(Array<string>(4).fill('LEASE_LOST'));
    expect(await codeOf(store.get(['key']))).to.equal('LEASE_LOST');
    expect(told).to.deep.equal(['key']);
  });

  it('takes a lease again at once after a failed attempt', async () => {
    const proxy = await faultProxy(server.port);
    const { adapter: { store } } = await redisPeer(CLIENTS.redis(proxy.port));
    const other = await node('b', { url: server.url });
    await store.lease('a', 600_000);
    await store.enter('set', 'member', { holder: 'h' });

    proxy.delay(200);
    const lost = codeOf(store.lease('a', 600_000));
    await eventually('the old lease to end', async () => (await other.reap()).length > 0);
    proxy.reset();
    proxy.heal();
    const code = await lost;
    await eventually('a new lease', async () => await codeOf(store.lease('a', 600_000)) === 'none');

    expect(code).to.equal('STORE_UNAVAILABLE');
    expect(await codeOf(store.put('key', 1))).to.equal('none');
  });

  it('deletes what has expired from Redis, although nothing uses it any more', async () => {
    const [clock, links] = [new ManualClock(), await redisLinks({ url: server.url })];
    const commands = withStubbedTime(links, 'test:');
    await setTime(links, clock.now());
    const store = new RedisStore({ commands: () => commands, clock });
    await store.lease('a', 600_000);
    await store.enter('used', 'member', { holder: 'h' });
    for (let index = 0; index < 50; index++) {
      await store.enter(`ends-${index}`, 'member', { ttl: 1_000, value: index });
      await store.enter(`kept-${index}`, 'member', { holder: 'h' });
      await store.leave(`kept-${index}`, 'member', { holder: 'h', keepFor: 1_000 });
    }
    const entries = async () => [...await server.command('KEYS', '*ends-*') as string[], ...await server.command('KEYS', '*kept-*') as string[]];
    const before = await entries();

    await setTime(links, clock.now() + 1_000);
    await store.renew();

    expect(before).to.have.length.above(100);
    expect(await entries()).to.deep.equal([]);
    expect(await server.command('EXISTS', '{test:}due')).to.equal(0);
  });
});
