import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { both, snippet, type Form, type Serving } from '../../support/snippets.ts';
import { aroundRooms, people, serve, type Client } from './around.ts';

describe('the namespace manager and event router of document 2, by require and by import', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  const routed = (form: Form) => serve(form, snippet('2-05-namespaces'), `${aroundRooms}
    import namespaces from 'websocket-module/plugins/namespaces';
    ${snippet('2-04-rooms')}
    // The router gives the whole message to a method that takes the room, the sender and the content of one.
    const { sendMessageToRoom } = CustomRoomManager.prototype;
    CustomRoomManager.prototype.sendMessageToRoom = function (roomId, message) {
      return sendMessageToRoom.call(this, roomId, message.senderId, message.content);
    };
    // The snippet has routes to these methods, and does not define them.
    Object.assign(namespaces.EventRouter.prototype, {
      async handleJoinRoom({ user }, { roomId }) {
        await roomManager.joinRoom(roomId, user.id);
        return { type: 'room-joined', content: { roomId } };
      },
      async handleEmojiMessage({ user }, roomId, content) {
        await roomManager.sendMessageToRoom(roomId, { senderId: user.id, content });
      },
      async handleCommandMessage(connection, roomId, content) {
        connection.send({ type: 'command', data: { roomId, content } });
      },
    });
    const routes = ['LeaveRoom', 'Typing', 'FileUpload', 'GameAction', 'Spectate', 'SystemStats', 'ModerateRoom'];
    for (const name of routes.map((route) => 'handle' + route)) {
      namespaces.EventRouter.prototype[name] = async () => ({ type: 'routed', content: name });
    }
    const matchmakingService = {
      findMatch: async ({ playerId, gameType }) => (
        gameType === 'chess' ? { id: 'match-1', players: ['bob'], gameType, estimatedStartTime: 'soon' } : undefined
      ),
      joinMatch: async (matchId, userId) => console.log('[joined] %s %s', matchId, userId),
      createMatchRequest: async ({ gameType, region }) => ({
        id: gameType + ' in ' + region, estimatedWaitTime: 30_000,
      }),
    };
    const messageLogger = { logMessage: async (message) => console.log('[logged] %s', JSON.stringify(message)) };
    const getRateLimit = (type) => (type === 'typing' ? 2 : 100);
    const containsSpam = (text) => text.includes('darn');
    const filterProfanity = (text) => text.replaceAll('darn', '****');
    const getRequiredPermission = (type) => (type === 'ban-user' ? 'ban' : 'talk');
    // The snippet reads a property of connections that a plugin of the application adds.
    manager.use(definePlugin({ name: 'platform', setup(context) {
      context.use({ type: 'connection', handler: (ws, request) => ({ platform: request.headers['user-agent'] }) });
      context.decorate('connection', { platform: { get() { return this.metadata.platform; } } });
    } }));
    manager.use(namespaces());
    await manager.ready();
    const server = manager;
    // A banned user has five seconds to read why; here, five milliseconds.
    const setTimeout = (work, milliseconds) => globalThis.setTimeout(work, milliseconds / 1_000);`, `
    // The snippet's filter reads a count that the snippet does not keep.
    namespaceManager.getNamespace('/chat').use({ type: 'message', handler(message, connection, next) {
      void rateLimiter.increment(connection.id + ':' + message.type);
      return next();
    } });`);
  const enter = (client: Client, namespace: string) => client.request({ type: 'connect', namespace });
  /** Connects as these users and enters a namespace. */
  const members = async <const Names extends readonly string[]>(
    server: Serving, namespace: string, ...names: Names
  ): ReturnType<typeof people<Names>> => {
    const clients = await people(server, ...names);
    for (const client of clients) expect((await enter(client, namespace)).type).to.equal('connected');
    return clients;
  };
  const refusal = async (reply: ReturnType<Client['request']>): Promise<string> =>
    (await reply).content.message as string;

  it('admits each role to its namespaces, and lists their features', async () => both(async (form) => {
    const server = await routed(form);
    const anonymous = await server.connect();
    const [bob, pat, root] = await people(server, 'bob', 'pat', 'root');

    const answerOf = async (client: Client, namespace: string) => {
      const { type, content } = await enter(client, namespace);
      return content.code ?? type;
    };
    const answers = await Promise.all([anonymous, bob, pat, root].map((client) => (
      Promise.all(['/chat', '/game', '/admin'].map((namespace) => answerOf(client, namespace)))
    )));
    const [late] = await people(server, 'root');
    const { content } = await enter(late, '/chat');

    expect(answers).to.deep.equal([
      ['AUTH_REQUIRED', 'AUTH_REQUIRED', 'AUTH_REQUIRED'],
      ['connected', 'FORBIDDEN', 'FORBIDDEN'],
      ['FORBIDDEN', 'connected', 'FORBIDDEN'],
      ['connected', 'connected', 'connected'],
    ]);
    expect(content.features).to.deep.equal(['rooms', 'private-messages', 'file-sharing']);
  }));

  it('routes a message by its type to the room, and logs it', async () => both(async (form) => {
    const server = await routed(form);
    const [ada, bob] = await members(server, '/chat', 'ada', 'bob');
    const roomId = 'game-lobby';
    for (const client of [ada, bob]) {
      const joined = await client.request({ type: 'join-room', namespace: '/chat', data: { roomId } });
      expect(joined.content).to.deep.equal({ roomId });
      await client.next('system_message');
    }
    const say = (data: object) => bob.request({ type: 'message', namespace: '/chat', data, ack: true });

    expect((await say({ roomId, content: ' hello ' })).type).to.equal('ack');
    expect((await say({ roomId, content: ':-)', messageType: 'emoji' })).type).to.equal('ack');
    expect((await say({ roomId, content: '/help', messageType: 'command' })).type).to.equal('ack');

    expect((await ada.next('chat_message'))['data']).to.include({ content: 'hello', senderId: 'bob', roomId });
    expect((await ada.next('chat_message'))['data']).to.include({ content: ':-)' });
    expect((await bob.next('command'))['data']).to.deep.equal({ roomId, content: '/help' });
    const [, logged = ''] = await server.until(/\[logged\] (.+)/);
    expect(JSON.parse(logged)).to.deep.include({
      type: 'text', content: 'hello', senderId: 'bob', senderName: 'Bob', roomId, metadata: { platform: 'a browser' },
    });
    expect(await refusal(say({ roomId, content: 'hello', messageType: 'hologram' }))).to.equal('Unknown message type');
    expect(await refusal(say({ roomId }))).to.equal('Invalid message data');
    // The lobby mutes after two warnings.
    for (let count = 0; count < 2; count++) {
      expect(await refusal(say({ roomId, content: 'cheat' }))).to.equal(
        'Message contains banned content',
      );
    }
    await bob.next('muted');
    expect(await refusal(say({ roomId, content: 'hello' }))).to.equal('You are muted in this room');
  }));

  it('filters messages by rate, content and permission', async () => both(async (form) => {
    const server = await routed(form);
    const [ada, eve] = await members(server, '/chat', 'ada', 'eve');
    await ada.request({ type: 'join-room', namespace: '/chat', data: { roomId: 'game-lobby' } });
    const typing = () => ada.request({ type: 'typing', namespace: '/chat', data: {} });

    expect((await typing()).content).to.equal('handleTyping');
    expect((await typing()).content).to.deep.equal({
      code: 'EVENT_REJECTED', message: 'Rate limit exceeded', filter: 'rate-limit',
    });
    await ada.request({
      type: 'message', namespace: '/chat', data: { roomId: 'game-lobby', content: 'darn it' }, ack: true,
    });
    expect((await ada.next('chat_message'))['data'].content).to.equal('**** it');
    expect(await refusal(eve.request({ type: 'typing', namespace: '/chat', data: {} }))).to.equal(
      'Insufficient permissions',
    );
  }));

  it('finds a match, or searches for one', async () => both(async (form) => {
    const server = await routed(form);
    const [pat] = await members(server, '/game', 'pat');
    const join = (gameType: string) => pat.request({
      type: 'join-match', namespace: '/game', data: { gameType, skillLevel: 3, preferredRegion: 'eu' }, ack: true,
    });

    await join('chess');
    await join('go');

    expect((await pat.next('match-found'))['data']).to.deep.equal({
      matchId: 'match-1', players: ['bob'], gameType: 'chess', estimatedStartTime: 'soon',
    });
    expect((await pat.next('match-searching'))['data']).to.deep.equal({
      requestId: 'go in eu', estimatedWaitTime: 30_000,
    });
    await server.until(/\[joined\] match-1 pat/);
  }));

  it('bans for an administrator: the banned user is told and disconnected', async () => both(async (form) => {
    const server = await routed(form);
    const [mod, root] = await members(server, '/admin', 'mod', 'root');
    const [bob] = await people(server, 'bob');
    const ban = (client: Client) => client.request({
      type: 'ban-user', namespace: '/admin', data: { targetUserId: 'bob', reason: 'rude', duration: 60_000 }, ack: true,
    });

    expect(await refusal(ban(mod))).to.equal('Insufficient permissions');
    expect((await ban(root)).type).to.equal('ack');

    expect((await bob.next('banned'))['data']).to.deep.equal({ reason: 'rude', duration: 60_000 });
    expect(await bob.closed).to.deep.equal({ code: 4000, reason: 'User banned' });
    await server.until(/\[banned bob\] \{"reason":"rude","duration":60000,"bannedBy":"root"/);
    await server.until(/\[audit user_banned\] \{"targetUserId":"bob"/);
  }));
});
