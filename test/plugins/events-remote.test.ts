import { expect } from 'chai';
import fc from 'fast-check';
import { MemoryAdapter } from '../../adapters/memory.ts';
import type { AcknowledgementsMissing } from '../../plugins/events.ts';
import { events, NodesMissing, type RemoteSocket } from '../../plugins/events.ts';
import { namespaces } from '../../plugins/namespaces.ts';
import { deferred } from '../src/start-kernel.ts';
import { eventNodes, forger, type EventNode } from '../support/event-nodes.ts';
import { acknowledge, join, serve, type Joined } from '../support/events.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { eventually } from '../support/timing.ts';

const types = ({ client }: Joined, ...but: string[]) => client.messages.map(({ type }) => type).filter((type) => !but.includes(type));

/** A client on each node. */
async function peopled(options?: Parameters<typeof eventNodes>[1], more?: Parameters<typeof eventNodes>[2]): Promise<[EventNode[], Joined[]]> {
  const nodes = await eventNodes(['a', 'b', 'c'], options, more);
  return [nodes, await Promise.all(nodes.map((node) => join(node)))];
}

/** Resolves when all clients got everything that a node sent before. */
async function all({ io }: EventNode, people: readonly Joined[], end = 'end'): Promise<void> {
  io.emit(end);
  await Promise.all(people.map(({ client }) => client.next(end)));
}

async function failure<E>(promise: Promise<unknown>): Promise<E> {
  return promise.then(() => { throw new Error('it did not fail'); }, (error: unknown) => error as E);
}

describe('sockets of several nodes', () => {
  it('get a broadcast to several rooms once, without the rooms that are excepted', async () => {
    const [[a], [ann, bob, cid]] = await peopled();
    for (const one of [ann!, bob!, cid!]) void one.socket.join(['x', 'y']);
    void cid!.socket.join('muted');

    const queued = a!.io.to('x').to('y').except('muted').emit('news', 1, 'two');
    a!.io.except('muted').emit('but muted');
    ann!.socket.to('x').except('muted').emit('from ann');
    await all(a!, [ann!, bob!, cid!]);

    expect(queued).to.equal(true);
    expect([ann, bob, cid].map((one) => types(one!))).to.deep.equal([
      ['news', 'but muted', 'end'], ['news', 'but muted', 'from ann', 'end'], ['end'],
    ]);
    const [here, there] = [ann, bob].map((one) => one!.client.messages.find(({ type }) => type === 'news'));
    expect(there).to.deep.include({ content: [1, 'two'], meta: { args: 2 } });
    expect(there).to.deep.equal(here);
  });

  it('keep the order of one node', async () => {
    const [[a], people] = await peopled();
    for (const { socket } of people) void socket.join(['x', 'y']);

    for (let number = 0; number < 60; number += 3) {
      a!.io.emit('number', number);
      a!.io.to('x').emit('number', number + 1);
      a!.io.to(['x', 'y']).except('z').emit('number', number + 2);
    }
    await all(a!, people);

    for (const { client } of people) {
      expect(client.messages.slice(0, -1).map(({ content }) => content)).to.deep.equal(Array.from({ length: 60 }, (_, index) => index));
    }
  });

  it('are the same that a single node would choose', async () => {
    const nodes = await eventNodes(['a', 'b', 'c']);
    const alone = await serve();
    const spread: Joined[] = [];
    const together: Joined[] = [];
    for (let index = 0; index < 6; index++) {
      spread.push(await join(nodes[index % 3]!));
      together.push(await join(alone));
    }
    // A number stands for the room of a socket's id. Only the first two are joined by others, and these do not send.
    const room = fc.oneof(fc.constantFrom('x', 'y', 'z'), fc.nat(5));
    const rooms = fc.array(room, { maxLength: 3 });
    const joined = fc.array(fc.array(fc.oneof(fc.constantFrom('x', 'y', 'z'), fc.nat(1)), { maxLength: 3 }), { minLength: 6, maxLength: 6 });
    const sender = fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 2, max: 5 }));
    let run = 0;

    await fc.assert(fc.asyncProperty(joined, sender, fc.option(rooms, { nil: undefined }), rooms, async (memberships, from, to, except) => {
      const event = `event ${++run}`;
      const send = async (people: readonly Joined[], ioOf: (name: string) => EventNode['io']) => {
        const named = (list: readonly (string | number)[]) => list.map((one) => (typeof one === 'number' ? people[one]!.socket.id : one));
        const io = typeof from === 'string' ? ioOf(from) : ioOf('abc'[from % 3]!);
        for (const [index, { socket }] of people.entries()) {
          for (const one of [...socket.rooms]) if (one !== socket.id) socket.leave(one);
          await socket.join(named(memberships[index]!));
        }
        const base = typeof from === 'string' ? io : people[from]!.socket.broadcast;
        const chosen = to === undefined ? base.except(named(except)) : base.to(named(to)).except(named(except));
        const fetched = (await chosen.fetchSockets()).map(({ id }) => people.findIndex(({ socket }) => socket.id === id));
        chosen.emit(event);
        io.emit(`end ${run}`);
        await Promise.all(people.map(({ client }) => client.next(`end ${run}`)));
        const got = people.map(({ client }) => client.messages.splice(0).filter(({ type }) => type === event).length);
        return { fetched: fetched.sort(), got };
      };

      const one = await send(together, () => alone.io);
      const three = await send(spread, (name) => nodes['abc'.indexOf(name)]!.io);

      expect(three).to.deep.equal(one);
      expect(Math.max(...three.got)).to.be.at.most(1);
    }), { numRuns: 60 });
  });

  it('are reached by their id, without a topic for each socket', async () => {
    const [[a, b], [ann, bob, cid]] = await peopled();

    const told = [a!.io.to(bob!.socket.id).emit('for bob'), a!.io.to('b.0190a1b2-0000-7000-8000-000000000000').emit('for none')];
    await bob!.client.next('for bob');
    bob!.socket.leave(bob!.socket.id);
    a!.io.to(bob!.socket.id).emit('too late');
    await all(a!, [ann!, bob!, cid!]);

    expect(told).to.deep.equal([true, true]);
    expect(a!.io.to('z.0190a1b2-0000-7000-8000-000000000000').emit('for none')).to.equal(false);
    expect(types(bob!)).to.deep.equal(['for bob', 'end']);
    expect(b!.manager.inspect({ detail: true }).filter(({ owner, label }) => owner === 'events' && label.includes('io:'))).to.deep.equal([]);
  });

  it('are only those of this node with `local`', async () => {
    const [[a], [ann, bob, cid]] = await peopled();
    const second = await join(a!);
    for (const { socket } of [ann!, bob!, second]) void socket.join('x');

    a!.io.local.emit('here');
    a!.io.local.to('x').emit('x here');
    ann!.socket.local.emit('but ann');
    a!.io.local.socketsJoin('y');
    const fetched = await a!.io.local.fetchSockets();
    await all(a!, [ann!, bob!, cid!, second]);

    expect([ann!, second, bob!, cid!].map((one) => types(one))).to.deep.equal([['here', 'x here', 'end'], ['here', 'x here', 'but ann', 'end'], ['end'], ['end']]);
    expect(fetched).to.have.members([ann!.socket, second.socket]);
    expect(bob!.socket.rooms.has('y')).to.equal(false);
  });

  it('are not reached by packets for a room without members on their node', async () => {
    const bus = {};
    const nodes = await eventNodes(['a', 'b', 'c'], {}, {}, bus);
    const [ann, bob] = [await join(nodes[0]!), await join(nodes[1]!), await join(nodes[2]!)];
    void bob.socket.join('x');
    const packets: string[] = [];
    const { adapter } = nodes[2]!;
    const deliver = adapter.deliver.bind(adapter);
    adapter.deliver = (topic, packet) => {
      if (!Buffer.from(packet).includes('"peer"')) packets.push(topic);
      deliver(topic, packet);
    };

    nodes[0]!.io.to('x').emit('news');
    ann.socket.to('x').emit('from ann');
    nodes[0]!.io.to('x').emit('last');
    await bob.client.next('last');

    expect(packets).to.deep.equal([]);
    expect(types(bob)).to.deep.equal(['news', 'from ann', 'last']);
  });
});

describe('fetchSockets() on several nodes', () => {
  it('gives the sockets of this node, and descriptions of the others', async () => {
    const [[a], [ann, bob]] = await peopled();
    ann!.socket.data = { name: 'ann' };
    bob!.socket.data = { name: 'bob', since: new Date(0) };
    for (const { socket } of [ann!, bob!]) void socket.join('x');

    const [here, there] = await a!.io.in('x').fetchSockets();

    expect(here).to.equal(ann!.socket);
    expect(there).to.deep.include({ id: bob!.socket.id, data: { name: 'bob', since: '1970-01-01T00:00:00.000Z' }, handshake: bob!.socket.handshake });
    expect([...there!.rooms]).to.deep.equal([bob!.socket.id, 'x']);
    expect(await a!.io.fetchSockets()).to.have.lengthOf(3);
    expect(await a!.io.of('/none').fetchSockets()).to.deep.equal([]);
  });

  /** Bob's socket, as the node of Ann fetches it. */
  async function remote(): Promise<{ a: EventNode; b: EventNode; bob: Joined; seen: RemoteSocket }> {
    const [[a, b], [, bob]] = await peopled();
    const [seen] = await a!.io.in(bob!.socket.id).fetchSockets();
    return { a: a!, b: b!, bob: bob!, seen: seen! };
  }

  it('gives sockets that emit, and ask', async () => {
    const { a, bob, seen } = await remote();
    void acknowledge(bob.client, 'question', { content: 'yes' });
    const told = deferred<unknown[]>();

    expect(seen.emit('hello', 1)).to.equal(true);
    const answer = await seen.emitWithAck('question', 'sure?');
    void acknowledge(bob.client, 'again', { content: 'still' });
    seen.timeout(1_000).emit('again', (...given: unknown[]) => told.resolve(given));

    expect(answer).to.equal('yes');
    expect(await told.promise).to.deep.equal([null, 'still']);
    expect(await bob.client.next('hello')).to.include({ content: 1 });
    expect(a.errors).to.deep.equal([]);
  });

  it('gives sockets whose requests fail with the reason', async () => {
    const { a, b, bob, seen } = await remote();
    void acknowledge(bob.client, 'bad', { type: 'error', content: { code: 'NO', message: 'no' } });

    const refused = await failure<{ code: string; details: unknown }>(seen.emitWithAck('bad'));
    const late = await failure<{ code: string }>(seen.timeout(10).emitWithAck('slow'));
    bob.socket.disconnect();
    const gone = await failure<{ code: string }>(seen.emitWithAck('gone'));
    seen.emit('callback', () => undefined);
    await eventually('the failure is told', () => a.errors.length > 0);
    await b.manager.stop();
    await eventually('b is gone', () => a.manager.inspect()['nodes'] === 1);
    const left = await failure<{ code: string }>(seen.timeout(10).emitWithAck('left'));

    expect(refused).to.deep.include({ code: 'PEER_ERROR', details: { event: 'bad', connection: seen.id, content: { code: 'NO', message: 'no' } } });
    expect([late, gone, left].map(({ code }) => code)).to.deep.equal(['REQUEST_TIMEOUT', 'CONNECTION_CLOSED', 'CONNECTION_CLOSED']);
    expect(seen.emit('left')).to.equal(false);
    expect(() => seen.emit('connect')).to.throw().with.property('code', 'EVENT_INVALID');
  });

  it('gives sockets that join, leave and disconnect', async () => {
    const { bob, seen } = await remote();

    void seen.join(['x', 'y']);
    seen.leave('x');
    await eventually('bob is in y', () => bob.socket.rooms.has('y') && !bob.socket.rooms.has('x'));
    expect(seen.disconnect(true)).to.equal(seen);

    expect(await bob.client.closed).to.include({ code: 4010 });
  });

  it('rejects if a node does not answer in time, with its name and the sockets of the others', async () => {
    const [[a, , c], [ann, bob]] = await peopled({ nodeTimeout: 300 });
    c!.adapter.isDeaf = true;

    const error = await failure<NodesMissing>(a!.io.fetchSockets());
    const sooner = await failure<NodesMissing>(a!.io.timeout(5).fetchSockets());

    expect(error).to.be.instanceOf(NodesMissing).and.deep.include({ code: 'NODES_MISSING', missing: [{ node: 'c', code: 'REQUEST_TIMEOUT' }] });
    expect(error.message).to.equal('nodes that did not answer: c');
    expect(error.responses.map(({ id }: RemoteSocket) => id)).to.deep.equal([ann!.socket.id, bob!.socket.id]);
    expect(sooner.code).to.equal('NODES_MISSING');
  });

  it('does not wait for a node that leaves, nor for one without the plugin', async () => {
    const [[a, b, c], [ann]] = await peopled({ nodeTimeout: 60_000 });
    await b!.manager.unload('events');
    c!.adapter.isDeaf = true;

    const fetched = a!.io.fetchSockets();
    await c!.manager.stop();

    expect(await fetched).to.deep.equal([ann!.socket]);
  });

  it('names the node whose data cannot be sent', async () => {
    const [[a], [, bob]] = await peopled();
    bob!.socket.data = { id: 1n };

    expect((await failure<NodesMissing>(a!.io.fetchSockets())).missing).to.deep.equal([{ node: 'b', code: 'DATA_NOT_JSON' }]);
  });
});

describe('a selection on several nodes', () => {
  it('joins, leaves and is disconnected', async () => {
    const [[a], [ann, bob, cid]] = await peopled();
    const inRoom = (room: string) => [ann!, bob!, cid!].map(({ socket }) => socket.rooms.has(room));

    a!.io.except(cid!.socket.id).socketsJoin(['x', 'y']);
    a!.io.in('x').socketsLeave('y');
    await all(a!, [ann!, bob!, cid!]);
    expect([inRoom('x'), inRoom('y')]).to.deep.equal([[true, true, false], [false, false, false]]);
    a!.io.in('x').disconnectSockets(true);

    expect(await Promise.all([ann!.client.closed, bob!.client.closed])).to.have.deep.nested.property('[1].code', 4010);
    expect(cid!.socket.connected).to.equal(true);
  });

  it('reports a refusal on the node of the socket', async () => {
    const [[a, b], [, bob]] = await peopled({ maxRooms: 1 });
    void bob!.socket.join('only');

    a!.io.in(bob!.socket.id).socketsJoin('more');
    await eventually('b tells', () => b!.errors.length > 0);

    expect(b!.errors).to.have.nested.property('[0].code', 'TOO_MANY_ROOMS');
    expect(a!.errors).to.deep.equal([]);
  });
});

describe('broadcasts with acknowledgements on several nodes', () => {
  it('get the answers of the sockets on all nodes', async () => {
    const [[a], people] = await peopled();
    const answers = async () => Promise.all(people.map(({ client }, index) => acknowledge(client, 'question', index === 2 ? {} : { content: index })));
    const told = deferred<unknown[]>();

    void answers();
    const gathered = await a!.io.emitWithAck('question', 'sure?');
    a!.io.timeout(5_000).emit('question', (...given: unknown[]) => told.resolve(given));
    void answers();

    expect(gathered).to.have.members([0, 1, undefined]);
    const [error, responses] = await told.promise;
    expect(error).to.equal(null);
    expect(responses).to.have.members([0, 1, undefined]);
  });

  it('name the sockets that do not answer', async () => {
    const [[a], [ann, bob, cid]] = await peopled();
    void acknowledge(ann!.client, 'question', { content: 'yes' });
    void acknowledge(cid!.client, 'question', { type: 'error', content: {} });

    const error = await failure<AcknowledgementsMissing>(a!.io.timeout(500).emitWithAck('question'));

    expect(error.responses).to.deep.equal(['yes']);
    expect(error.missing).to.have.deep.members([{ id: bob!.socket.id, code: 'REQUEST_TIMEOUT' }, { id: cid!.socket.id, code: 'PEER_ERROR' }]);
    expect(error.nodes).to.deep.equal([]);
  });

  it('name the nodes that do not answer, or leave meanwhile', async () => {
    const [[a, b, c], [ann]] = await peopled();
    const asked = a!.io.timeout(300).emitWithAck('question');
    void acknowledge(ann!.client, 'question', { content: 'yes' });
    b!.adapter.isDeaf = c!.adapter.isDeaf = true;
    await c!.manager.stop();

    const error = await failure<AcknowledgementsMissing>(asked);

    expect(error.responses).to.deep.equal(['yes']);
    expect([...error.nodes].sort()).to.deep.equal(['b', 'c']);
    expect(error.message).to.equal('0 of 1 sockets did not acknowledge the event; nodes that did not answer: b, c');
  });

  it('refuse arguments that no node would get', async () => {
    const [[a]] = await peopled();

    expect(await failure(a!.io.emitWithAck('question', 1n))).to.have.property('code', 'DATA_NOT_JSON');
  });
});

describe('serverSideEmit()', () => {
  it('reaches the listeners of the namespace on all other nodes', async () => {
    const [a, b, c] = await eventNodes(['a', 'b', 'c']);
    const heard: unknown[] = [];
    for (const [name, { io }] of Object.entries({ a: a!, b: b!, c: c! })) {
      io.on('refresh', (...args: unknown[]) => heard.push([name, ...args]));
      io.of('/chat').once('refresh', (...args: unknown[]) => heard.push([`${name}/chat`, ...args]));
    }

    expect(a!.io.serverSideEmit('refresh', 1, { two: 2 })).to.equal(true);
    for (let count = 0; count < 2; count++) b!.io.of('/chat').serverSideEmit('refresh');
    await eventually('all heard', () => heard.length === 4 || heard);
    await a!.io.fetchSockets();

    expect(heard).to.have.deep.members([['b', 1, { two: 2 }], ['c', 1, { two: 2 }], ['a/chat'], ['c/chat']]);
  });

  it('gets one answer of each node', async () => {
    const [a, b, c] = await eventNodes(['a', 'b', 'c']);
    b!.io.on('size', (unit: string, answer: (size: string) => void) => answer(`1 ${unit}`));
    c!.io.on('size', async () => undefined);
    const told = deferred<unknown[]>();

    a!.io.serverSideEmit('size', 'kg', (...given: unknown[]) => told.resolve(given));

    const [error, responses] = await told.promise;
    expect(error).to.equal(null);
    expect(responses).to.have.members(['1 kg', undefined]);
    expect(await a!.io.serverSideEmitWithAck('size', 'g')).to.have.members(['1 g', undefined]);
  });

  it('names the nodes that fail, do not listen, or do not answer', async () => {
    const [a, b, c, d, e] = await eventNodes(['a', 'b', 'c', 'd', 'e'], { nodeTimeout: 300 });
    b!.io.on('size', (answer: (size: number) => void) => answer(1));
    c!.io.on('size', () => { throw new Error('no scale'); });
    d!.io.on('size', (answer: (size: unknown) => void) => answer(1n));
    e!.io.on('other', () => undefined);
    const told = deferred<[NodesMissing, unknown]>();

    a!.io.serverSideEmit('size', (...given: [NodesMissing, unknown]) => told.resolve(given));
    const [error, responses] = await told.promise;
    e!.io.on('size', () => undefined);
    const silent = await failure<NodesMissing>(a!.io.serverSideEmitWithAck('size'));

    expect(responses).to.deep.equal([1]);
    expect(error.missing).to.have.deep.members([{ node: 'c', code: 'INTERNAL_ERROR' }, { node: 'd', code: 'DATA_NOT_JSON' }, { node: 'e', code: 'UNKNOWN_TYPE' }]);
    expect(silent.missing).to.deep.include({ node: 'e', code: 'REQUEST_TIMEOUT' });
    expect(c!.errors.map(({ message }) => message)).to.include('no scale');
  });

  it('is refused for the events of sockets that enter', async () => {
    const [a] = await eventNodes(['a']);

    for (const event of ['connection', 'connect', '']) {
      expect(() => a!.io.serverSideEmit(event as 'x')).to.throw().with.property('code', 'EVENT_INVALID');
    }
  });

  it('has no answers without other nodes', async () => {
    const { io } = await serve();
    const told = deferred<unknown[]>();

    io.serverSideEmit('size');
    io.serverSideEmit('size', (...given: unknown[]) => told.resolve(given));

    expect(await told.promise).to.deep.equal([null, []]);
  });
});

describe('join() on several nodes', () => {
  it('resolves when the node is subscribed, so that later events arrive', async () => {
    const [a, b] = await eventNodes(['a', 'b']);
    const { client, socket } = await join(b!);
    const standing = deferred();
    const subscribe = b!.adapter.subscribe.bind(b!.adapter);
    Object.assign(b!.adapter, {
      subscribe: (topic: string) => (topic.endsWith('#slow') ? standing.promise.then(() => subscribe(topic)) : subscribe(topic)),
    });
    let isJoined = false;

    const joined = Promise.resolve(socket.join(['quick', 'slow'])).then(() => { isJoined = true; });
    const again = socket.join('slow');
    await socket.join('quick');
    const early = isJoined;
    standing.resolve();
    await joined;
    a!.io.to('slow').emit('news');

    expect(early).to.equal(false);
    expect(again).to.be.instanceOf(Promise);
    expect((await client.next()).type).to.equal('news');
    expect(socket.join('slow')).to.equal(undefined);
  });

  it('rejects if the subscription fails, without an unhandled rejection', async () => {
    const [b] = await eventNodes(['b']);
    const { socket } = await join(b!);
    Object.assign(b!.adapter, { subscribe: () => Promise.reject(new Error('no bus')) });

    void socket.join('one');

    expect(await failure(Promise.resolve(socket.join('two')))).to.have.property('code', 'ADAPTER_FAILED');
  });

  it('returns nothing without other nodes', async () => {
    const { socket } = await join(await serve());

    expect(socket.join('x')).to.equal(undefined);
  });
});

describe('forged packets', () => {
  const target = { namespace: '/', to: {} };
  const event = { event: 'x', args: [] };
  const forged: readonly unknown[] = [
    undefined, null, 1, 'text', [], {}, { do: 'nothing' }, { do: 'constructor' }, { do: '__proto__' }, { do: ['emit'] },
    { do: 'fetch' }, { do: 'fetch', namespace: '/' }, { do: 'fetch', namespace: 7, to: {} }, { do: 'fetch', namespace: '/', to: [] },
    { do: 'fetch', namespace: '/', to: { rooms: 'x' } }, { do: 'fetch', namespace: '/', to: { except: [1] } }, { do: 'fetch', namespace: '/', to: { socket: {} } },
    { do: 'emit', ...target, ...event }, { do: 'emit', ...target, ...event, id: 1, timestamp: 't' }, { do: 'emit', ...target, event: 'connect', args: [], id: 'i', timestamp: 't' },
    { do: 'emit', ...target, event: 'x', args: 'text', id: 'i', timestamp: 't' }, { do: 'emit', ...target, event: 'x', args: Array(1_001).fill(0), id: 'i', timestamp: 't' },
    { do: 'join', ...target }, { do: 'join', ...target, rooms: [''] }, { do: 'leave', ...target, rooms: 'x' }, { do: 'disconnect', ...target, close: 'yes' },
    { do: 'gather', ...target, ...event }, { do: 'ask', ...target, ...event, timeout: -1 },
    { do: 'raise', namespace: '/', event: 'connection', args: [], isAsked: false }, { do: 'raise', namespace: '/', ...event },
  ];

  it('are reported, and change nothing', async () => {
    const bus = {};
    const [a] = await eventNodes(['a'], {}, {}, bus);
    const { client, socket } = await join(a!);
    let came = 0;
    a!.io.on('connection', () => { came++; });
    const forge = await forger(bus);

    for (const payload of forged) forge(payload);
    await eventually('all are told', () => a!.errors.length === forged.length || a!.errors.map(({ message }) => message));
    forge(forged[3], 1);
    await eventually('the question is told', () => a!.errors.length === forged.length + 1);
    await client.request({ type: 'ping' });

    expect(new Set(a!.errors.map((error) => (error as Error & { code: string }).code))).to.deep.equal(new Set(['PACKET_INVALID']));
    expect(client.messages.map(({ type }) => type)).to.deep.equal(['pong']);
    expect([...socket.rooms]).to.deep.equal([socket.id]);
    expect(came).to.equal(0);
  });

  it('do no harm, whatever shape they have', async () => {
    const bus = {};
    const [a] = await eventNodes(['a'], {}, {}, bus);
    const { client } = await join(a!);
    const forge = await forger(bus);
    const call = fc.constantFrom('emit', 'join', 'leave', 'disconnect', 'fetch', 'ask', 'gather', 'raise');
    const value = fc.jsonValue({ maxDepth: 2 });

    await fc.assert(fc.asyncProperty(call, fc.dictionary(fc.constantFrom('to', 'event', 'args', 'rooms', 'id', 'timestamp', 'timeout', 'isAsked'), value), value, async (name, fields, to) => {
      forge({ ...fields, do: name, namespace: '/', to });
      forge({ event: 'x', args: [], rooms: ['x'], ...fields, do: name, namespace: '/elsewhere', to: { socket: 'none' } }, 1);
    }), { numRuns: 200 });

    expect((await client.request({ type: 'ping' })).type).to.equal('pong');
  });

  it('are not taken for answers', async () => {
    const [a, b] = await eventNodes(['a', 'b']);
    const good = { id: 'b.1', rooms: [], handshake: { auth: {}, headers: {}, query: {}, url: '', address: '', time: '', secure: false, xdomain: false, issued: 0 } };
    const answers: unknown[] = [
      undefined, 'text', [1], [{ ...good, id: 'a.1' }], [{ ...good, rooms: [7] }], [{ ...good, data: '{' }], [{ ...good, data: 1 }],
      [{ ...good, handshake: null }], [{ ...good, handshake: { ...good.handshake, auth: 1 } }], [good, null],
    ];
    await b!.manager.unload('events');
    let answer: unknown;
    b!.manager.use({ type: 'plugin', name: 'events', setup: (context) => void context.channel('sockets', () => answer) });
    await b!.manager.ready();

    for (answer of answers) {
      expect((await failure<NodesMissing>(a!.io.fetchSockets())).missing).to.deep.equal([{ node: 'b', code: 'PACKET_INVALID' }]);
    }
    answer = { answers: [1], missing: [] };
    expect((await failure<AcknowledgementsMissing>(a!.io.emitWithAck('x'))).nodes).to.deep.equal(['b']);
    answer = [good];
    expect(await a!.io.fetchSockets()).to.have.lengthOf(1);
  });
});

describe('a node whose sockets are asked', () => {
  it('answers for sockets that are removed while the plugin is unloaded', async () => {
    const [[a, b], [ann, bob, cid]] = await peopled();
    const asked = failure<AcknowledgementsMissing>(a!.io.emitWithAck('question'));
    await bob!.client.next('question');

    for (const one of [ann!, cid!]) void acknowledge(one.client, 'question', { content: 'yes' });
    await b!.manager.unload('events');

    const { responses, missing, nodes } = await asked;
    expect([responses, missing, nodes]).to.deep.equal([['yes', 'yes'], [{ id: bob!.socket.id, code: 'REQUEST_ABORTED' }], []]);
  });
});

const bus = {};

pluginSuite('events', () => events(), {
  requires: () => [namespaces()],
  options: { adapter: new MemoryAdapter(bus), nodeId: 'a' },
  async exercise({ manager, connect }, client) {
    const [other] = await eventNodes(['b'], {}, {}, bus);
    await eventually('both know each other', () => manager.inspect()['nodes'] === 1);
    const bob = await join(other!);
    const { io } = manager;
    io.on('size', () => undefined);
    const ann = await join({ io, connect });
    await ann.socket.join(['x', 'y', bob.socket.id]);
    for (const served of [io, other!.io]) {
      served.to(['x', 'y']).except('z').emit('news');
      served.to(bob.socket.id).emit('news');
      served.socketsJoin('z');
      await served.fetchSockets();
      // Pending while the plugin is unloaded.
      served.timeout(60_000).emitWithAck('question').catch(() => undefined);
      served.serverSideEmit('size', () => undefined);
    }
    await Promise.all([client, ann.client, bob.client].map((one) => one.next('question')));
    await ann.client.close();
    await eventually('she is gone', () => manager.connections.size === 1);
    await other!.stop();
    await eventually('the other node is gone', () => manager.inspect()['nodes'] === 0);
  },
});
