import { expect } from 'chai';
import { Cluster, Redis as IoRedis } from 'ioredis';
import { createClient, createClientPool, createCluster, createSentinel } from 'redis';
import fc from 'fast-check';
import { createAdapter, RedisAdapter } from '../../adapters/redis.ts';
import type { ModuleError } from '../../src/index.ts';
import { redisServer } from '../support/redis.ts';
import { redisPeer } from '../support/redis-bench.ts';
import { cleanup } from '../support/cleanup.ts';
import { eventually } from '../support/timing.ts';

const client = () => createClient();

function refusal(options: unknown): string {
  try {
    new RedisAdapter(options as object);
  } catch (error) {
    return `${(error as ModuleError).code}: ${(error as Error).message}`;
  }
  return 'accepted';
}

describe('the options of the Redis adapter', () => {
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [5, /OPTION_INVALID/],
    [{ url: 'localhost:6379' }, /OPTION_INVALID: option "url" must be a URL like "redis:\/\/localhost:6379\/0"/],
    [{ url: 'http://localhost' }, /OPTION_INVALID: option "url"/],
    [{ url: 'redis://localhost/name' }, /OPTION_INVALID: option "url"/],
    [{ url: 'redis://:%zz@localhost' }, /OPTION_INVALID: option "url"/],
    [{ url: 'redis://localhost', host: 'other' }, /option "host" must be left out, because "url" has it/],
    [{ url: 'redis://localhost', port: 6380 }, /option "port" must be left out/],
    [{ host: '' }, /option "host"/],
    [{ port: '6379' }, /option "port" must be an integer from 1 to 65535/],
    [{ port: 0 }, /option "port"/],
    [{ database: -1 }, /option "database"/],
    [{ keyPrefix: '' }, /option "keyPrefix"/],
    [{ keyPrefix: '\ud800' }, /option "keyPrefix"/],
    [{ sentinel: { name: 'main', nodes: [] } }, /option "sentinel.nodes" must be a list of addresses like/],
    [{ sentinel: { name: 'main', nodes: ['localhost:26379'] } }, /option "sentinel.nodes"/],
    [{ sentinel: { nodes: [{ host: 'localhost' }] } }, /option "sentinel.name"/],
    [{ sentinel: { name: 'main', nodes: [{ host: 'localhost' }] }, url: 'redis://localhost' }, /option "url" must be left out, because "sentinel" has it/],
    [{ sentinels: [] }, /OPTION_UNKNOWN: option "sentinels" does not exist; it is called "sentinel"/],
    [{ waitReplicas: 0 }, /option "waitReplicas" must be an integer from 1 to 100/],
    [{ tls: 'yes' }, /option "tls"/],
    [{ db: 1 }, /OPTION_UNKNOWN: option "db" does not exist; it is called "database"/],
    [{ cluster: {} }, /OPTION_INVALID: option "cluster.nodes" must be given/],
    [{ cluster: { nodes: [] } }, /option "cluster.nodes" must be a list of addresses like { host: "10.0.0.1", port: 6379 }/],
    [{ cluster: { nodes: [{ host: 'a' }], addressMap: { 'b:1': 'c:2' } } }, /option "cluster.addressMap.b:1" must be an address like/],
    [{ cluster: { nodes: [{ host: 'a' }] }, host: 'b' }, /option "host" must be left out, because "cluster" has the addresses/],
    [{ cluster: { nodes: [{ host: 'a' }] }, database: 1 }, /option "database" must be 0, because a Redis Cluster has no other/],
    [{ client: {} }, /option "client" must be a client of the package "redis"/],
    [{ client: 'redis://localhost' }, /option "client"/],
    [{ subscriber: client() }, /option "subscriber" must be left out, or given together with "client"/],
    [{ client: client(), host: 'localhost' }, /option "host" must be left out, because "client" has settings of its own/],
  ];
  for (const [options, expected] of wrong) {
    it(`refuse ${expected.source}`, () => {
      expect(refusal(options)).to.match(expected);
    });
  }

  it('refuse clients of several servers, by name', () => {
    const many = [
      createSentinel({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }),
      createClientPool(),
      new Cluster([], { lazyConnect: true }),
    ];

    for (const one of many) {
      expect(refusal({ client: one })).to.match(/OPTION_INVALID.*clients of a pool, of sentinels, and of a cluster of "ioredis" are not supported/);
    }
  });

  it('accept a client of a cluster that the package "redis" has created', () => {
    expect(refusal({ client: createCluster({ rootNodes: [{ url: 'redis://127.0.0.1:1' }] }) })).to.equal('accepted');
  });

  it('show no password in an error', () => {
    for (const options of [{ url: 'redis//:secret@host' }, { client: client(), password: 'secret' }, { client: client(), url: 'redis://:secret@host' }]) {
      expect(refusal(options)).to.match(/OPTION_INVALID/).and.not.include('secret');
    }
  });

  it('are accepted as undefined', () => {
    const names = ['url', 'host', 'port', 'username', 'password', 'tls', 'database', 'keyPrefix', 'client', 'subscriber'];

    expect(refusal(Object.fromEntries(names.map((name) => [name, undefined])))).to.equal('accepted');
  });

  it('never end in another error than OPTION_INVALID or OPTION_UNKNOWN', () => {
    const name = fc.constantFrom('url', 'host', 'port', 'tls', 'database', 'keyPrefix', 'client', 'subscriber', '__proto__', 'x');
    const value = fc.oneof(fc.jsonValue(), fc.webUrl(), fc.string().map((text) => `redis://${text}`));

    fc.assert(fc.property(fc.dictionary(name, value), (options) => {
      expect(refusal(options)).to.match(/^(accepted|OPTION_INVALID|OPTION_UNKNOWN)/);
    }));
  });
});

describe('the Redis adapter', function () {
  this.timeout(60_000);

  it('is the same class from every path', () => {
    expect(RedisAdapter.RedisAdapter).to.equal(RedisAdapter);
    expect(RedisAdapter.createAdapter(client(), client())).to.be.instanceOf(RedisAdapter);
  });

  it('separates databases and prefixes, also those of a client', async () => {
    const { port, url } = await redisServer();
    const ioredis = new IoRedis({ port, db: 1, keyPrefix: 'mine:', lazyConnect: true });
    const peers = {
      default: await redisPeer({ url }),
      database: await redisPeer({ url: `${url}/1` }),
      prefix: await redisPeer({ url, keyPrefix: 'mine:websocket:', database: 1 }),
      client: await redisPeer({ client: ioredis }),
      redisClient: await redisPeer({ client: createClient({ url: `${url}/1`, keyPrefix: 'mine:' }) }),
    };
    for (const peer of Object.values(peers)) await peer.subscribe('chat');

    for (const [name, peer] of Object.entries(peers)) await peer.publish('chat', name);
    await eventually('the packets', () => peers.client.received.length === 2 && peers.prefix.received.length === 2);

    const received = Object.values(peers).map((peer) => peer.received.map(({ text }) => text));
    expect(received).to.deep.equal([
      [], [], ['client', 'redisClient'], ['prefix', 'redisClient'], ['prefix', 'client'],
    ]);
    expect(ioredis.status).to.equal('wait');
  });

  it('leaves the clients that it was given as they are', async () => {
    const { url } = await redisServer();
    const [pub, sub] = [createClient({ url }), createClient({ url })];
    await Promise.all([pub.connect(), sub.connect()]);
    cleanup(() => { pub.destroy(); sub.destroy(); });
    const adapter = createAdapter(pub, sub, { keyPrefix: 'other:' });
    await adapter.start({ id: 'a', receive() { /* nothing comes */ } });

    await adapter.stop();

    expect([pub.isReady, sub.isReady, await pub.ping()]).to.deep.equal([true, true, 'PONG']);
  });

  it('carries topics with lone surrogates, and distinguishes them', async () => {
    const { url } = await redisServer();
    const [a, b] = [await redisPeer({ url }), await redisPeer({ url })];
    const topics = ['\ud800', '\ud801', '\ufffd', '"\\ud800"'];
    await b.subscribe(...topics);

    for (const topic of topics) await a.publish(topic, topic);
    await eventually('all packets', () => b.received.length === topics.length);

    expect(b.received.map(({ topic }) => topic)).to.deep.equal(topics);
  });

  it('delivers packets of other programs, and drops its own', async () => {
    const server = await redisServer();
    const peer = await redisPeer({ url: server.url });
    await peer.subscribe('chat');

    await peer.publish('chat', 'own');
    for (const text of ['{"type":"news"}', '', '\u0001short']) await server.command('PUBLISH', 'websocket:0:t:chat', text);
    await eventually('the packets', () => peer.received.length === 3);

    expect(peer.received.map(({ text }) => text)).to.deep.equal(['{"type":"news"}', '', '\u0001short']);
  });

  it('sends one SUBSCRIBE for the topics of a turn, and none for a topic that was just left', async () => {
    const server = await redisServer();
    const peer = await redisPeer({ url: server.url });
    const calls = async () => {
      const text = String(await server.command('INFO', 'commandstats'));
      return ['subscribe', 'unsubscribe'].map((name) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(text)?.[1] ?? 0));
    };
    const before = await calls();

    const standing = peer.subscribe(...Array.from({ length: 500 }, (_, index) => `topic ${index}`));
    await standing;
    const joined = await calls();
    for (let round = 0; round < 100; round++) {
      peer.adapter.unsubscribe('topic 0');
      expect(peer.adapter.subscribe('topic 0')).to.equal(undefined);
    }
    const returned = await calls();
    peer.adapter.unsubscribe('topic 1');
    await eventually('the topic to be left', async () => (await calls())[1] === 1, 10_000);

    expect(joined).to.deep.equal([before[0]! + 1, 0]);
    expect(returned).to.deep.equal(joined);
    expect(await server.command('PUBSUB', 'NUMSUB', 'websocket:0:t:topic 0', 'websocket:0:t:topic 1')).to.deep.equal([
      'websocket:0:t:topic 0', 1, 'websocket:0:t:topic 1', 0,
    ]);
  });
});
