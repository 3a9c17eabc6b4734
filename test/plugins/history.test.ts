import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { MemoryJournal, type Connection, type Position } from '../../index.ts';
import { history, type HistoryOptions } from '../../plugins/history.ts';
import { rooms } from '../../plugins/rooms.ts';
import { knowEachOther } from '../support/nodes.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start, type Started } from '../support/start.ts';
import { eventually } from '../support/timing.ts';
import type { Client } from '../../testing/index.ts';

const TOPICS = { news: {}, 'chat:*': { size: 3 } };
const everyone = () => true;

const serve = async (options: HistoryOptions = { topics: TOPICS, canRead: everyone }) => {
  const started = await start({ use: [history(options)] });
  return { ...started, api: started.manager.api('history') };
};

/** A server with a room of ten messages, and a client in it. */
async function serveRoom({ historySize = 100, ...options }: HistoryOptions & { historySize?: number } = {}) {
  const started = await start({ use: [rooms({ echo: true }), history(options)] });
  const { manager, connect } = started;
  await manager.api('rooms').create('lobby', { message: { historySize, rateLimitPerMinute: 1_000 } });
  await manager.api('rooms').create('plain');
  const client = await connect();
  const joined = await client.request({ type: 'join-room', roomId: 'lobby' });
  return { ...started, client, joined, api: manager.api('history') };
}

const connectionOf = ({ manager }: Pick<Started, 'manager'>) => [...manager.connections.values()].at(-1)!;
const codeOf = (promise: Promise<unknown>) => promise.then(() => 'none', (error: unknown) => (error as { code: string }).code);
const types = (messages: readonly { readonly type: string }[]) => messages.map(({ type }) => type).join(' ');
const received = (client: Client, ...wanted: string[]) => client.messages.filter(({ type }) => wanted.includes(type));

describe('history', () => {
  it('sends messages of its topics with epoch and offset, however they are published', async () => {
    const { api, connect, manager } = await serve();
    const client = await connect();
    await client.request({ type: 'subscribe', topic: 'news' });

    const count = manager.publish('news', { type: 'one' });
    const position = await api.append('news', { type: 'two', content: 2 });
    const two = await client.next('two');
    const [one] = received(client, 'one');

    expect(count).to.equal(0);
    expect(position).to.deep.equal({ epoch: position.epoch, offset: 2, id: two.id, duplicate: false });
    expect(one).to.include({ topic: 'news', epoch: position.epoch, offset: 1 });
    expect(two).to.include({ topic: 'news', epoch: position.epoch, offset: 2, content: 2 });
  });

  it('leaves other topics, and messages for this node only, to the kernel', async () => {
    const { connect, manager } = await serve();
    const client = await connect();
    for (const topic of ['news', 'other']) manager.subscribe(connectionOf({ manager }).id, topic);

    const counts = [manager.publish('other', { type: 'plain' }), manager.publish('news', { type: 'local' }, { local: true })];

    expect(counts).to.deep.equal([1, 1]);
    expect(await client.next('plain')).to.not.have.any.keys('epoch', 'offset', 'topic');
    expect(await client.next('local')).to.not.have.any.keys('epoch', 'offset', 'topic');
  });

  it('delivers a message that is published just after the first subscription', async () => {
    const { connect, manager } = await serve();
    const client = await connect();

    manager.subscribe(connectionOf({ manager }).id, 'news');
    manager.publish('news', { type: 'first' });

    expect(await client.next('first')).to.include({ offset: 1 });
  });

  it('reads pages by before, after, limit and reverse', async () => {
    const { api } = await serve();
    for (let index = 1; index <= 9; index++) await api.append('news', { type: `m${index}` });
    const read = async (range: object) => {
      const { messages, more } = await api.history('news', range);
      return [messages.map(({ type }) => type.slice(1)).join(''), more];
    };

    expect(await read({})).to.deep.equal(['123456789', false]);
    expect(await read({ limit: 3 })).to.deep.equal(['789', true]);
    expect(await read({ limit: 3, reverse: true })).to.deep.equal(['987', true]);
    expect(await read({ limit: 3, before: 4 })).to.deep.equal(['123', false]);
    expect(await read({ limit: 2, before: 4 })).to.deep.equal(['23', true]);
    expect(await read({ limit: 3, after: 2 })).to.deep.equal(['345', true]);
    expect(await read({ limit: 3, after: 2, reverse: true })).to.deep.equal(['987', true]);
    expect(await read({ limit: 9, after: 2, before: 5 })).to.deep.equal(['34', false]);
    expect(await read({ after: 1e9 })).to.deep.equal(['', false]);
  });

  it('cuts a page at `maxBytes`, but gives at least one message', async () => {
    const { api } = await serve({ topics: TOPICS, maxBytes: 1_000 });
    for (let index = 0; index < 5; index++) await api.append('news', { type: 'big', content: 'x'.repeat(index === 2 ? 5_000 : 300) });

    const pages = [];
    for (let after = 0; after < 5;) {
      const { messages, more } = await api.history('news', { after });
      pages.push([messages.length, more]);
      after = messages.at(-1)!.offset;
    }

    expect(pages).to.deep.equal([[2, true], [1, true], [2, false]]);
  });

  it('refuses limits and offsets that are no page', async () => {
    const { api } = await serve();

    for (const limit of [0, -1, 1e9, 501, 1.5, NaN, '5']) {
      expect(await codeOf(api.history('news', { limit: limit as number })), String(limit)).to.equal('OPTION_INVALID');
    }
    for (const range of [{ after: -1 }, { before: 0.5 }, { reverse: 'yes' as unknown as boolean }]) {
      expect(await codeOf(api.history('news', range))).to.equal('OPTION_INVALID');
    }
  });

  it('keeps `size` messages, and forgets them after `ttl`', async () => {
    let now = 0;
    const { api } = await serve({ topics: { ...TOPICS, short: { ttl: 100 } }, journal: new MemoryJournal({ now: () => now }) });
    for (const topic of ['chat:a', 'chat:b', 'short']) for (let index = 1; index < 6; index++) await api.append(topic, { type: `m${index}` });

    const kept = [types((await api.history('chat:a')).messages), types((await api.history('short')).messages)];
    now = 101;
    const later = await api.history('short');

    expect(kept).to.deep.equal(['m3 m4 m5', 'm1 m2 m3 m4 m5']);
    expect(later.messages).to.deep.equal([]);
    expect(later.offset).to.equal(5);
  });

  it('appends a message with an idempotency key once', async () => {
    const { api, connect } = await serve();
    const client = await connect();
    await client.request({ type: 'subscribe', topic: 'news' });

    const first = await api.append('news', { type: 'one' }, { idempotencyKey: 'key' });
    const again = await api.append('news', { type: 'one' }, { idempotencyKey: 'key' });
    await api.append('news', { type: 'end' });
    await client.next('end');

    expect(again).to.deep.equal({ ...first, duplicate: true });
    expect(received(client, 'one')).to.have.length(1);
  });

  it('runs the send layers once, before the message is kept', async () => {
    const { api, connect, manager } = await serve();
    let runs = 0;
    manager.use({ type: 'send', name: 'count', handler: (message) => (message.type === 'news' ? { ...message, runs: ++runs } : message) });
    const clients = [await connect(), await connect()];
    for (const client of clients) await client.request({ type: 'subscribe', topic: 'news' });

    await api.append('news', { type: 'news' });
    const heard = await Promise.all(clients.map((client) => client.next('news')));

    expect(heard.map((message) => message['runs'])).to.deep.equal([1, 1]);
    expect((await api.history('news')).messages[0]!['runs']).to.equal(1);
  });

  it('rejects what cannot be sent, and keeps nothing of it', async () => {
    const { api, manager } = await serve();
    manager.use({ type: 'send', name: 'no', handler: ({ type }) => { if (type === 'no') throw new Error('no'); } });
    const errors: string[] = [];
    manager.on('error', (error) => errors.push((error as { code?: string }).code!));

    const codes = [await codeOf(api.append('news', { type: 5 } as never)), await codeOf(api.append('news', { type: 'no' })), await codeOf(api.append('none', { type: 'a' }))];
    const count = manager.publish('news', { type: 'no' });
    await eventually('the error', () => errors.length === 1);

    expect(codes).to.deep.equal(['UNSENDABLE_MESSAGE', 'SEND_LAYER_DROPPED', 'HISTORY_UNKNOWN']);
    expect([count, errors]).to.deep.equal([0, ['SEND_LAYER_DROPPED']]);
    expect((await api.position('news')).offset).to.equal(0);
  });

  it('sends nothing to excepted connections, and keeps the message for everyone', async () => {
    const { api, connect, manager } = await serve();
    const [one, two] = [await connect(), await connect()];
    const connections = [...manager.connections.values()] as Connection[];
    for (const client of [one, two]) await client.request({ type: 'subscribe', topic: 'news' });

    await api.append('news', { type: 'secret' }, { except: connections[0]!.id });
    await api.append('news', { type: 'end' }, { except: [] });
    await Promise.all([one.next('end'), two.next('end')]);

    expect([received(one, 'secret').length, received(two, 'secret').length]).to.deep.equal([0, 1]);
    expect(types((await api.history('news')).messages)).to.equal('secret end');
  });

  it('puts a tombstone in the place of a redacted message, and tells the subscribers', async () => {
    const { api, connect } = await serve();
    const client = await connect();
    await client.request({ type: 'subscribe', topic: 'news' });
    await api.append('news', { type: 'bad', content: 'secret' });
    const bad = await client.next('bad');
    const position = { epoch: bad['epoch'], offset: bad['offset'], id: bad.id } as Position;

    const done = [await api.redact('news', position), await api.redact('news', position)];
    const refused = [await api.redact('news', { ...position, epoch: 'x' }), await api.redact('news', { ...position, offset: 7 })];
    const told = await client.next('message-redacted');
    const { messages } = await api.history('news');

    const content = { topic: 'news', epoch: position.epoch, offset: 1, messageId: bad.id };
    expect([done, refused]).to.deep.equal([[true, true], [false, false]]);
    expect(told).to.deep.include({ type: 'message-redacted', offset: 2, content });
    expect(messages.map(({ type, offset, content: given }) => ({ type, offset, content: given }))).to.deep.equal([
      { type: 'message-redacted', offset: 1, content }, { type: 'message-redacted', offset: 2, content },
    ]);
    expect(messages[0]!.id).to.equal(bad.id);
    expect(JSON.stringify(messages)).to.not.include('secret');
  });

  it('begins a dropped history again', async () => {
    const { api, connect } = await serve();
    const client = await connect();
    await client.request({ type: 'subscribe', topic: 'news' });
    const before = await api.append('news', { type: 'before' });

    await api.drop('news');
    const after = await api.append('news', { type: 'after' });

    expect(await client.next('after')).to.include({ offset: 1, epoch: after.epoch });
    expect(after.epoch).to.not.equal(before.epoch);
    expect(types((await api.history('news')).messages)).to.equal('after');
  });

  it('refuses wrong options', () => {
    const wrong: readonly (readonly [HistoryOptions, string])[] = [
      [{ topics: { 'room:a': {} } }, 'history.topics'], [{ topics: { '*': {} } }, 'history.topics'],
      [{ topics: { 'a*b': {} } }, 'history.topics'], [{ topics: { 'user:1': {} } }, 'history.topics'],
      [{ topics: { a: { size: 0 } } }, 'history.topics.a.size'], [{ topics: { a: { ttl: -1 } } }, 'history.topics.a.ttl'],
      [{ size: 1e9 }, 'history.size'], [{ maxPage: 0 }, 'history.maxPage'], [{ maxPage: 501 }, 'history.maxPage'],
      [{ journal: {} as never }, 'history.journal'], [{ canRead: true as never }, 'history.canRead'],
    ];

    for (const [options, path] of wrong) expect(() => history(options), path).to.throw(`option "${path}"`);
  });
});

describe('get-history', () => {
  it('gives members a page of their room', async () => {
    const { client } = await serveRoom();
    for (const content of ['a', 'b', 'c']) await client.request({ type: 'room-message', roomId: 'lobby', content, ack: true });

    const reply = await client.request({ type: 'get-history', roomId: 'lobby', limit: 2 });

    const { messages, ...rest } = reply.content as { messages: { content: unknown; offset: number; topic: string }[] };
    expect(reply.type).to.equal('message-history');
    expect(rest).to.include({ roomId: 'lobby', topic: 'room:lobby', offset: 3, more: true });
    expect(messages.map(({ content }) => (content as { content: string }).content)).to.deep.equal(['b', 'c']);
    expect(messages[0]).to.deep.include({ type: 'room-message', topic: 'room:lobby', offset: 2 });
    expect(messages[0]).to.deep.equal(received(client, 'room-message')[1]);
  });

  it('looks the same for rooms that are unknown, have no history, or that the client has not joined', async () => {
    const { client, connect, manager } = await serveRoom();
    const stranger = await connect();
    await client.request({ type: 'join-room', roomId: 'plain' });
    await manager.api('rooms').create('secret', { isPrivate: true, message: { historySize: 5 } });

    const ask = async (who: Client, roomId: string) => (await who.request({ type: 'get-history', roomId })).content;

    for (const [who, roomId] of [[stranger, 'lobby'], [stranger, 'secret'], [client, 'none'], [client, 'plain'], [client, '__proto__']] as const) {
      expect(await ask(who, roomId)).to.deep.equal({ code: 'HISTORY_UNKNOWN', message: `there is no history of "room:${roomId}"`, topic: `room:${roomId}` });
    }
  });

  it('is refused after the member has left', async () => {
    const { client } = await serveRoom();

    await client.request({ type: 'leave-room', roomId: 'lobby' });

    expect((await client.request({ type: 'get-history', roomId: 'lobby' })).content.code).to.equal('HISTORY_UNKNOWN');
  });

  it('refuses wrong fields', async () => {
    const { client } = await serveRoom();
    const fields = [{ limit: 0 }, { limit: -1 }, { limit: 1e9 }, { limit: 101 }, { limit: '5' }, { before: -1 }, { after: 0.5 }, { reverse: 1 }, { roomId: 5 }, { roomId: '' }, { roomId: 'x'.repeat(513) }];

    for (const field of fields) {
      const { content } = await client.request({ type: 'get-history', roomId: 'lobby', ...field });
      expect(content.code, JSON.stringify(field)).to.equal('VALIDATION_FAILED');
    }
    expect((await client.request({ type: 'get-history' })).content.code).to.equal('VALIDATION_FAILED');
  });

  it('is limited, because a short message has a long answer', async () => {
    const { client } = await serveRoom({ maxPage: 500 });

    const replies = await Promise.all(Array.from({ length: 40 }, () => client.request({ type: 'get-history', roomId: 'lobby', limit: 500 })));

    expect(replies.some(({ content }) => content.code === 'RATE_LIMITED')).to.equal(true);
  });

  it('asks `canRead` for other topics, and without it serves those that the application has subscribed', async () => {
    const asked = await serve({ topics: TOPICS, canRead: ({ topic }) => topic === 'news' });
    const plain = await serve({ topics: TOPICS });
    const [one, two] = [await asked.connect(), await plain.connect()];
    plain.manager.subscribe(connectionOf(plain).id, 'chat:a');
    const ask = async (client: Client, topic: string) => (await client.request({ type: 'get-history', topic })).type;

    const given = [await ask(one, 'news'), await ask(one, 'chat:a'), await ask(two, 'chat:a'), await ask(two, 'news'), await ask(two, 'none')];

    expect(given).to.deep.equal(['message-history', 'error', 'message-history', 'error', 'error']);
  });
});

describe('subscribe', () => {
  it('answers with the position of the topic', async () => {
    const { api, connect } = await serve();
    const client = await connect();
    const position = await api.append('news', { type: 'old' });

    const reply = await client.request({ type: 'subscribe', content: { topic: 'news' } });

    expect(reply.type).to.equal('subscribed');
    expect(reply.content).to.deep.equal({ topic: 'news', epoch: position.epoch, offset: 1, id: position.id });
  });

  it('is undone by unsubscribe', async () => {
    const { api, connect, manager } = await serve();
    const client = await connect();
    await client.request({ type: 'subscribe', topic: 'news' });

    const replies = [await client.request({ type: 'unsubscribe', topic: 'news' }), await client.request({ type: 'unsubscribe', topic: 'news' })];
    await api.append('news', { type: 'late' });
    await client.request({ type: 'ping' });

    expect(replies[0]).to.deep.include({ type: 'unsubscribed', content: { topic: 'news' } });
    expect(replies[1]!.content.code).to.equal('HISTORY_UNKNOWN');
    expect(received(client, 'late')).to.deep.equal([]);
    expect(manager.getMetrics().plugins['history']).to.include({ history_topics: 0 });
  });

  it('is refused where `canRead` does not allow it, and for topics of rooms', async () => {
    const started = await serve({ topics: TOPICS, canRead: ({ topic }) => topic !== 'news' });
    const closed = await serve({ topics: TOPICS });
    const [one, two] = [await started.connect(), await closed.connect()];
    const codes = [];

    for (const topic of ['news', 'none', 'room:lobby', 'user:a', '*']) codes.push((await one.request({ type: 'subscribe', topic })).content.code);
    codes.push((await two.request({ type: 'subscribe', topic: 'chat:a' })).content.code);

    expect(new Set(codes)).to.deep.equal(new Set(['HISTORY_UNKNOWN']));
    expect(started.manager.getMetrics().plugins['history']).to.include({ history_topics: 0 });
  });

  it('sends a client with a position exactly what it missed, before later messages', async () => {
    const { api, connect } = await serve();
    const first = await api.append('news', { type: 'm1' });
    for (const type of ['m2', 'm3']) await api.append('news', { type });
    const client = await connect();

    const asked = client.request({ type: 'subscribe', content: { topic: 'news', position: first } });
    for (const type of ['m4', 'm5', 'm6']) await api.append('news', { type });
    const { content } = await asked;
    await api.append('news', { type: 'm7' });
    await client.next('m7');

    const live = received(client, 'm2', 'm3', 'm4', 'm5', 'm6', 'm7');
    expect(content).to.include({ recovered: true, topic: 'news', offset: 1 + (content.messages as unknown[]).length });
    expect(types([...content.messages, ...live])).to.equal('m2 m3 m4 m5 m6 m7');
  });

  it('gives the reason if it cannot send what was missed', async () => {
    const { api, connect } = await serve({ topics: TOPICS, canRead: everyone, maxMissed: 3, maxBytes: 1_000 });
    const client = await connect();
    const fill = async (topic: string, content: string) => {
      const positions: Position[] = [];
      for (let index = 0; index < 6; index++) positions.push(await api.append(topic, { type: 'm', content }));
      return (offset: number): Position => positions[offset - 1]!;
    };
    const [news, old, big] = [await fill('news', ''), await fill('chat:old', ''), await fill('chat:big', 'x'.repeat(600))];
    const reasonOf = async (topic: string, { epoch, offset, id }: Position) => {
      const { content } = await client.request({ type: 'subscribe', content: { topic, position: { epoch, offset, id } } });
      await client.request({ type: 'unsubscribe', topic });
      expect(content).to.include({ topic, offset: 6 });
      return (content.recovered ? content.messages.length : content.reason) as unknown;
    };

    expect([await reasonOf('news', news(2)), await reasonOf('news', news(3)), await reasonOf('news', news(6))]).to.deep.equal(['too-many', 3, 0]);
    expect([await reasonOf('chat:old', { ...old(2), id: 'removed' }), await reasonOf('chat:old', old(3))]).to.deep.equal(['too-many', 3]);
    expect([await reasonOf('chat:big', big(3)), await reasonOf('chat:big', big(5))]).to.deep.equal(['too-many', 1]);
    for (const other of [{ epoch: old(6).epoch }, { offset: 7 }, { id: 'other' }, { offset: 5 }]) {
      expect(await reasonOf('news', { ...news(6), ...other }), JSON.stringify(other)).to.equal('epoch');
    }
  });

  it('says that messages were removed', async () => {
    let now = 0;
    const journal = new MemoryJournal({ now: () => now });
    const { api, connect } = await serve({ topics: { 'chat:*': { size: 2 }, short: { ttl: 100 } }, canRead: everyone, journal });
    const client = await connect();
    const reasonOf = async (topic: string, position: object) => {
      const { content } = await client.request({ type: 'subscribe', content: { topic, position } });
      return (content.recovered ? content.messages.length : content.reason) as unknown;
    };
    const chat = [], short = [];
    for (let index = 0; index < 4; index++) chat.push(await api.append('chat:a', { type: 'm' }));
    for (let index = 0; index < 2; index++) short.push(await api.append('short', { type: 'm' }));
    now = 101;

    const reasons = [await reasonOf('chat:a', chat[0]!), await reasonOf('chat:a', chat[1]!), await reasonOf('short', short[0]!), await reasonOf('short', short[1]!)];

    expect(reasons).to.deep.equal(['too-old', 2, 'too-old', 0]);
  });

  it('refuses values that are not a position', async () => {
    const { connect } = await serve();
    const client = await connect();
    const position = { epoch: 'e', offset: 1, id: 'x' };

    for (const wrong of [5, [], { ...position, offset: -1 }, { ...position, offset: 0.5 }, { ...position, offset: '1' }, { ...position, epoch: '' }, { ...position, epoch: 7 }, { ...position, id: {} }, { ...position, epoch: 'x'.repeat(600) }]) {
      const { content } = await client.request({ type: 'subscribe', content: { topic: 'news', position: wrong } });
      expect(content.code, JSON.stringify(wrong)).to.equal('VALIDATION_FAILED');
    }
  });
});

describe('a topic with a new epoch', () => {
  it('is told to clients that come back, and to those that stayed', async () => {
    const journal = new MemoryJournal();
    const { api, connect } = await serve({ topics: TOPICS, canRead: everyone, journal });
    const [stayed, back] = [await connect(), await connect()];
    await stayed.request({ type: 'subscribe', topic: 'news' });
    const { epoch, offset, id } = await api.append('news', { type: 'm1' });
    await journal.positions(['news'], new Map([['news', { epoch, offset: 9, id: 'lost' }]]));

    const { content } = await back.request({ type: 'subscribe', content: { topic: 'news', position: { epoch, offset, id } } });
    await api.append('news', { type: 'm2' });
    const notice = await stayed.next('messages-missed');
    await back.next('m2');

    const state = { topic: 'news', epoch: content.epoch, offset: 1, id, recovered: false, reason: 'epoch' };
    expect(content.epoch).to.not.equal(epoch);
    expect(content).to.deep.equal(state);
    expect(notice.content).to.deep.equal(state);
    expect(await stayed.next('m2')).to.include({ epoch: content.epoch, offset: 2 });
    expect(received(back, 'messages-missed')).to.deep.equal([]);
  });
});

describe('rooms with a history', () => {
  it('tell members their position when they join', async () => {
    const { client, connect, joined } = await serveRoom();
    await client.request({ type: 'room-message', roomId: 'lobby', content: 'hi', ack: true });
    const late = await connect();

    const second = await late.request({ type: 'join-room', roomId: 'lobby' });
    const plain = await late.request({ type: 'join-room', roomId: 'plain' });

    const [message] = received(client, 'room-message');
    const { epoch } = joined.content.history;
    expect(joined.content.history).to.deep.equal({ topic: 'room:lobby', epoch, offset: 0, id: '' });
    expect(second.content.history).to.deep.equal({ topic: 'room:lobby', epoch, offset: 1, id: message!.id });
    expect(plain.content).to.not.have.property('history');
  });

  it('give a member that joins with a position what it missed', async () => {
    const { api, client, connect, joined } = await serveRoom();
    const say = (content: string) => client.request({ type: 'room-message', roomId: 'lobby', content, ack: true });
    for (const content of ['a', 'b']) await say(content);
    const back = await connect();

    const [again] = await Promise.all([back.request({ type: 'join-room', roomId: 'lobby', position: joined.content.history }), say('c'), say('d')]);
    await say('e');
    await back.next('room-message');
    await eventually('the last message', () => received(back, 'room-message').at(-1)?.content.content === 'e');

    const { history: state } = again.content;
    expect(again.type).to.equal('room-joined');
    expect(again.content).to.include({ roomId: 'lobby', role: 'member' });
    expect(state).to.include({ recovered: true, topic: 'room:lobby' });
    const all = [...state.messages, ...received(back, 'room-message')] as { content: { content: string } }[];
    expect(all.map(({ content }) => content.content).join('')).to.equal('abcde');
    expect((await api.position('room:lobby')).offset).to.equal(5);
  });

  it('give nothing to a client that may not join, whatever position it names', async () => {
    const { client, connect, joined, manager } = await serveRoom();
    await manager.api('rooms').create('locked', { password: 'x', message: { historySize: 5 } });
    await client.request({ type: 'room-message', roomId: 'lobby', content: 'hi', ack: true });
    const stranger = await connect();

    const refused = await stranger.request({ type: 'join-room', roomId: 'locked', position: joined.content.history });
    await manager.api('rooms').send('locked', 'secret');
    await stranger.request({ type: 'ping' });

    expect(refused.content.code).to.equal('PASSWORD_REQUIRED');
    expect(JSON.stringify(stranger.messages)).to.not.include('secret');
    expect(manager.getMetrics().plugins['history']).to.include({ history_topics: 1 });
  });

  it('keep messages, not notices', async () => {
    const { api, client, connect } = await serveRoom();
    await (await connect()).request({ type: 'join-room', roomId: 'lobby' });
    await client.next('user-joined');

    await client.request({ type: 'room-message', roomId: 'lobby', content: 'hi', ack: true });

    expect(types((await api.history('room:lobby')).messages)).to.equal('room-message');
  });

  it('lose their history when they are deleted', async () => {
    const { api, client, manager } = await serveRoom();
    await client.request({ type: 'room-message', roomId: 'lobby', content: 'secret', ack: true });

    await manager.api('rooms').delete('lobby');
    await manager.api('rooms').create('lobby', { message: { historySize: 5 } });

    expect((await api.history('room:lobby')).messages).to.deep.equal([]);
  });

  it('do not show the messages of an earlier room with the same id, even if these are still kept', async () => {
    const journal = new MemoryJournal();
    const first = await serveRoom({ journal });
    const owner = { owner: 'ann', message: { historySize: 5 } };
    await first.manager.api('rooms').create('chat', owner);
    await first.manager.api('rooms').send('chat', 'secret');
    await first.manager.api('rooms').send('lobby', 'of the server');
    await first.stop();

    const later = await serveRoom({ journal });
    await later.manager.api('rooms').create('chat', owner);
    await later.manager.api('rooms').send('chat', 'new');

    const texts = async (room: string) => (await later.api.history(room)).messages.map(({ content }) => (content as { content: string }).content);
    expect(await texts('room:chat')).to.deep.equal(['new']);
    expect(await texts('room:lobby')).to.deep.equal(['of the server']);
  });

  it('have their history also if rooms are loaded later', async () => {
    const { manager, connect } = await start({ use: [history()] });
    manager.use(rooms({ defaults: { message: { historySize: 5 } } }));
    await manager.ready();
    await manager.api('rooms').create('lobby');
    const client = await connect();
    await client.request({ type: 'join-room', roomId: 'lobby' });

    await client.request({ type: 'room-message', roomId: 'lobby', content: 'hi', ack: true });

    expect(await client.next('room-message')).to.include({ offset: 1, topic: 'room:lobby' });
  });

  it('answer with an error, and send nothing, if the journal cannot keep the message', async () => {
    const { api, client } = await serveRoom({ journal: new MemoryJournal({ maxBytes: 2_000 }) });

    const reply = await client.request({ type: 'room-message', roomId: 'lobby', content: 'x'.repeat(1_990), ack: true });

    expect(reply.content.code).to.equal('JOURNAL_FULL');
    expect(received(client, 'room-message')).to.deep.equal([]);
    expect((await api.position('room:lobby')).offset).to.equal(0);
  });
});

describe('history on several nodes', () => {
  it('is refused without a journal that the nodes share', async () => {
    const adapter = Object.defineProperty(new MemoryAdapter(), 'journal', { value: undefined });

    expect(await codeOf(start({ adapter, use: [history()] }))).to.equal('HISTORY_UNSHARED');
  });

  async function cluster(count: number, hide?: 'watch') {
    const bus = {};
    const journal = new MemoryAdapter(bus).journal;
    const hidden = new Proxy(journal, { get: (target, name) => (name === hide ? undefined : typeof Reflect.get(target, name) === 'function' ? (Reflect.get(target, name) as () => unknown).bind(target) : Reflect.get(target, name)) });
    const nodes = await Promise.all(Array.from({ length: count }, async () => {
      const started = await start({ adapter: new MemoryAdapter(bus), use: [history({ topics: TOPICS, canRead: everyone, ...(hide && { journal: hidden }) })] });
      return { ...started, api: started.manager.api('history'), client: await started.connect() };
    }));
    await knowEachOther(...nodes);
    for (const { client } of nodes) await client.request({ type: 'subscribe', topic: 'news' });
    return nodes;
  }

  for (const hide of [undefined, 'watch'] as const) {
    it(`delivers in one order on all nodes ${hide ? 'without' : 'with'} a journal that tells them`, async () => {
      const nodes = await cluster(3, hide);

      await Promise.all(Array.from({ length: 60 }, (_, index) => nodes[index % 3]!.api.append('news', { type: 'm', content: index })));
      await Promise.all(nodes.map(({ client }) => eventually('all messages', () => received(client, 'm').length === 60)));

      const orders = nodes.map(({ client }) => received(client, 'm').map(({ content }) => content as number));
      expect(orders[1]).to.deep.equal(orders[0]);
      expect(orders[2]).to.deep.equal(orders[0]);
      expect(received(nodes[0]!.client, 'm').map((message) => message['offset'])).to.deep.equal(Array.from({ length: 60 }, (_, index) => index + 1));
    });
  }

  it('has one history of a room, also after the room was deleted and created again', async () => {
    const bus = {};
    const nodes = await Promise.all(['a', 'b'].map(() => start({ adapter: new MemoryAdapter(bus), use: [rooms({ defaults: { message: { historySize: 10 } } }), history()] })));
    await knowEachOther(...nodes);
    const [a, b] = nodes as [Started, Started];
    const clients = [await a.connect(), await b.connect()] as [Client, Client];
    const begin = async () => {
      await clients[0].request({ type: 'create-room', roomId: 'lobby' });
      for (const client of clients) await client.request({ type: 'join-room', roomId: 'lobby' });
    };
    const say = (client: Client, content: string) => client.request({ type: 'room-message', roomId: 'lobby', content, ack: true });
    const heard = (client: Client) => received(client, 'room-message').map(({ offset, content }) => `${offset as number}${(content as { content: string }).content}`);

    await begin();
    for (const [index, content] of ['a', 'b', 'c', 'd'].entries()) await say(clients[index % 2]!, content);
    await clients[0].request({ type: 'delete-room', roomId: 'lobby' });
    await clients[1].next('room-deleted');
    await begin();
    await say(clients[1], 'e');
    await eventually('all messages', () => clients.every((client) => heard(client).length === 5));
    const { messages } = await b.manager.api('history').history('room:lobby');

    for (const client of clients) expect(heard(client)).to.deep.equal(['1a', '2b', '3c', '4d', '1e']);
    expect(messages.map(({ content }) => (content as { content: string }).content)).to.deep.equal(['e']);
  });

  it('sends a client that reconnects to another node what it missed', async () => {
    const [a, b] = await cluster(2) as [Awaited<ReturnType<typeof cluster>>[0], Awaited<ReturnType<typeof cluster>>[0]];
    const first = await a.api.append('news', { type: 'm1' });
    await a.client.next('m1');
    await a.client.terminate();
    for (const type of ['m2', 'm3']) await b.api.append('news', { type });
    const back = await b.connect();

    const { content } = await back.request({ type: 'subscribe', content: { topic: 'news', position: first } });

    expect(types(content.messages)).to.equal('m2 m3');
  });
});

pluginSuite('history', () => history({ topics: TOPICS, canRead: everyone }), {
  exercise: async ({ manager }, client) => {
    await client.request({ type: 'subscribe', topic: 'news' });
    manager.publish('news', { type: 'hi' });
    await client.next('hi');
  },
});
