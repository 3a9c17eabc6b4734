import { expect } from 'chai';
import { ModuleError, type Connection } from '../../index.ts';
import { history, type HistoryOptions } from '../../plugins/history.ts';
import { recovery, type RecoveryOptions } from '../../plugins/recovery.ts';
import { rooms } from '../../plugins/rooms.ts';
import { RecoveringClient, type Client, type Received } from '../../testing/index.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

const everyone = () => true;
const byToken = {
  type: 'connection' as const, name: 'login',
  handler: (_ws: unknown, { url }: { url: string }) => {
    const user = new URL(url, 'http://x').searchParams.get('user');
    return { user: user === null ? undefined : { id: user }, tab: url };
  },
};

async function serve(options: RecoveryOptions = {}, historyOptions: HistoryOptions = {}) {
  const plugins = [rooms({ echo: true }), history({ topics: { 'news:*': {} }, canRead: everyone, ...historyOptions }), recovery(options)];
  const started = await start({ use: [byToken, ...plugins] });
  const { manager } = started;
  for (const id of ['lobby', 'other']) await manager.api('rooms').create(id, { message: { historySize: 1_000, rateLimitPerMinute: 10_000 } });
  await manager.api('rooms').create('plain');
  const client = (search = '') => new RecoveringClient(() => started.connect({ search }));
  return { ...started, client, say: (content: string, room = 'lobby') => manager.api('rooms').send(room, content), api: manager.api('history') };
}

/** Resolves when the server knows that a connection is closed. */
const gone = ({ manager }: Pick<Awaited<ReturnType<typeof serve>>, 'manager'>, count: number) =>
  eventually('the connection is gone', () => manager.connections.size === count);

const texts = (messages: readonly Received[]) => messages.map(({ content }) => content.content as string).join('');
const metricsOf = ({ manager }: Pick<Awaited<ReturnType<typeof serve>>, 'manager'>) => manager.getMetrics().plugins['recovery']!;

describe('recovery', () => {
  it('gives a new client a session, and says how long it is kept', async () => {
    const { connect } = await serve({ sessionTtl: 5_000, answerWindow: 4_000 });
    const client = await connect();

    const reply = await client.request({ type: 'recover' });

    expect(reply.type).to.equal('recovered');
    expect(reply.content).to.deep.equal({ sessionId: reply.content.sessionId, resumed: false, sessionTtl: 5_000, answerWindow: 4_000, topics: [] });
    expect(reply.content.sessionId).to.match(/^[\w-]{22,}$/);
  });

  it('is named in the answer to a message that asks for the features of the server', async () => {
    const { connect, manager } = await serve();
    manager.registerHandler('nothing', () => undefined);
    manager.registerHandler('text', async () => { await Promise.resolve(); return 'hello'; });
    manager.registerHandler('other', () => ({ type: 'other-reply', content: 1, meta: { args: 1, features: ['other'] } }));
    const client = await connect();

    const ask = (type: string) => client.request({ type, ack: true, meta: { features: true } });
    const replies = [await ask('ping'), await ask('nothing'), await ask('text'), await ask('other')];
    const plain = await client.request({ type: 'ping', meta: { features: false } });

    expect(replies.map(({ type, meta }) => [type, meta])).to.deep.equal([
      ['pong', { features: ['recovery'] }], ['ack', { features: ['recovery'] }], ['text', { features: ['recovery'] }],
      ['other-reply', { args: 1, features: ['other', 'recovery'] }],
    ]);
    expect(replies[2]!.content).to.equal('hello');
    expect(plain).not.to.have.property('meta');
  });

  it('gives a client that reconnects its rooms, its subscriptions and exactly what it missed', async () => {
    const server = await serve();
    const { api, client: make, say } = server;
    const client = make();
    await client.open();
    for (const roomId of ['lobby', 'plain', 'other']) await client.request({ type: 'join-room', roomId });
    await client.request({ type: 'subscribe', topic: 'news:a' });
    await client.request({ type: 'leave-room', roomId: 'other' });
    await say('a');
    await eventually('the first message', () => client.messages.length === 1);

    await client.drop();
    await gone(server, 0);
    for (const content of ['b', 'c']) await say(content);
    await say('x', 'other');
    await api.append('news:a', { type: 'news', content: { content: 'n' } });
    const answer = await client.open();
    await say('d');
    await eventually('the last message', () => client.messages.length === 5);

    expect(answer).to.include({ resumed: true, sessionId: client.sessionId });
    expect(answer.topics.map(({ topic, recovered, reason, messages }: Received) => [topic, recovered, reason ?? messages.length])).to.deep.equal([
      ['room:lobby', true, 2], ['room:plain', false, 'no-history'], ['news:a', true, 1],
    ]);
    expect(texts(client.messages)).to.equal('abcnd');
    expect(client.repeated).to.deep.equal([]);
    expect(metricsOf(server)).to.include({ recovery_resumed_total: 1, recovery_sessions: 1, recovery_sessions_away: 0 });
  });

  it('sends the missed messages before later ones, while many messages arrive', async () => {
    const { client: make, say } = await serve();
    const client = make();
    await client.open();
    await client.request({ type: 'join-room', roomId: 'lobby' });
    let sent = 0;
    const burst = async (count: number) => { for (const end = sent + count; sent < end;) await say(`${sent++},`); };

    for (let round = 0; round < 10; round++) {
      await client.drop();
      await Promise.all([burst(20), client.open(), burst(20)]);
    }
    await eventually('all messages', () => client.messages.length === sent);

    const offsets = client.messages.map(({ offset }) => offset as number);
    expect(offsets).to.deep.equal(Array.from({ length: sent }, (_, index) => index + 1));
    expect([client.repeated, client.missed]).to.deep.equal([[], []]);
  });

  it('says why a topic is not recovered', async () => {
    const server = await serve({}, { maxMissed: 2 });
    const { client: make, manager, say } = server;
    const client = make();
    await client.open();
    for (const roomId of ['lobby', 'other']) await client.request({ type: 'join-room', roomId });
    await client.drop();
    await gone(server, 0);
    for (const content of ['a', 'b', 'c']) await say(content);
    await manager.api('history').drop('room:other');
    await say('x', 'other');

    const { topics } = await client.open();
    await say('d');
    await eventually('the message after that', () => client.messages.length === 1);

    expect(topics.map(({ topic, reason, offset }: Received) => [topic, reason, offset])).to.deep.equal([['room:lobby', 'too-many', 3], ['room:other', 'epoch', 1]]);
    expect(client.messages[0]).to.deep.include({ topic: 'room:lobby', offset: 4 });
  });

  it('does not exceed the bytes of one answer', async () => {
    const server = await serve({ maxBytes: 10_000 });
    const { client: make, say } = server;
    const client = make();
    await client.open();
    for (const roomId of ['lobby', 'other']) await client.request({ type: 'join-room', roomId });
    await client.drop();
    await gone(server, 0);
    for (const room of ['lobby', 'other']) for (let index = 0; index < 4; index++) await say('x'.repeat(1_500), room);

    const { topics } = await client.open();

    expect(topics.map(({ recovered }: Received) => recovered).sort()).to.deep.equal([false, true]);
    expect(JSON.stringify(topics).length).to.be.below(11_000);
  });

  it('gives no session to another user, an unknown id, or after sessionTtl', async () => {
    const server = await serve({ sessionTtl: 1 });
    const { client: make, connect, say } = server;
    const client = make('?user=ann');
    await client.open();
    await client.request({ type: 'join-room', roomId: 'lobby' });
    const { sessionId } = client;
    const resumed = async (search: string, id: unknown = sessionId) => {
      const other = await connect({ search });
      const reply = await other.request({ type: 'recover', content: { sessionId: id } });
      return (reply.content.resumed ?? reply.content.code) as unknown;
    };

    const whileOpen = [await resumed('?user=bob'), await resumed(''), await resumed('?user=ann', 'forged'), await resumed('?user=ann', '')];
    const stillOpen = client.client!.ws.readyState;
    await client.drop();
    await eventually('ann is away', () => metricsOf(server)['recovery_sessions_away'] === 1);
    const [position] = [...client.positions.values()];
    await say('secret');
    const left = performance.now();
    await eventually('the session has expired', () => performance.now() > left + 2);
    const expired = await resumed('?user=ann');

    expect(whileOpen).to.deep.equal([false, false, false, false]);
    expect([stillOpen, expired, position!.offset]).to.deep.equal([1, false, 0]);
    expect([await resumed('', 5), await resumed('', 'x'.repeat(600))]).to.deep.equal(['VALIDATION_FAILED', 'VALIDATION_FAILED']);
  });

  it('closes the older of two connections with one session before the newer receives', async () => {
    const server = await serve();
    const { client: make, connect, say } = server;
    const client = make('?user=ann');
    await client.open();
    await client.request({ type: 'join-room', roomId: 'lobby' });
    const { client: older, sessionId } = client;
    const position = { topic: 'room:lobby', ...client.positions.get('room:lobby')! };
    const newer = await connect({ search: '?user=ann' });

    const [reply, closed] = await Promise.all([newer.request({ type: 'recover', sessionId, positions: [position] }), older!.closed]);
    await say('hi');
    await newer.next('room-message');

    expect(reply.content).to.include({ resumed: true, sessionId });
    expect(closed.code).to.equal(4011);
    expect(older!.messages.filter(({ type }) => type === 'room-message')).to.deep.equal([]);
    expect(server.manager.api('rooms').members('lobby')).to.deep.equal(['ann']);
    expect(metricsOf(server)).to.include({ recovery_sessions: 1, recovery_sessions_away: 0 });
  });

  it('gives the session to one of two clients that resume it at once, and closes the other', async () => {
    const server = await serve();
    const client = server.client('?user=ann');
    await client.open();
    await client.request({ type: 'join-room', roomId: 'lobby' });
    await client.drop();
    await gone(server, 0);
    const both = [await server.connect({ search: '?user=ann' }), await server.connect({ search: '?user=ann' })];

    const outcomes = await Promise.all(both.map((one) => Promise.race([one.request({ type: 'recover', sessionId: client.sessionId }).then(({ content }) => content.resumed as boolean), one.closed.then(({ code }) => code)])));
    await gone(server, 1);

    expect(outcomes.at(-1)).to.equal(true);
    expect([true, 4011]).to.include(outcomes[0]);
    expect(server.manager.api('rooms').members('lobby')).to.deep.equal(['ann']);
  });

  it('does not restore rooms from which the user was banned, kicked or removed while away', async () => {
    const server = await serve();
    const { client: make, manager, say } = server;
    const client = make('?user=ann');
    await client.open();
    for (const roomId of ['lobby', 'other']) await client.request({ type: 'join-room', roomId });
    await client.drop();
    await gone(server, 0);
    await manager.api('rooms').ban('lobby', 'ann');
    await manager.api('rooms').delete('other');
    await manager.api('rooms').create('other', { message: { historySize: 5 } });
    await say('secret');
    await say('secret', 'other');

    const { topics } = await client.open();

    expect(topics).to.deep.equal([{ topic: 'room:lobby', recovered: false, reason: 'unknown' }, { topic: 'room:other', recovered: false, reason: 'unknown' }]);
    expect(JSON.stringify(client.client!.messages)).to.not.include('secret');
    expect(client.positions.size).to.equal(0);
  });

  it('ends the session of a client that the application removed', async () => {
    const server = await serve();
    const client = server.client('?user=ann');
    await client.open();
    [...server.manager.connections.values()][0]!.close(4010, 'kicked');
    await gone(server, 0);

    expect(await client.open()).to.include({ resumed: false });
  });

  it('lets a member of a locked room back in without the password', async () => {
    const server = await serve();
    const { client: make, manager, say } = server;
    await manager.api('rooms').create('locked', { password: 'pw', message: { historySize: 5 } });
    const client = make('?user=ann');
    const stranger = make('?user=bob');
    for (const one of [client, stranger]) await one.open();
    await client.request({ type: 'join-room', roomId: 'locked', password: 'pw' });
    const position = client.positions.get('room:locked')!;
    await client.drop();
    await gone(server, 1);
    await say('hi', 'locked');

    const { topics } = await client.open();
    stranger.positions.set('room:locked', position);
    await stranger.drop();
    const other = await stranger.open();

    expect(topics[0]).to.include({ topic: 'room:locked', recovered: true });
    expect(other.topics).to.deep.equal([{ topic: 'room:locked', recovered: false, reason: 'unknown' }]);
  });

  it('answers topics that are unknown, or that the client may not read, alike', async () => {
    const { api, connect } = await serve({}, { canRead: ({ topic }) => topic !== 'news:secret' });
    const client = await connect();
    const { epoch } = await api.append('news:secret', { type: 'secret' });
    const names = ['room:lobby', 'room:none', 'news:secret', 'none', 'user:ann', '*', '__proto__'];

    const reply = await client.request({ type: 'recover', content: { positions: names.map((topic) => ({ topic, epoch, offset: 0, id: '' })) } });

    expect(reply.content.topics).to.deep.equal(names.map((topic) => ({ topic, recovered: false, reason: 'unknown' })));
  });

  it('subscribes a client without a session to the topics that it names and may read', async () => {
    const { api, connect } = await serve();
    const client = await connect();
    const first = await api.append('news:a', { type: 'm1' });
    await api.append('news:a', { type: 'm2' });

    const reply = await client.request({ type: 'recover', content: { sessionId: 'of a server that was restarted', positions: [{ topic: 'news:a', ...first }] } });
    await api.append('news:a', { type: 'm3' });

    expect(reply.content).to.include({ resumed: false });
    expect(reply.content.topics[0].messages.map(({ type }: Received) => type)).to.deep.equal(['m2']);
    expect(await client.next('m3')).to.include({ offset: 3 });
  });

  it('refuses values that are not a position', async () => {
    const { connect } = await serve({ maxPositions: 3 });
    const client = await connect();
    const position = { topic: 'news:a', epoch: 'e', offset: 1, id: 'x' };
    const wrong: unknown[] = [5, {}, [5], [{ ...position, offset: -1 }], [{ ...position, offset: 1.5 }], [{ ...position, offset: 1e99 }], [{ ...position, topic: '' }], [{ ...position, epoch: 5 }], [position, position], [1, 2, 3, 4].map((number) => ({ ...position, topic: `news:${number}` }))];

    for (const positions of wrong) {
      const { content } = await client.request({ type: 'recover', content: { positions } });
      expect(content.code, JSON.stringify(positions)).to.equal('VALIDATION_FAILED');
    }
  });

  it('keeps the metadata of the client, but not of its connection', async () => {
    const server = await serve();
    const client = server.client('?user=ann');
    await client.open();
    const [before] = [...server.manager.connections.values()] as Connection[];
    Object.assign(before!.metadata, { theme: 'dark', tab: 'old' });
    await client.drop();
    await gone(server, 0);

    await client.open();

    const [now] = [...server.manager.connections.values()] as Connection[];
    expect(now!.metadata).to.include({ theme: 'dark', tab: '/ws?user=ann' });
    expect(server.manager.api('recovery').session(now!)).to.deep.include({ userId: 'ann', handle: before!.id });
  });

  it('does not send a client its own messages after a reconnect, if rooms do not echo', async () => {
    const plugins = [rooms({ echo: false, defaults: { message: { historySize: 10 } } }), history(), recovery()];
    const started = await start({ use: plugins });
    await started.manager.api('rooms').create('lobby');
    const [ann, bob] = [new RecoveringClient(() => started.connect()), new RecoveringClient(() => started.connect())];
    for (const one of [ann, bob]) {
      await one.open();
      await one.request({ type: 'join-room', roomId: 'lobby' });
    }
    const say = (one: RecoveringClient, content: string) => one.request({ type: 'room-message', roomId: 'lobby', content });
    await ann.drop();
    await ann.open();

    await say(ann, 'own');
    const { positions } = ann;
    positions.set('room:lobby', { ...positions.get('room:lobby')!, offset: 0, id: '' });
    await ann.drop();
    await say(bob, 'other');
    await ann.open();
    await say(ann, 'own again');
    await say(bob, 'end');
    await eventually('the end', () => texts(ann.messages).endsWith('end'));

    expect(texts(ann.messages)).to.equal('otherend');
    expect(texts(bob.messages)).to.equal('ownown again');
  });

  it('keeps a limited number of sessions, and drops only those of the same user', async () => {
    const server = await serve({ maxSessions: 3, maxSessionsPerActor: 2 });
    const clients: RecoveringClient[] = [];
    const leave = async (user: string) => {
      const client = server.client(`?user=${user}`);
      clients.push(client);
      await client.open();
      await client.drop();
      await gone(server, 0);
    };
    for (const user of ['ann', 'bob', 'bob', 'bob', 'cem']) await leave(user);

    const resumed = [];
    for (const client of clients) resumed.push((await client.open()).resumed as boolean);

    expect(resumed).to.deep.equal([true, false, true, true, false]);
  });

  it('closes a connection that it cannot recover, so that the client reconnects with the same positions', async () => {
    const server = await serve();
    const client = server.client();
    await client.open();
    await client.request({ type: 'join-room', roomId: 'lobby' });
    await client.drop();
    await gone(server, 0);
    await server.say('a');
    server.manager.on('error', () => undefined);
    const catchUp = server.api.catchUp.bind(server.api);
    Object.assign(server.api, { catchUp: (...given: Parameters<typeof catchUp>) => Object.assign(catchUp(...given), { read: () => Promise.reject(new Error('the journal is away')) }) });

    const failed = await client.open().then(() => 'opened', () => 'closed');
    const { code } = await client.client!.closed;
    Object.assign(server.api, { catchUp });
    await gone(server, 0);
    await client.open();

    expect([failed, code]).to.deep.equal(['closed', 4153]);
    expect(texts(client.messages)).to.equal('a');
  });
});

describe('a message that is sent again', () => {
  /** A server whose handler counts its runs, and a client with a session. */
  async function counting(options: RecoveryOptions = {}, answer: (runs: number) => unknown = (runs) => ({ type: 'done', content: { runs } })) {
    const server = await serve(options);
    const seen: boolean[] = [];
    server.manager.registerHandler('work', (message) => answer(seen.push(message.isRepeat)));
    const client = server.client('?user=ann');
    await client.open();
    const send = async (id: string, more = {}) => (await client.client!.request({ type: 'work', id, ack: true, ...more })).content as { runs?: number; code?: string };
    return { ...server, client, seen, send };
  }

  it('gets the answer of the first time, and the handler does not run again, also after a reconnect', async () => {
    const { client, seen, send } = await counting();

    const first = await send('1');
    const again = await send('1', { meta: { repeat: 10 } });
    await client.drop();
    await client.open();
    const later = await send('1', { meta: { repeat: 20 } });
    const other = await send('2');

    expect([first, again, later, other]).to.deep.equal([{ runs: 1 }, { runs: 1 }, { runs: 1 }, { runs: 2 }]);
    expect(seen).to.deep.equal([false, false]);
  });

  it('waits for the handler if that still runs, for the earlier connection', async () => {
    let finish: (value: unknown) => void = () => undefined;
    const { client, seen } = await counting({}, () => new Promise((resolve) => (finish = resolve)));
    const reply = client.request({ type: 'work' });
    await eventually('the handler runs', () => seen.length === 1);

    await client.drop();
    await client.open();
    finish({ type: 'done', content: 'late' });

    expect((await reply).content).to.equal('late');
    expect(seen).to.deep.equal([false]);
  });

  it('gets an acknowledgement again if the handler returned nothing, and text, lists and errors as they were', async () => {
    for (const [result, expected] of [[undefined, 'ack'], ['text', 'work'], [[1, 2], 'work'], [null, 'work']] as const) {
      const { client, seen } = await counting({}, () => result);
      const ask = () => client.client!.request({ type: 'work', id: '1', ack: true });

      const [first, again] = [await ask(), await ask()];

      expect([first.type, again.type], JSON.stringify(result)).to.deep.equal([expected, expected]);
      expect(again.content).to.deep.equal(first.content);
      expect(seen).to.have.length(1);
    }
  });

  it('runs the handler again, with isRepeat, if the answer was an error or is too long to be remembered', async () => {
    const failing = await counting({}, (runs) => { if (runs === 1) throw new ModuleError('BUSY'); return { type: 'done', content: { runs } }; });
    const long = await counting({ maxAnswerLength: 100 }, (runs) => ({ type: 'done', content: { runs, text: 'x'.repeat(200) } }));

    const codes = [await failing.send('1'), await failing.send('1'), await failing.send('1')];
    await long.send('1');
    await long.send('1');

    expect(codes.map(({ code, runs }) => code ?? runs)).to.deep.equal(['BUSY', 2, 2]);
    expect(failing.seen).to.deep.equal([false, true]);
    expect(long.seen).to.deep.equal([false, true]);
  });

  it('appends to a history once, although its handler runs again', async () => {
    const server = await serve();
    let runs = 0;
    server.manager.registerHandler('post', async () => {
      for (const type of ['one', 'two']) await server.api.append('news:a', { type });
      if (++runs === 1) throw new ModuleError('BUSY');
    });
    const client = server.client();
    await client.open();

    const replies = [await client.client!.request({ type: 'post', id: '1', ack: true }), await client.client!.request({ type: 'post', id: '1', ack: true })];
    const { messages } = await server.api.history('news:a');

    expect(replies.map(({ type }) => type)).to.deep.equal(['error', 'ack']);
    expect(runs).to.equal(2);
    expect(messages.map(({ type }) => type)).to.deep.equal(['one', 'two']);
  });

  it('is refused when it is too old to be recognized', async () => {
    const { send, seen } = await counting({ answerWindow: 60_000, maxAnswers: 2 });
    for (const id of ['1', '2', '3']) await send(id);

    const codes = [
      (await send('old', { meta: { repeat: 60_001 } })).code, (await send('1', { meta: { repeat: 5_000 } })).code,
      (await send('lost on the way', { meta: { repeat: 0 } })).code, (await send('3', { meta: { repeat: 1 } })).code,
    ];

    expect(codes).to.deep.equal(['MESSAGE_TOO_OLD', 'MESSAGE_TOO_OLD', undefined, undefined]);
    expect(seen).to.deep.equal([false, false, false, true]);
  });

  it('is a new message if it has another type, no session, or wants no acknowledgement', async () => {
    const { client, connect, manager, seen, send } = await counting();
    manager.registerHandler('other', () => 'other');
    const plain = await connect({ search: '?user=ann' });

    await send('1');
    const other = await client.client!.request({ type: 'other', id: '1', ack: true });
    for (let index = 0; index < 2; index++) await plain.request({ type: 'work', id: '1', ack: true });
    for (let index = 0; index < 2; index++) await client.client!.request({ type: 'work', id: '2' });

    expect(other.content).to.equal('other');
    expect(seen).to.have.length(5);
  });

  it('counts the characters of all answers, and remembers none beyond the limit', async () => {
    const server = await counting({ maxAnswersLength: 120, maxAnswers: 3 });
    for (let index = 0; index < 10; index++) await server.send(`${index}`);
    const [used] = [metricsOf(server)['recovery_answers_length']];

    await server.client.drop();
    await server.client.open();
    [...server.manager.connections.values()][0]!.close(4010);
    await gone(server, 0);

    expect(used).to.be.within(30, 120);
    expect(metricsOf(server)).to.include({ recovery_answers_length: 0, recovery_sessions: 0, recovery_sessions_away: 0 });
  });

  it('reaches the server once, however often the connection breaks', async () => {
    const { api, client, manager } = await counting();
    manager.registerHandler('post', async ({ content }) => { await api.append('news:a', { type: 'post', content }); });
    const connections: Client[] = [];
    const replies: Promise<Received>[] = [];
    for (let index = 0; index < 40; index++) {
      replies.push(client.request({ type: 'post', content: index }));
      if (index % 5 === 4) {
        connections.push(client.client!);
        await client.drop();
        await client.open();
      }
    }

    await Promise.all(replies);
    const { messages } = await api.history('news:a');

    expect(messages.map(({ content }) => content as number).sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 40 }, (_, index) => index));
  });
});

pluginSuite('recovery', () => recovery(), {
  requires: () => [history({ topics: { news: {} }, canRead: everyone })],
  exercise: async (_, client) => { await client.request({ type: 'recover' }); },
});
