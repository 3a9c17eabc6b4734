import { expect } from 'chai';
import { journalKey } from '../../adapters/redis/journal-key.ts';
import { decodeNotice } from '../../adapters/redis/journal-notice.ts';
import { RedisJournal } from '../../adapters/redis/redis-journal.ts';
import type { Journal, ModuleError } from '../../index.ts';
import { redisLinks } from '../support/redis-store-bench.ts';
import { redisServer } from '../support/redis.ts';
import { CLIENTS, redisPeer } from '../support/redis-bench.ts';
import { eventually } from '../support/timing.ts';

const ROOMY = { size: 1_000, ttl: 600_000 };
const say = (journal: Journal, value: string, more: object = {}) => journal.append('topic', { id: `id-${value}`, value }, { ...ROOMY, ...more });
const failure = (work: Promise<unknown>): Promise<ModuleError> =>
  work.then(() => { throw new Error('it did not fail'); }, (error: unknown) => error as ModuleError);
const KEY = journalKey('websocket:0:t:topic');

describe('the Redis journal', () => {
  async function serve() {
    const server = await redisServer();
    const peer = await redisPeer({ url: server.url });
    return { server, peer, journal: peer.adapter.journal };
  }

  it('gives the topic a new epoch if all data was deleted', async () => {
    const { server, journal } = await serve();
    const before = await say(journal, '1');

    await server.command('FLUSHALL');
    const after = await say(journal, '2', { seen: before });

    expect([after.offset, after.epoch === before.epoch]).to.deep.equal([1, false]);
  });

  it('begins again if only the position was evicted, and never returns an offset of another epoch', async () => {
    const { server, journal } = await serve();
    const before = await say(journal, '1', { idempotencyKey: 'key' });
    await say(journal, '2');

    await server.command('DEL', `${KEY}meta`);
    const after = await say(journal, '3', { idempotencyKey: 'key' });
    const { entries } = await journal.read('topic', { limit: 10 });

    expect(after.epoch).to.not.equal(before.epoch);
    expect([after.offset, after.duplicate]).to.deep.equal([1, false]);
    expect(entries.map(({ value }) => value)).to.deep.equal(['3']);
  });

  it('says that a page is not complete if the entries were evicted, and goes on in the same epoch', async () => {
    const { server, journal } = await serve();
    const before = await say(journal, '1');

    await server.command('DEL', `${KEY}entries`);
    const page = await journal.read('topic', { limit: 10 });
    const after = await say(journal, '2');
    const next = await journal.read('topic', { after: 1, limit: 10 });

    expect([page.entries.length, page.complete]).to.deep.equal([0, false]);
    expect([after.epoch, after.offset]).to.deep.equal([before.epoch, 2]);
    expect(next.complete).to.equal(true);
  });

  it('keeps no tombstone of a removed entry, and no content of a redacted one', async () => {
    const { server, journal } = await serve();
    const position = await say(journal, 'secret');
    await say(journal, '2');
    await journal.redact('topic', position, 'gone');
    const stored = JSON.stringify(await server.command('XRANGE', `${KEY}entries`, '-', '+'));
    const tombstones = await server.command('HLEN', `${KEY}tombstones`);

    await say(journal, '3', { size: 2 });
    const afterwards = await server.command('EXISTS', `${KEY}tombstones`);

    expect(stored).to.include('id-2').and.not.include('secret');
    expect([tombstones, afterwards]).to.deep.equal([1, 0]);
  });

  it('writes no key that never expires, and lets the position outlive the rest', async () => {
    const { server, journal } = await serve();
    const position = await say(journal, '1', { ttl: 1_000, idempotencyKey: 'key' });
    await say(journal, '2');
    await journal.redact('topic', position, 'gone');
    await journal.positions(['other']);
    await journal.read('third', { limit: 1 });

    const keys = await server.command('KEYS', '*') as string[];
    const rest: Record<string, number> = {};
    for (const key of keys) rest[key.slice(key.indexOf('}:') + 2)] = Number(await server.command('PTTL', key));

    expect(Object.keys(rest).sort()).to.deep.equal(['entries', 'keys1', 'meta', 'tombstones']);
    expect(keys).to.have.length(6);
    for (const left of Object.values(rest)) expect(left).to.be.above(300_000);
    expect(rest['meta']).to.be.above(Math.max(rest['entries']!, rest['tombstones']!, rest['keys1']!));
  });

  it('forgets the oldest idempotency keys of a topic beyond `maxKeys`', async () => {
    const { server } = await serve();
    const links = await redisLinks({ url: server.url });
    const journal = new RedisJournal({ commands: () => links, channelOf: () => 'websocket:0:t:topic', maxKeys: 100 });
    const keyOf = (number: number) => ({ size: 1, idempotencyKey: `key ${number}` });
    await Promise.all(Array.from({ length: 120 }, (_, index) => say(journal, '1', keyOf(index))));

    const counts = [await server.command('HLEN', `${KEY}keys0`), await server.command('HLEN', `${KEY}keys1`)].map(Number);
    const [recent, oldest] = [await say(journal, '2', keyOf(71)), await say(journal, '2', keyOf(0))];

    expect(counts[0]! + counts[1]!).to.be.within(50, 100);
    expect([recent.duplicate, oldest.duplicate]).to.deep.equal([true, false]);
  });

  it('refuses an entry with JOURNAL_FULL if the memory of Redis is full, changes nothing, and still reads', async () => {
    const { server, peer, journal } = await serve();
    await peer.subscribe('topic');
    const heard: string[] = [];
    journal.watch!((_, { value }) => heard.push(value));
    await say(journal, '1', { ttl: 50 });
    const before = await say(journal, '2');

    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    const error = await failure(say(journal, '3', { idempotencyKey: 'key' }));
    await eventually('the first entry to end', async () => (await journal.read('topic', { limit: 10 })).entries.length === 1);
    const { top } = await journal.read('topic', { limit: 10 });
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    const after = await say(journal, '3', { idempotencyKey: 'key' });

    expect([error.code, error.message]).to.deep.equal(['JOURNAL_FULL', 'the history of all topics is full']);
    expect([top.offset, after.offset, after.duplicate]).to.deep.equal([before.offset, 3, false]);
    await eventually('the notices', () => heard.length === 3);
  });

  it('rejects with STORE_UNAVAILABLE before the adapter starts, and while Redis is away', async () => {
    const { server, journal } = await serve();
    const early = new RedisJournal({ commands: () => undefined, channelOf: (topic) => topic });
    await say(journal, '1');

    await server.kill();
    const codes = [await failure(say(journal, '2')), await failure(early.read('topic', { limit: 1 }))].map(({ code }) => code);

    expect(codes).to.deep.equal(['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE']);
  });

  it('keeps what it acknowledged over a restart of Redis with appendfsync always', async () => {
    const args = ['--appendonly', 'yes', '--appendfsync', 'always'];
    const server = await redisServer({ args });
    const { journal } = (await redisPeer({ url: server.url })).adapter;
    const before = await say(journal, '1', { idempotencyKey: 'key' });

    await server.kill();
    await server.restart();
    const again = await say(journal, '1', { idempotencyKey: 'key', seen: before });

    expect(again).to.deep.equal({ ...before, duplicate: true });
  });

  it('keeps topics with braces apart, and all keys of a topic in the slot of its channel', async () => {
    const { server } = await serve();
    const slot = async (key: string) => server.command('CLUSTER', 'KEYSLOT', key).catch(() => undefined);
    const channels = ['websocket:0:t:news', '{app}:0:t:news', 'a{b}c{d}', 'a{', 'a}', 'a}b{c', 'a%7D', '{}a'];
    const keys = channels.map(journalKey);

    expect(new Set(keys)).to.have.length(channels.length);
    for (const key of keys) {
      // What a cluster hashes: the text between the first `{` and the next `}`.
      expect(/^[^{]*\{([^}]+)\}/.exec(`${key}meta`)?.[1], key).to.equal(/^[^{]*\{([^}]+)\}/.exec(`${key}entries`)?.[1]).and.not.equal(undefined);
    }
    expect(await slot(journalKey('websocket:0:t:news'))).to.equal(await slot('websocket:0:t:news'));
  });

  it('reads no notice that something else wrote', () => {
    const notices = ['', '\x02', '\x02e', '\x02e 1', '\x02e 1 1', '\x02e 1 9 a', '\x02e x 1 ab', '\x02e 0 1 ab', '\x02 1 1 ab', '\x03e 1 1 ab', '\x02e 1 -1 ab', '\x02e 1 x ab'];

    for (const notice of notices) expect(decodeNotice(Buffer.from(notice)), notice).to.equal(undefined);
    expect(decodeNotice(Buffer.from('\x02e 1 3 ü b c'))).to.deep.equal({ epoch: 'e', offset: 1, id: 'ü ', value: 'b c' });
  });

  it('tells a node of other nodes\' entries for the topics to which its adapter is subscribed', async () => {
    const { server, journal } = await serve();
    const other = await redisPeer(CLIENTS['a client of ioredis'](server.port));
    await other.subscribe('topic');
    const heard: string[] = [];
    other.adapter.journal.watch!((topic, { value }) => heard.push(`${topic} ${value}`));

    await say(journal, '1');
    await journal.append('other', { id: 'x', value: '' }, ROOMY);
    await eventually('the notice', () => heard.length > 0);

    expect(heard).to.deep.equal(['topic 1']);
    expect(other.received).to.deep.equal([]);
  });

  it('waits for replicas if the adapter does', async () => {
    const { server } = await serve();
    const links = await redisLinks({ url: server.url });
    let asked = 0;
    const journal = (error?: Error) => new RedisJournal({
      channelOf: (topic) => topic,
      commands: () => Object.create(links, {
        command: { value: (args: readonly string[]) => links.command(args) },
        onConnected: { value: () => undefined },
        replicated: { value: async () => { asked++; if (error) throw error; } },
      }) as typeof links,
    });

    await say(journal(), '1', { idempotencyKey: 'key' });
    const error = await failure(say(journal(new Error('none')), '1', { idempotencyKey: 'key' }));
    await journal().read('topic', { limit: 1 });

    expect([asked, error.code]).to.deep.equal([2, 'STORE_UNAVAILABLE']);
  });
});
