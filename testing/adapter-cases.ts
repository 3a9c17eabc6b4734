import assert from 'node:assert/strict';
import { adapterTest as test, bytes, type Peer } from './adapter-bench.ts';
import { eventually } from './eventually.ts';

/** Tests of an adapter without a manager. */
export const adapterTests = [
  test('delivers a packet byte for byte to the other nodes that subscribe to its topic', async (bench) => {
    const [a, b, c] = await bench.peers(3) as [Peer, Peer, Peer];
    const packet = Uint8Array.from({ length: 256 }, (_, index) => index);
    await Promise.all([b.subscribe('chat'), c.subscribe('chat')]);

    await a.adapter.publish('chat', packet);
    await a.adapter.publish('chat', new Uint8Array());
    await Promise.all([b, c].map((one) => eventually('both packets', () => one.received.length === 2)));

    for (const { received } of [b, c]) {
      const got = received.map((one) => [one.topic, [...one.packet]]);
      assert.deepEqual(got, [['chat', [...packet]], ['chat', []]]);
    }
  }),

  test('delivers the packets of one node in order, whatever their topics and sizes', async (bench) => {
    const [a, b] = await bench.peers(2) as [Peer, Peer];
    await Promise.all([b.subscribe('odd'), b.subscribe('even')]);
    const texts = Array.from({ length: 500 }, (_, index) => `${index} ${'x'.repeat(index % 7 === 0 ? 20_000 : 0)}`);

    for (const [index, text] of texts.entries()) void a.publish(index % 2 ? 'odd' : 'even', text);
    await eventually('all packets', () => b.received.length === texts.length);

    assert.deepEqual(b.received.map(({ text }) => parseInt(text)), texts.map((_, index) => index));
  }),

  test('delivers nothing before publish has returned', async (bench) => {
    const [a, b] = await bench.peers(2) as [Peer, Peer];
    await b.subscribe('chat');

    const published = a.publish('chat', 'later');
    const meanwhile = b.received.length;
    await published;
    await eventually('the packet', () => b.received.length === 1);

    assert.equal(meanwhile, 0);
  }),

  test('delivers the bytes as they were when they were published', async (bench) => {
    const [a, b] = await bench.peers(2) as [Peer, Peer];
    await b.subscribe('chat');
    const packet = bytes('as it was');

    const published = a.adapter.publish('chat', packet);
    await published;
    packet.fill(0);
    await eventually('the packet', () => b.received.length === 1);

    assert.equal(b.received[0]!.text, 'as it was');
  }),

  test('delivers nothing of a topic that a node does not subscribe to, or no longer', async (bench) => {
    const [a, b] = await bench.peers(2) as [Peer, Peer];
    await Promise.all([b.subscribe('left'), b.subscribe('end')]);
    await b.adapter.unsubscribe('left');
    await b.adapter.unsubscribe('never joined');

    for (const topic of ['left', 'never joined', 'en', 'end2', 'END', 'end']) await a.publish(topic, topic);
    await eventually('the last packet', () => b.received.some(({ topic }) => topic === 'end'));

    assert.deepEqual(b.received.map(({ topic }) => topic), ['end']);
  }),

  test('delivers a packet once after several subscriptions, and not after one unsubscribe', async (bench) => {
    const [a, b] = await bench.peers(2) as [Peer, Peer];
    for (const topic of ['twice', 'twice', 'end']) await b.subscribe(topic);

    await a.publish('twice', 'first');
    await a.publish('end', '1');
    await eventually('the packets', () => b.received.some(({ text }) => text === '1'));
    await b.adapter.unsubscribe('twice');
    await a.publish('twice', 'second');
    await a.publish('end', '2');
    await eventually('the packets', () => b.received.some(({ text }) => text === '2'));

    assert.deepEqual(b.received.map(({ text }) => text), ['first', '1', '2']);
  }),

  test('takes every topic literally, and none as a pattern', async (bench) => {
    const [a, b] = await bench.peers(2) as [Peer, Peer];
    const patterns = ['*', 'user:*', 'h?llo', '[ab]', 'a\\*'];
    const topics = [...patterns, 'a b', 'a\nb', 'ä', '房间', '__proto__', 'constructor', '', 'x'.repeat(300)];
    const matching = ['user:7', 'hello', 'a', 'ab', 'a*', 'toString'];
    for (const topic of [...topics, 'end']) await b.subscribe(topic);

    for (const topic of [...matching, ...topics, 'end']) await a.publish(topic, topic);
    await eventually('the last packet', () => b.received.some(({ topic }) => topic === 'end'));

    assert.deepEqual(b.received.map(({ topic }) => topic), [...topics, 'end']);
    assert.deepEqual(b.received.map(({ text }) => text), [...topics, 'end']);
  }),

  test('delivers nothing to another bus', async (bench) => {
    const [a, b] = await bench.peers(2) as [Peer, Peer];
    const [other] = await bench.peers(1) as [Peer];
    await Promise.all([b.subscribe('chat'), other.subscribe('chat')]);

    await a.publish('chat', 'hello');
    await eventually('the packet', () => b.received.length === 1);

    assert.deepEqual(other.received, []);
  }),

  test('goes on delivering after the receive of one node threw', async (bench) => {
    const adapter = await bench.make();
    const texts: string[] = [];
    const faulty = adapter();
    bench.cleanups.add(() => faulty.stop());
    await faulty.start({
      id: 'faulty',
      receive(_, packet) {
        texts.push(Buffer.from(packet).toString());
        if (texts.length === 1) throw new Error('a receiver');
      },
    });
    const [a, b] = await Promise.all([bench.peer(adapter(), 'a'), bench.peer(adapter(), 'b')]);
    await Promise.all([faulty.subscribe('chat'), b.subscribe('chat')]);

    await a.publish('chat', '1');
    await a.publish('chat', '2');
    await eventually('both packets at both', () => texts.length === 2 && b.received.length === 2);

    assert.deepEqual(texts, ['1', '2']);
    assert.deepEqual(b.received.map(({ text }) => text), ['1', '2']);
  }),

  test('delivers nothing to a stopped node, which may stop again', async (bench) => {
    const [a, b, c] = await bench.peers(3) as [Peer, Peer, Peer];
    await Promise.all([b.subscribe('chat'), c.subscribe('chat')]);

    await b.adapter.stop();
    await a.publish('chat', 'hello');
    await eventually('the packet', () => c.received.length === 1);

    assert.deepEqual(b.received, []);
    await b.adapter.stop();
  }),

  test('rejects publish and subscribe before it is started', async (bench) => {
    const adapter = (await bench.make())();
    const attempt = (work: () => void | Promise<void>): Promise<string> =>
      (async () => work())().then(() => 'done', () => 'failed');

    const published = await attempt(() => adapter.publish('chat', bytes('lost')));
    const subscribed = await attempt(() => adapter.subscribe('chat'));

    assert.deepEqual([published, subscribed], ['failed', 'failed']);
    await adapter.stop();
  }),

  test('has a name and reports its health', async (bench) => {
    const [a] = await bench.peers(1) as [Peer];

    assert.match(a.adapter.name, /^[a-z][a-z0-9-]*$/);
    assert.equal((await a.adapter.check?.())?.status ?? 'healthy', 'healthy');
  }),
];
