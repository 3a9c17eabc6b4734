import assert from 'node:assert/strict';
import { adapterTest as test } from './adapter-bench.ts';
import type { Client } from './client.ts';
import { eventually } from './eventually.ts';
import type { Manager } from './start.ts';

const only = (manager: Manager): string => [...manager.connections.keys()][0]!;
const seen = (client: Client): string[] =>
  client.messages.filter(({ type }) => type === 'news').map(({ content }) => content as string);
const news = (content: string) => ({ type: 'news', content });

/** Publishes again and again until the client receives it: then the subscription has reached the bus. */
const reaches = (publish: () => unknown, client: Client) => eventually('a packet of the topic', () => {
  publish();
  return client.messages.some(({ type }) => type === 'probe');
});

/** Tests of managers that use an adapter. */
export const managerTests = [
  test('broadcast to the clients of all nodes, once each and in order', async (bench) => {
    const { managers: [a], clients, errors } = await bench.cluster(3);

    for (let index = 0; index < 50; index++) a!.broadcast(news(String(index)));
    await Promise.all(clients.map((client) => eventually('all messages', () => seen(client).length >= 50)));

    const expected = Array.from({ length: 50 }, (_, index) => String(index));
    for (const client of clients) assert.deepEqual(seen(client), expected);
    assert.deepEqual(errors, []);
  }),

  test('give a message the same id and time on every node', async (bench) => {
    const { managers: [a], clients } = await bench.cluster(2);

    a!.broadcast(news('x'));
    const [here, there] = await Promise.all(clients.map((client) => client.next('news')));

    assert.deepEqual(there, here);
  }),

  test('skip the connections in `except` on every node', async (bench) => {
    const { managers: [a, b], clients: [one, two] } = await bench.cluster(2);

    a!.broadcast(news('all but two'), { except: only(b!) });
    a!.broadcast(news('all but both'), { except: [only(a!), only(b!)] });
    a!.broadcast(news('all'));
    await Promise.all([one!, two!].map((client) => eventually('the last message', () => seen(client).includes('all'))));

    assert.deepEqual([seen(one!), seen(two!)], [['all but two', 'all'], ['all']]);
  }),

  test('send to a user\'s connections on every node', async (bench) => {
    const { managers: [a, b], clients: [one, two] } = await bench.cluster(2);
    await reaches(() => a!.sendToUser('user', { type: 'probe' }), two!);

    const counts = [a!.sendToUser('user', news('to both')), b!.sendToUser('absent', news('to an absent user'))];
    await Promise.all([one!, two!].map((client) => eventually('the message', () => seen(client).length > 0)));

    assert.deepEqual(counts, [1, 0]);
    assert.deepEqual([seen(one!), seen(two!)], [['to both'], ['to both']]);
  }),

  test('send to a connection on any node', async (bench) => {
    const { managers: [a, b, c], clients: [one, two, three] } = await bench.cluster(3);

    const id = only(b!);
    const sent = [a!.sendToConnection(id, news('from another node')), b!.sendToConnection(id, news('from here'))];
    c!.broadcast(news('end'));
    await Promise.all([one!, two!, three!].map((client) => eventually('the end', () => seen(client).includes('end'))));
    await eventually('the message from another node', () => seen(two!).length === 3);

    assert.deepEqual(sent, [true, true]);
    assert.deepEqual(new Set(seen(two!)), new Set(['from another node', 'from here', 'end']));
    assert.deepEqual([seen(one!), seen(three!)], [['end'], ['end']]);
  }),

  test('receive a topic while a connection subscribes to it', async (bench) => {
    const { managers: [a, b], clients: [, two] } = await bench.cluster(2);
    b!.subscribe(only(b!), 'room');
    await reaches(() => a!.publish('room', { type: 'probe' }), two!);

    a!.publish('room', news('while in it'));
    await eventually('the message', () => seen(two!).length === 1);
    b!.unsubscribe(only(b!), 'room');
    a!.publish('room', news('after'));
    a!.broadcast(news('end'));
    await eventually('the end', () => seen(two!).includes('end'));
    b!.subscribe(only(b!), 'room');
    const before = two!.messages.length;
    await eventually('a message of the topic', () => {
      a!.publish('room', news('again'));
      return two!.messages.slice(before).some(({ content }) => content === 'again');
    });

    assert.deepEqual(seen(two!).filter((content) => content !== 'again'), ['while in it', 'end']);
  }),

  test('survive invalid packets, and report them', async (bench) => {
    const adapter = await bench.make();
    const { manager, connect } = await bench.manager({ adapter: adapter() });
    const client = await connect();
    const errors: (Error & { code?: string })[] = [];
    manager.on('error', (error) => errors.push(error));
    const intruder = await bench.peer(adapter(), 'intruder');

    const values = ['null', '[]', '5', '{}', '{"message":null}', '{"message":{"type":5}}'];
    for (const text of ['', 'not json', ...values, '\u0000\u00ff']) await intruder.publish('*', text);
    await intruder.adapter.publish('*', Uint8Array.of(0xff, 0xfe, 0x00, 0x80));
    const envelope = { v: 1, from: 'intruder', run: 'r', n: 1, prev: 0 };
    await intruder.publish('*', JSON.stringify({ ...envelope, message: { type: 'news', content: 'fine' } }));
    const message = await client.next('news');

    assert.equal(message.content, 'fine');
    assert.deepEqual(errors.map(({ code }) => code), Array<string>(10).fill('ADAPTER_FAILED'));
    assert.equal((await client.request({ type: 'unheard-of' })).content.code, 'UNKNOWN_TYPE');
  }),

  test('leave the bus when they stop', async (bench) => {
    const { managers: [a, b], clients: [one], errors } = await bench.cluster(2);

    await b!.stop();
    a!.broadcast(news('after'));
    await one!.next('news');

    assert.deepEqual(errors, []);
  }),
];
