import { expect } from 'chai';
import fc from 'fast-check';
import { useFakeTimers } from 'sinon';
import { batching, type BatchingOptions } from '../../plugins/batching.ts';
import { presence } from '../../plugins/presence.ts';
import { rooms, type RoomsOptions } from '../../plugins/rooms.ts';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { definePlugin, type Message, type User } from '../../index.ts';
import { cleanup } from '../support/cleanup.ts';
import type { Client, Received } from '../support/client.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start, type Manager, type StartOptions } from '../support/start.ts';

const QUIET = { logger: { debug() {}, info() {}, warn() {}, error() {} } };
/** Longer than a test: what arrives did not wait for the delay. */
const NEVER = { maxDelay: 1_000_000, maxMessages: 1_000 };
const who = { type: 'connection' as const, name: 'who', handler: (_ws: unknown, { url }: { url?: string | undefined }) => {
  const id = new URL(url!, 'http://host').searchParams.get('user');
  return id ? { user: { id } satisfies User } : undefined;
} };

async function open(options: BatchingOptions = NEVER, roomOptions: RoomsOptions = { announce: false }, more: StartOptions = {}) {
  const started = await start({ ...QUIET, ...more, use: [who, rooms(roomOptions), batching(options)] });
  const { manager } = started;
  const api = manager.api('rooms');
  await api.ensure('lobby');
  const as = (id: string) => started.connect({ search: `?user=${id}` });
  const enter = async (id: string): Promise<Client> => {
    const client = await as(id);
    await client.request({ type: 'join-room', roomId: 'lobby' });
    return client;
  };
  const say = (text: string, options?: Parameters<typeof api.publish>[2]) => api.publish('lobby', { type: 'news', content: text }, options);
  const flush = () => manager.api('batching').flush();
  const idOf = (userId: string) => [...manager.connections.values()].find(({ user }) => user?.id === userId)!.id;
  return { ...started, api, as, enter, say, flush, idOf };
}

/** What a client received in the room: batches as lists of their contents, other messages as their content. */
const read = (client: Client) => client.messages.filter(({ type }) => ['message-batch', 'news', 'room-message'].includes(type)).map(contents);
const contents = ({ type, content }: Received): unknown => (type === 'message-batch' ? (content.messages as Received[]).map((message) => message.content) : content);
/** Resolves when everything that was sent to the client has arrived. */
const settled = (client: Client) => client.request({ type: 'ping' });

describe('batching', () => {
  it('is loaded by its name, after rooms', async () => {
    const { manager } = await start({ ...QUIET, use: [rooms(), 'batching'] });

    expect(manager.api('batching')).to.have.keys('flush');
  });

  it('sends the messages within its delay as one message, in order', async () => {
    const clock = useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'], now: Date.now() });
    cleanup(() => clock.restore());
    const { enter, say } = await open({ maxDelay: 80 });
    const ann = await enter('ann');

    expect([say('one'), say('two'), say('three')]).to.deep.equal([1, 1, 1]);
    await clock.tickAsync(79);
    await settled(ann);
    const before = read(ann);
    await clock.tickAsync(200);
    const batch = await ann.next('message-batch');

    expect(before).to.deep.equal([]);
    expect(batch.content.roomId).to.equal('lobby');
    expect(batch.content.messages.map(({ type, content }: Received) => [type, content])).to.deep.equal([['news', 'one'], ['news', 'two'], ['news', 'three']]);
    for (const message of batch.content.messages) expect(message).to.have.keys('id', 'type', 'content', 'timestamp');
  });

  it('gathers the messages of members', async () => {
    const { enter, flush } = await open();
    const [ann, bob] = [await enter('ann'), await enter('bob')];

    for (const content of ['hi', 'how are you']) await ann.request({ type: 'room-message', roomId: 'lobby', content, ack: true });
    flush();

    for (const client of [ann, bob]) {
      const { content } = await client.next('message-batch');
      expect(content.messages.map((message: Received) => [message.type, message.content.userId, message.content.content])).to.deep.equal([['room-message', 'ann', 'hi'], ['room-message', 'ann', 'how are you']]);
    }
  });

  it('sends as soon as there are enough messages, or they are large enough', async () => {
    const { enter, say } = await open({ ...NEVER, maxMessages: 3, maxSize: 1_000 });
    const ann = await enter('ann');

    for (let count = 0; count < 7; count++) say(String(count));
    await settled(ann);
    const byNumber = read(ann);
    say('x'.repeat(900));
    say('y'.repeat(900));
    say('z'.repeat(2_000));
    await settled(ann);

    expect(byNumber).to.deep.equal([['0', '1', '2'], ['3', '4', '5']]);
    expect(read(ann).slice(2)).to.deep.equal([['6'], ['x'.repeat(900)], ['y'.repeat(900)], ['z'.repeat(2_000)]]);
  });

  it('holds nothing back when too much waits in all rooms', async () => {
    const { enter, api, say, manager } = await open({ ...NEVER, maxWaiting: 1_000 });
    await api.create('attic');
    const ann = await enter('ann');
    api.publish('attic', { type: 'news', content: 'x'.repeat(850) });

    say('one');
    say('two');
    await settled(ann);

    expect(read(ann)).to.deep.equal([['one'], ['two']]);
    expect(manager.getMetrics().plugins['batching']!['batching_waiting']).to.be.within(850, 1_000);
  });

  it('sends what is urgent at once, after what waits', async () => {
    const { enter, say, api } = await open({ ...NEVER, urgent: ['fire_alarm'] });
    const ann = await enter('ann');

    say('one');
    say('two', { urgent: true });
    say('three');
    api.publish('lobby', { type: 'fire-alarm', content: 'out!' });
    await settled(ann);

    expect(read(ann)).to.deep.equal([['one'], 'two', ['three']]);
    expect(ann.messages.slice(-2).map(({ type }) => type)).to.deep.equal(['fire-alarm', 'pong']);
  });

  it('keeps messages as they were when they were sent', async () => {
    const { enter, api, flush } = await open();
    const ann = await enter('ann');
    const state = { score: 1 };

    api.publish('lobby', { type: 'news', content: state });
    state.score = 2;
    api.publish('lobby', { type: 'news', content: state });
    flush();

    expect(contents(await ann.next('message-batch'))).to.deep.equal([{ score: 1 }, { score: 2 }]);
  });

  it('gives a new id to a received message that is sent on', async () => {
    const { manager, enter, api, flush } = await open();
    manager.registerHandler('relay', (message: Message) => { api.publish('lobby', message as never); });
    const ann = await enter('ann');

    await ann.request({ type: 'relay', id: 'r-1', content: 'hi', ack: true });
    flush();

    const [message] = (await ann.next('message-batch')).content.messages;
    expect(message).to.deep.include({ type: 'relay', content: 'hi' });
    expect(message.id, 'that of the sender is its own').to.be.a('string').and.not.equal('r-1');
  });

  it('removes fields from a received message that one client may not send to another', async () => {
    const { manager, enter, api, flush } = await open();
    manager.registerHandler('relay', (message: Message) => { api.publish('lobby', { ...message, type: 'relayed', topic: 'x' }); });
    const ann = await enter('ann');

    await ann.request({ type: 'relay', replyTo: 'forged', content: 'hi', meta: { trace: 1, args: [] }, epoch: 'e', offset: 7, ack: true });
    flush();

    const [message] = (await ann.next('message-batch')).content.messages;
    expect(message).to.include({ type: 'relayed', content: 'hi' });
    expect(message).to.not.have.any.keys('replyTo', 'epoch', 'offset', 'topic', 'sessionId', 'ack');
    expect(message.meta).to.deep.equal({ args: [] });
  });

  it('loses no batch when one message cannot be written', async () => {
    const { manager, enter, say, api, flush } = await open();
    const ann = await enter('ann');
    const errors: string[] = [];
    manager.on('error', (error) => errors.push(error.name));
    const circle: Record<string, unknown> = {};
    circle.self = circle;

    say('one');
    for (const content of [circle, 1n, { toJSON() { throw new Error('no'); } }]) expect(api.publish('lobby', { type: 'news', content })).to.equal(0);
    for (const nonsense of [{}, { type: 7 }, [], new Blob(['x'])]) expect(api.publish('lobby', nonsense as never)).to.equal(0);
    say('two');
    flush();
    await settled(ann);

    expect(read(ann)).to.deep.equal([['one'], ['two']]);
    expect(errors).to.have.lengthOf(7);
  });

  describe('a connection that enters or leaves', () => {
    it('gets what was sent while it was in the room, and not what its user got elsewhere', async () => {
      const { enter, say, flush } = await open();
      const [ann, bob] = [await enter('ann'), await enter('bob')];

      say('one');
      const again = await enter('bob');
      say('two');
      await bob.request({ type: 'leave-room', roomId: 'lobby' });
      say('three');
      flush();
      await Promise.all([ann, bob, again].map(settled));

      expect(read(ann).flat()).to.deep.equal(['one', 'two', 'three']);
      expect(read(bob).flat()).to.deep.equal(['one', 'two']);
      expect(read(again).flat()).to.deep.equal(['two', 'three']);
    });

    it('gets what was sent before its user is kicked, or the room is deleted', async () => {
      const { enter, say, api } = await open();
      const [ann, bob] = [await enter('ann'), await enter('bob')];

      say('one');
      await api.kick('lobby', 'bob');
      say('two');
      await api.delete('lobby');
      await Promise.all([ann, bob].map(settled));

      expect(read(bob).flat()).to.deep.equal(['one']);
      expect(read(ann).flat(1)).to.deep.include('two');
      // The notice of the deletion is one of the messages.
      const types = ann.messages.filter(({ type }) => type === 'message-batch').flatMap(({ content }) => content.messages.map(({ type }: Received) => type));
      expect(types.at(-1)).to.equal('room-deleted');
    });

    it('gets nothing that was sent to a deleted room of the same name', async () => {
      const { as, say, api, flush } = await open();
      say('for nobody');
      await api.delete('lobby');
      await api.create('lobby');
      const ann = await as('ann');
      await ann.request({ type: 'join-room', roomId: 'lobby' });

      flush();
      await settled(ann);

      expect(read(ann)).to.deep.equal([]);
    });

    it('is announced in order with the other messages', async () => {
      const { enter, say, flush } = await open(NEVER, {});
      const ann = await enter('ann');
      say('one');
      await enter('bob');
      say('two');
      flush();
      await settled(ann);

      const heard = ann.messages.filter(({ type }) => type === 'message-batch').flatMap(({ content }) => content.messages.map(({ type }: Received) => type));
      expect(heard).to.deep.equal(['news', 'user-joined', 'news']);
    });

    it('gets its own batch at once when it leaves, while the messages still wait for the others', async () => {
      const { enter, say, flush } = await open();
      const [ann, bob] = [await enter('ann'), await enter('bob')];

      say('one');
      await bob.request({ type: 'leave-room', roomId: 'lobby' });
      say('two');
      const early = [read(ann), read(bob)];
      flush();
      await Promise.all([ann, bob].map(settled));

      expect(early).to.deep.equal([[], [['one']]]);
      expect([read(ann), read(bob)]).to.deep.equal([[['one', 'two']], [['one']]]);
    });

    it('is announced in few frames with all others that enter at once, and is told of those after it', async () => {
      const { manager, as, api, idOf } = await open({ maxMessages: 40, maxDelay: 1_000_000 }, {});
      const names = Array.from({ length: 100 }, (_, index) => `user-${index}`);
      const clients = await Promise.all(names.map(as));
      const { sentMessages: before } = manager.getMetrics().messages;

      for (const name of names) await api.join(idOf(name), 'lobby');
      manager.api('batching').flush();
      const frames = manager.getMetrics().messages.sentMessages - before;
      await Promise.all(clients.map(settled));

      const heard = clients.map(({ messages }) => messages.filter(({ type }) => type === 'message-batch')
        .flatMap(({ content }) => (content.messages as Received[]).map((message) => message.content.userId as string)));
      expect(heard).to.deep.equal(names.map((_, index) => names.slice(index + 1)));
      expect(frames, 'and not 4,950').to.be.at.most(300);
    }).timeout(60_000);

    it('causes a flush of the room, if too many connections would get batches of their own', async () => {
      const { manager, as, enter, say, api, idOf } = await open({ maxMessages: 10_000, maxDelay: 1_000_000, maxSize: 2 ** 30 });
      await enter('ann');
      const names = Array.from({ length: 12 }, (_, index) => `user-${index}`);
      await Promise.all(names.map(as));

      for (let count = 0; count < 1_000; count++) say(String(count));
      const waiting = manager.getMetrics().plugins['batching']!['batching_waiting'];
      for (const name of names) await api.join(idOf(name), 'lobby');

      expect(waiting).to.be.above(0);
      expect(manager.getMetrics().plugins['batching']).to.include({ batching_waiting: 0, batching_batches_total: 1 });
    });

    it('gets the same as without batching, in any order of events', async () => {
      const event = fc.oneof(
        { weight: 3, arbitrary: fc.record({ does: fc.constant('say' as const), except: fc.subarray(['ann', 'bob', 'eve']), urgent: fc.boolean() }) },
        { weight: 2, arbitrary: fc.record({ does: fc.constantFrom('join' as const, 'leave' as const), who: fc.constantFrom('ann', 'bob', 'eve') }) },
        { weight: 1, arbitrary: fc.record({ does: fc.constant('flush' as const) }) },
      );
      const { as, api, say, flush, idOf } = await open({ ...NEVER, maxMessages: 4 });
      const clients = new Map(await Promise.all(['ann', 'bob', 'eve'].map(async (id) => [id, await as(id)] as const)));
      let count = 0;

      await fc.assert(fc.asyncProperty(fc.array(event, { maxLength: 25 }), async (events) => {
        for (const client of clients.values()) client.messages.length = 0;
        const inside = new Set<string>();
        const expected = new Map([...clients.keys()].map((id) => [id, [] as string[]]));
        for (const one of events) {
          if (one.does === 'flush') flush();
          else if (one.does === 'join' && !inside.has(one.who)) {
            await api.join(idOf(one.who), 'lobby');
            inside.add(one.who);
          } else if (one.does === 'leave' && inside.delete(one.who)) await api.leave(idOf(one.who), 'lobby');
          else if (one.does === 'say') {
            const text = String(++count);
            const reached = [...inside].filter((id) => !one.except.includes(id));
            expect(say(text, { except: one.except.map(idOf), urgent: one.urgent })).to.equal(reached.length);
            for (const id of reached) expected.get(id)!.push(text);
          }
        }
        flush();
        for (const id of inside) await api.leave(idOf(id), 'lobby');
        await Promise.all([...clients.values()].map(settled));
        for (const [id, client] of clients) expect(read(client).flat(), id).to.deep.equal(expected.get(id));
      }), { numRuns: 60 });
    });
  });

  describe('a connection that a message excepts', () => {
    it('gets the other messages, in a batch of its own', async () => {
      const { enter, say, flush, idOf } = await open();
      const [ann, bob, eve] = [await enter('ann'), await enter('bob'), await enter('eve')];

      expect(say('one')).to.equal(3);
      expect(say('two', { except: [idOf('ann'), idOf('ann')] })).to.equal(2);
      expect(say('three', { except: [idOf('ann'), idOf('bob')] })).to.equal(1);
      flush();
      await Promise.all([ann, bob, eve].map(settled));

      expect([read(ann), read(bob), read(eve)]).to.deep.equal([[['one']], [['one', 'two']], [['one', 'two', 'three']]]);
    });

    it('gets nothing when it is excepted from all messages', async () => {
      const { enter, say, flush, idOf } = await open();
      const [ann, bob] = [await enter('ann'), await enter('bob')];

      say('one', { except: idOf('ann') });
      flush();
      await Promise.all([ann, bob].map(settled));

      expect([read(ann), read(bob)]).to.deep.equal([[], [['one']]]);
    });

    it('gets no batch while it is held', async () => {
      const { manager, enter, say, flush, idOf } = await open();
      const [ann, bob] = [await enter('ann'), await enter('bob')];
      manager.use(definePlugin({ name: 'holder', setup: ({ node }) => { node.hold(manager.connections.get(idOf('ann'))!, true); } }));
      await manager.ready();

      say('one', { except: idOf('ann') });
      say('two');
      flush();
      await Promise.all([ann, bob].map(settled));

      expect([read(ann), read(bob)]).to.deep.equal([[], [['one', 'two']]]);
    });

    it('gets no batch of a room that it is not in', async () => {
      const { as, enter, say, flush, idOf } = await open();
      const [ann, eve] = [await enter('ann'), await as('eve')];

      say('one');
      say('two', { except: idOf('eve') });
      flush();
      await Promise.all([ann, eve].map(settled));

      expect([read(ann), read(eve)]).to.deep.equal([[['one', 'two']], []]);
    });

    it('does not get its own messages, where echo is off', async () => {
      const { enter, flush } = await open(NEVER, { echo: false, announce: false });
      const [ann, bob] = [await enter('ann'), await enter('bob')];

      await ann.request({ type: 'room-message', roomId: 'lobby', content: 'hi bob', ack: true });
      await bob.request({ type: 'room-message', roomId: 'lobby', content: 'hi ann', ack: true });
      flush();

      const said = async (client: Client) => ((await client.next('message-batch')).content.messages as Received[]).map(({ content }) => content.content as string);
      expect(await said(ann)).to.deep.equal(['hi ann']);
      expect(await said(bob)).to.deep.equal(['hi bob']);
    });

    it('is left out on another node, too', async () => {
      const hub = {};
      const here = await open(NEVER, { announce: false }, { adapter: new MemoryAdapter(hub) });
      const there = await open(NEVER, { announce: false }, { adapter: new MemoryAdapter(hub) });
      const [ann, bob, eve] = [await here.enter('ann'), await there.enter('bob'), await there.enter('eve')];

      here.say('one');
      here.say('two', { except: there.idOf('bob') });
      here.say('three');
      here.flush();
      await Promise.all([ann, bob, eve].map(settled));

      expect([ann, bob, eve].map(read)).to.deep.equal([[['one'], 'two', ['three']], [['one'], ['three']], [['one'], 'two', ['three']]]);
    });
  });

  describe('stopping and unloading', () => {
    it('sends what waits before connections are closed', async () => {
      const { manager, enter, say } = await open();
      const ann = await enter('ann');
      say('last words');

      await manager.stop();
      await ann.closed;

      expect(read(ann)).to.deep.equal([['last words']]);
    });

    it('holds nothing back any more while it stops', async () => {
      const { manager, enter, say } = await open();
      const ann = await enter('ann');
      manager.on('stopping', () => say('goodbye'));
      say('last words');

      await manager.stop();
      await ann.closed;

      expect(read(ann)).to.deep.equal([['last words'], 'goodbye']);
    });

    it('sends what waits when it is unloaded, and then sends each message alone', async () => {
      const { manager, enter, say } = await open();
      const ann = await enter('ann');
      say('one');

      const unloading = manager.unload('batching');
      say('two');
      await unloading;
      say('three');
      await settled(ann);

      expect(read(ann)).to.deep.equal([['one'], 'two', 'three']);
    });

    it('loses nothing when it is unloaded and loaded under traffic', async () => {
      const { manager, enter, say } = await open({ maxDelay: 1, maxMessages: 7 });
      const ann = await enter('ann');
      let count = 0;
      const talk = (): void => { for (let times = 0; times < 10; times++) say(String(count++)); };

      for (let round = 0; round < 5; round++) {
        talk();
        const unloading = manager.unload('batching');
        talk();
        await unloading;
        talk();
        manager.use(batching({ maxDelay: 1, maxMessages: 7 }));
        await manager.ready();
        talk();
      }
      manager.api('batching').flush();
      await settled(ann);

      expect(read(ann).flat()).to.deep.equal(Array.from({ length: count }, (_, index) => String(index)));
    });
  });

  it('gathers the notices of presence and typing with the other messages of the room', async () => {
    const { manager, enter, say, flush } = await open(NEVER, {}, {});
    const clock = useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    cleanup(() => clock.restore());
    manager.use(presence({ interval: 100 }));
    await manager.ready();
    const [ann, bob] = [await enter('ann'), await enter('bob')];
    flush();
    await settled(ann);
    ann.messages.length = 0;

    say('one');
    await clock.tickAsync(100);
    await bob.request({ type: 'typing', roomId: 'lobby', isTyping: true, ack: true });
    await settled(ann);
    const early = ann.messages.map(({ type }) => type);
    flush();
    await settled(ann);

    expect(early).to.deep.equal(['pong']);
    const [, batch] = ann.messages;
    expect((batch!.content.messages as Received[]).map(({ type }) => type)).to.deep.equal(['news', 'user-online', 'user-typing']);
    await settled(bob);
    const bobs = bob.messages.findLast(({ type }) => type === 'message-batch')!;
    expect((bobs.content.messages as Received[]).map(({ type }) => type)).to.deep.equal(['news', 'user-online']);
  });

  it('uses the naming of the application for its type', async () => {
    const { enter, say, flush } = await open(NEVER, {}, { naming: 'snake' });
    const ann = await enter('ann');

    say('one');
    flush();

    expect((await ann.next('message_batch')).content.messages).to.have.lengthOf(1);
  });

  it('sends one frame for each batch and member, and leaves nothing waiting', async () => {
    const { manager, enter, say, flush } = await open();
    await Promise.all(['ann', 'bob', 'eve'].map(enter));
    const { sentMessages: before } = manager.getMetrics().messages;

    for (let count = 0; count < 100; count++) say(String(count));
    flush();

    expect(manager.getMetrics().messages.sentMessages - before).to.equal(3);
    expect(manager.getMetrics().plugins['batching']).to.deep.equal({ batching_messages_total: 100, batching_batches_total: 1, batching_waiting: 0 });
  });

  it('flushes one room, if one is named', async () => {
    const { manager, enter, say, api } = await open();
    await api.create('attic');
    const ann = await enter('ann');
    await ann.request({ type: 'join-room', roomId: 'attic' });
    say('one');
    api.publish('attic', { type: 'news', content: 'two' });

    manager.api('batching').flush('attic');
    manager.api('batching').flush('nowhere');
    await settled(ann);

    expect(read(ann)).to.deep.equal([['two']]);
  });

  it('checks its options', () => {
    const wrong = (options: object, text: string) => expect(() => batching(options)).to.throw(text);

    wrong({ maxMessages: 0 }, 'option "batching.maxMessages" must be an integer from 1 to 10000');
    wrong({ maxDelay: Infinity }, 'option "batching.maxDelay" must be');
    wrong({ maxSize: -1 }, 'option "batching.maxSize" must be');
    wrong({ maxWaiting: '1mb' }, 'option "batching.maxWaiting" must be');
    wrong({ urgent: 'alarm' }, 'option "batching.urgent" must be a list of message types');
    wrong({ delay: 50 }, 'option "batching.delay" does not exist');
  });

  const exercise = async ({ manager }: { manager: Manager }, client: Client) => {
    const api = manager.api('rooms');
    await api.create('suite');
    await client.request({ type: 'join-room', roomId: 'suite' });
    await client.request({ type: 'room-message', roomId: 'suite', content: 'hi', ack: true });
    api.publish('suite', { type: 'news', content: 'still waits when it is unloaded' });
    await client.request({ type: 'leave-room', roomId: 'suite' });
    api.publish('suite', { type: 'news', content: 'for nobody' });
    await api.delete('suite');
  };
  pluginSuite('batching', () => batching(NEVER), { requires: () => [who, rooms()], options: QUIET, exercise });
});
