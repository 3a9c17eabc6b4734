import { expect } from 'chai';
import type { Adapter } from '../../index.ts';
import { cleanup } from './cleanup.ts';
import type { Client } from './client.ts';
import { start, type Manager } from './start.ts';
import { eventually } from './timing.ts';

/** Makes one more adapter of a bus that nobody else is on. */
export type MakeAdapter = () => Adapter;

interface Received { readonly topic: string; readonly text: string; readonly packet: Uint8Array }

/** A node of its own on an adapter, as the kernel would be one. */
interface Peer {
  readonly adapter: Adapter;
  readonly received: Received[];
  publish(topic: string, text: string): Promise<void>;
  subscribe(topic: string): Promise<void>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const QUIET = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * What every adapter owes, first by itself and then under managers. What an adapter may do or not: give a node its own packets
 * back, and deliver what was published in the moment of a subscription.
 *
 * @param make a new bus with nobody on it; what it gives makes an adapter of that bus
 */
export function adapterSuite(name: string, make: () => MakeAdapter | Promise<MakeAdapter>): void {
  async function peers(count: number): Promise<Peer[]> {
    const adapter = await make();
    return Promise.all(Array.from({ length: count }, (_, index) => peer(adapter(), `node-${index}`)));
  }

  describe(`adapter ${name}`, () => {
    it('brings a packet byte for byte to the other nodes that are subscribed to its topic', async () => {
      const [a, b, c] = await peers(3) as [Peer, Peer, Peer];
      const packet = Uint8Array.from({ length: 256 }, (_, index) => index);
      await Promise.all([b.subscribe('chat'), c.subscribe('chat')]);

      await a.adapter.publish('chat', packet);
      await a.adapter.publish('chat', new Uint8Array());
      await Promise.all([b, c].map((one) => eventually('both packets', () => one.received.length === 2)));

      for (const { received } of [b, c]) expect(received.map(({ topic, packet: [...got] }) => [topic, got])).to.deep.equal([['chat', [...packet]], ['chat', []]]);
    });

    it('brings packets in the order in which one node published them, whatever their topics and sizes', async () => {
      const [a, b] = await peers(2) as [Peer, Peer];
      await Promise.all([b.subscribe('odd'), b.subscribe('even')]);
      const texts = Array.from({ length: 500 }, (_, index) => `${index} ${'x'.repeat(index % 7 === 0 ? 20_000 : 0)}`);

      for (const [index, text] of texts.entries()) void a.publish(index % 2 ? 'odd' : 'even', text);
      await eventually('all packets', () => b.received.length === texts.length);

      expect(b.received.map(({ text }) => parseInt(text))).to.deep.equal(texts.map((_, index) => index));
    });

    it('brings nothing before publish has returned', async () => {
      const [a, b] = await peers(2) as [Peer, Peer];
      await b.subscribe('chat');

      const published = a.publish('chat', 'later');
      const meanwhile = b.received.length;
      await published;
      await eventually('the packet', () => b.received.length === 1);

      expect(meanwhile).to.equal(0);
    });

    it('keeps to itself what happens to the bytes after publish', async () => {
      const [a, b] = await peers(2) as [Peer, Peer];
      await b.subscribe('chat');
      const packet = bytes('as it was');

      const published = a.adapter.publish('chat', packet);
      await published;
      packet.fill(0);
      await eventually('the packet', () => b.received.length === 1);

      expect(b.received[0]!.text).to.equal('as it was');
    });

    it('brings nothing of topics that a node is not subscribed to, or no longer', async () => {
      const [a, b] = await peers(2) as [Peer, Peer];
      await Promise.all([b.subscribe('left'), b.subscribe('end')]);
      await b.adapter.unsubscribe('left');
      await b.adapter.unsubscribe('never joined');

      for (const topic of ['left', 'never joined', 'en', 'end2', 'END', 'end']) await a.publish(topic, topic);
      await eventually('the last packet', () => b.received.some(({ topic }) => topic === 'end'));

      expect(b.received.map(({ topic }) => topic)).to.deep.equal(['end']);
    });

    it('brings a packet once, however often its topic was subscribed to, and not after one unsubscribe', async () => {
      const [a, b] = await peers(2) as [Peer, Peer];
      for (const topic of ['twice', 'twice', 'end']) await b.subscribe(topic);

      await a.publish('twice', 'first');
      await a.publish('end', '1');
      await eventually('the packets', () => b.received.some(({ text }) => text === '1'));
      await b.adapter.unsubscribe('twice');
      await a.publish('twice', 'second');
      await a.publish('end', '2');
      await eventually('the packets', () => b.received.some(({ text }) => text === '2'));

      expect(b.received.map(({ text }) => text)).to.deep.equal(['first', '1', '2']);
    });

    it('takes any topic for what it says, and none for a pattern', async () => {
      const [a, b] = await peers(2) as [Peer, Peer];
      const topics = ['*', 'user:*', 'h?llo', '[ab]', 'a\\*', 'a b', 'a\nb', 'ä', '房间', '__proto__', 'constructor', '', 'x'.repeat(300)];
      for (const topic of [...topics, 'end']) await b.subscribe(topic);

      for (const topic of ['user:7', 'hello', 'a', 'ab', 'a*', 'toString', ...topics, 'end']) await a.publish(topic, topic);
      await eventually('the last packet', () => b.received.some(({ topic }) => topic === 'end'));

      expect(b.received.map(({ topic }) => topic)).to.deep.equal([...topics, 'end']);
      expect(b.received.map(({ text }) => text)).to.deep.equal([...topics, 'end']);
    });

    it('brings nothing to another bus', async () => {
      const [a, b] = await peers(2) as [Peer, Peer];
      const [stranger] = await peers(1) as [Peer];
      await Promise.all([b.subscribe('chat'), stranger.subscribe('chat')]);

      await a.publish('chat', 'hello');
      await eventually('the packet', () => b.received.length === 1);

      expect(stranger.received).to.deep.equal([]);
    });

    it('goes on bringing packets to a node whose receive threw, and to the others', async () => {
      const adapter = await make();
      const texts: string[] = [];
      const faulty = adapter();
      cleanup(() => faulty.stop());
      await faulty.start({ id: 'faulty', receive(_, packet) { texts.push(Buffer.from(packet).toString()); if (texts.length === 1) throw new Error('a receiver'); } });
      const [a, b] = await Promise.all([peer(adapter(), 'a'), peer(adapter(), 'b')]);
      await Promise.all([faulty.subscribe('chat'), b.subscribe('chat')]);

      await a.publish('chat', '1');
      await a.publish('chat', '2');
      await eventually('both packets at both', () => texts.length === 2 && b.received.length === 2);

      expect(texts).to.deep.equal(['1', '2']);
      expect(b.received.map(({ text }) => text)).to.deep.equal(['1', '2']);
    });

    it('brings nothing to a node that stopped, which may stop again', async () => {
      const [a, b, c] = await peers(3) as [Peer, Peer, Peer];
      await Promise.all([b.subscribe('chat'), c.subscribe('chat')]);

      await b.adapter.stop();
      await a.publish('chat', 'hello');
      await eventually('the packet', () => c.received.length === 1);

      expect(b.received).to.deep.equal([]);
      await b.adapter.stop();
    });

    it('fails to publish and to subscribe, rather than lose what is published, while it is not started', async () => {
      const adapter = (await make())();
      const attempt = (work: () => void | Promise<void>): Promise<string> => (async () => work())().then(() => 'done', () => 'failed');

      const outcomes = [await attempt(() => adapter.publish('chat', bytes('lost'))), await attempt(() => adapter.subscribe('chat'))];

      expect(outcomes).to.deep.equal(['failed', 'failed']);
      await adapter.stop();
    });

    it('says how it is', async () => {
      const [a] = await peers(1) as [Peer];

      expect(a.adapter.name).to.match(/^[a-z][a-z0-9-]*$/);
      expect((await a.adapter.check?.())?.status ?? 'healthy').to.equal('healthy');
    });
  });

  describe(`managers on adapter ${name}`, () => {
    /** Managers on one bus, and a client of each whose user has the id `user`. */
    async function cluster(count: number): Promise<{ managers: Manager[]; clients: Client[]; errors: Error[] }> {
      const adapter = await make();
      const errors: Error[] = [];
      const started = [];
      for (let index = 0; index < count; index++) {
        const one = await start({ adapter: adapter(), nodeId: `n${index}`, logger: QUIET, use: [{ type: 'connection', handler: () => ({ user: { id: 'user' } }) }] });
        one.manager.on('error', (error) => errors.push(error));
        started.push(one);
      }
      return { managers: started.map(({ manager }) => manager), clients: await Promise.all(started.map(({ connect }) => connect())), errors };
    }
    const only = (manager: Manager): string => [...manager.connections.keys()][0]!;
    const seen = (client: Client): string[] => client.messages.filter(({ type }) => type === 'news').map(({ content }) => content as string);
    const news = (content: string) => ({ type: 'news', content });
    /** Asks until what is published on one node arrives at the client: the subscription has reached the bus. */
    const reaches = (publish: () => unknown, client: Client) => eventually('a packet of the topic', () => {
      publish();
      return client.messages.some(({ type }) => type === 'probe');
    });

    it('broadcast to the clients of all nodes, to each once and in order', async () => {
      const { managers: [a], clients, errors } = await cluster(3);

      for (let index = 0; index < 50; index++) a!.broadcast(news(String(index)));
      await Promise.all(clients.map((client) => eventually('all messages', () => seen(client).length >= 50)));

      for (const client of clients) expect(seen(client)).to.deep.equal(Array.from({ length: 50 }, (_, index) => String(index)));
      expect(errors).to.deep.equal([]);
    });

    it('give a message the same id and time on every node', async () => {
      const { managers: [a], clients } = await cluster(2);

      a!.broadcast(news('x'));
      const [here, there] = await Promise.all(clients.map((client) => client.next('news')));

      expect(there).to.deep.equal(here);
    });

    it('leave out whom the publisher excepts, wherever they are', async () => {
      const { managers: [a, b], clients: [one, two] } = await cluster(2);

      a!.broadcast(news('all but two'), { except: only(b!) });
      a!.broadcast(news('all but both'), { except: [only(a!), only(b!)] });
      a!.broadcast(news('all'));
      await Promise.all([one!, two!].map((client) => eventually('the last message', () => seen(client).includes('all'))));

      expect([seen(one!), seen(two!)]).to.deep.equal([['all but two', 'all'], ['all']]);
    });

    it('send to a user\'s connections on every node', async () => {
      const { managers: [a, b], clients: [one, two] } = await cluster(2);
      await reaches(() => a!.sendToUser('user', { type: 'probe' }), two!);

      const counts = [a!.sendToUser('user', news('to both')), b!.sendToUser('nobody', news('to nobody'))];
      await Promise.all([one!, two!].map((client) => eventually('the message', () => seen(client).length > 0)));

      expect(counts).to.deep.equal([1, 0]);
      expect([seen(one!), seen(two!)]).to.deep.equal([['to both'], ['to both']]);
    });

    it('send to a connection on whichever node it is', async () => {
      const { managers: [a, b, c], clients: [one, two, three] } = await cluster(3);

      const sent = [a!.sendToConnection(only(b!), news('from afar')), b!.sendToConnection(only(b!), news('from here'))];
      c!.broadcast(news('end'));
      await Promise.all([one!, two!, three!].map((client) => eventually('the end', () => seen(client).includes('end'))));
      await eventually('the message from afar', () => seen(two!).length === 3);

      expect(sent).to.deep.equal([true, true]);
      expect(seen(two!)).to.have.members(['from afar', 'from here', 'end']);
      expect([seen(one!), seen(three!)]).to.deep.equal([['end'], ['end']]);
    });

    it('reach a topic as long as somebody there is subscribed to it', async () => {
      const { managers: [a, b], clients: [, two] } = await cluster(2);
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

      expect(seen(two!).filter((content) => content !== 'again')).to.deep.equal(['while in it', 'end']);
    });

    it('survive garbage on the bus, and say so', async () => {
      const adapter = await make();
      const { manager, connect } = await start({ adapter: adapter(), logger: QUIET });
      const client = await connect();
      const errors: (Error & { code?: string })[] = [];
      manager.on('error', (error) => errors.push(error));
      const intruder = await peer(adapter(), 'intruder');

      for (const text of ['', 'not json', 'null', '[]', '5', '{}', '{"message":null}', '{"message":{"type":5}}', '\u0000\u00ff']) await intruder.publish('*', text);
      await intruder.adapter.publish('*', Uint8Array.of(0xff, 0xfe, 0x00, 0x80));
      await intruder.publish('*', JSON.stringify({ from: 'intruder', message: { type: 'news', content: 'fine' } }));
      const message = await client.next('news');

      expect(message.content).to.equal('fine');
      expect(errors.map(({ code }) => code)).to.deep.equal(Array<string>(10).fill('ADAPTER_FAILED'));
      expect((await client.request({ type: 'unheard-of' })).content.code).to.equal('UNKNOWN_TYPE');
    });

    it('leave the bus when they stop', async () => {
      const { managers: [a, b], clients: [one], errors } = await cluster(2);

      await b!.stop();
      a!.broadcast(news('after'));
      await one!.next('news');

      expect(errors).to.deep.equal([]);
    });
  });
}

async function peer(adapter: Adapter, id: string): Promise<Peer> {
  const received: Received[] = [];
  cleanup(() => adapter.stop());
  await adapter.start({ id, receive: (topic, packet) => received.push({ topic, packet: Uint8Array.from(packet), text: Buffer.from(packet).toString() }) });
  return {
    adapter,
    received,
    publish: async (topic, text) => adapter.publish(topic, bytes(text)),
    subscribe: async (topic) => adapter.subscribe(topic),
  };
}
