import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import { userTopic, ModuleError, type Connection } from '../../../index.ts';
import { auth } from '../../../handlers/auth-handler.ts';
import { EventRouter, NamespaceManager, type EventFilter } from '../../../plugins/namespaces.ts';
import { code, enter, entered, serve } from './entering.ts';

const jwtSecret = 'a secret of at least thirty-two bytes';
const tokenOf = (sub: string, ...roles: string[]) => jwt.sign({ sub, roles }, jwtSecret, { expiresIn: 60 });

/** As an application writes it for chat, game and administration. */
class CustomNamespaceManager extends NamespaceManager {
  constructor() {
    super();
    this.setupNamespaces();
  }

  private setupNamespaces() {
    this.createNamespace('/chat', {
      auth: { required: true, roles: ['user', 'admin'] },
      rateLimit: { messagesPerMinute: 60, connectionsPerIP: 10 },
      features: ['rooms', 'private-messages', 'file-sharing'],
    });
    this.createNamespace('/game', {
      auth: { required: true, roles: ['player', 'admin'] },
      rateLimit: { messagesPerMinute: 120, connectionsPerIP: 5 },
      features: ['matchmaking', 'spectating', 'tournaments'],
    });
    this.createNamespace('/admin', {
      auth: { required: true, roles: ['admin', 'moderator'] },
      rateLimit: { messagesPerMinute: 100, connectionsPerIP: 2 },
      features: ['monitoring', 'user-management', 'system-controls'],
    });
  }
}

class CustomEventRouter extends EventRouter {
  readonly logged: unknown[] = [];

  constructor() {
    super();
    this.route('/chat', 'message', this.handleChatMessage.bind(this));
    this.route('/game', 'join-match', this.handleJoinMatch.bind(this));
    this.route('/admin', 'ban-user', this.handleBanUser.bind(this));
  }

  private async handleChatMessage(connection: Connection, data: any) {
    const { roomId, content, messageType = 'text' } = data;
    if (!roomId || !content) throw new Error('Invalid message data');
    await Promise.resolve();
    this.logged.push({ type: messageType, content: content.trim(), senderId: connection.user!.id, roomId });
  }

  private async handleJoinMatch(connection: Connection, data: any) {
    connection.send({ type: 'match-searching', data: { requestId: '1', gameType: data.gameType } });
  }

  private async handleBanUser(connection: Connection, data: any) {
    if (!connection.user!.roles!.includes('admin')) throw new Error('Insufficient permissions');
    this.logged.push({ banned: data.targetUserId, by: connection.user!.id });
  }
}

const eventFilters: EventFilter[] = [
  { name: 'rate-limit', condition: (_connection, event) => event.type !== 'join-match' || event.data.gameType !== 'crowded', action: 'reject', message: 'Rate limit exceeded' },
  {
    name: 'content-filter',
    condition: (_connection, event) => (event.type === 'message' && event.data.content ? !event.data.content.includes('darn') : true),
    action: 'modify',
    modifier: (event) => {
      if (event.type === 'message') event.data.content = event.data.content.replaceAll('darn', '****');
      return event;
    },
  },
  {
    name: 'permission-filter',
    condition: (connection) => connection.user!.roles!.every((role) => role !== 'muted'),
    action: 'reject',
    message: 'Insufficient permissions',
  },
];

describe('the applications for which namespaces were made', () => {
  async function three() {
    const router = new CustomEventRouter();
    router.addFilters(eventFilters);
    const started = await serve({}, { use: [auth({ jwtSecret, allowAnonymous: true })] });
    started.manager.setNamespaceManager(new CustomNamespaceManager());
    started.manager.setEventRouter(router);
    return { ...started, router, by: (sub: string, ...roles: string[]) => started.connect({ search: `?token=${tokenOf(sub, ...roles)}` }) };
  }

  it('have a chat, a game and an administration defined in a class, each for its roles', async () => {
    const { connect, by } = await three();
    const [nobody, user, player, moderator, admin] = [await connect(), await by('ann', 'user'), await by('bob', 'player'), await by('mod', 'moderator'), await by('root', 'admin')];
    const table: unknown[] = [];

    for (const client of [nobody, user, player, moderator, admin]) {
      const answers = [await enter(client, '/chat'), await enter(client, '/game'), await enter(client, '/admin')];
      table.push(answers.map(({ type, content }) => content.code ?? type));
    }

    expect(table).to.deep.equal([
      ['AUTH_REQUIRED', 'AUTH_REQUIRED', 'AUTH_REQUIRED'],
      ['connected', 'FORBIDDEN', 'FORBIDDEN'],
      ['FORBIDDEN', 'connected', 'FORBIDDEN'],
      ['FORBIDDEN', 'FORBIDDEN', 'connected'],
      ['connected', 'connected', 'connected'],
    ]);
    const late = await by('late', 'admin');
    expect((await enter(late, '/admin')).content).to.include({ code: 'TOO_MANY_CONNECTIONS', limit: 2 });
    expect((await enter(late, '/chat')).content.features).to.deep.equal(['rooms', 'private-messages', 'file-sharing']);
  });

  it('route events to methods, through filters that refuse and change', async () => {
    const { manager, router, by } = await three();
    const errors: string[] = [];
    manager.on('error', ({ message }) => errors.push(message));
    const [ann, bob, mod, eve] = [
      await entered(await by('ann', 'user'), '/chat'), await entered(await by('bob', 'player'), '/game'),
      await entered(await by('mod', 'moderator'), '/admin'), await entered(await by('eve', 'user', 'muted'), '/chat'),
    ];

    const said = await ann.request({ type: 'message', namespace: '/chat', data: { roomId: 'lobby', content: ' darn it ' }, ack: true });
    const invalid = await code(ann.request({ type: 'message', namespace: '/chat', data: { roomId: 'lobby' } }));
    const muted = await eve.request({ type: 'message', namespace: '/chat', data: { roomId: 'lobby', content: 'hi' } });
    const crowded = await bob.request({ type: 'join-match', namespace: '/game', data: { gameType: 'crowded' } });
    void bob.send({ type: 'join-match', namespace: '/game', data: { gameType: 'chess' } });
    const searching = await bob.next('match-searching');
    const ban = await code(mod.request({ type: 'ban-user', namespace: '/admin', data: { targetUserId: 'eve' } }));

    expect(said.type).to.equal('ack');
    expect(router.logged).to.deep.equal([{ type: 'text', content: '**** it', senderId: 'ann', roomId: 'lobby' }]);
    expect(muted.content).to.include({ code: 'EVENT_REJECTED', message: 'Insufficient permissions' });
    expect(crowded.content).to.include({ code: 'EVENT_REJECTED', message: 'Rate limit exceeded' });
    expect(searching['data']).to.include({ gameType: 'chess' });
    // What is thrown and no ModuleError is not for the peer.
    expect([invalid, ban]).to.deep.equal(['INTERNAL_ERROR', 'INTERNAL_ERROR']);
    expect(errors).to.deep.equal(['Invalid message data', 'Insufficient permissions']);
  });

  it('limit how fast a member may send to each', async () => {
    const { by } = await three();
    const client = await entered(await by('root', 'admin'), '/chat', '/game');
    const send = (namespace: string, count: number) => Promise.all(Array.from({ length: count }, () => code(client.request({ type: 'nothing', namespace }))));

    const [chat, game] = [await send('/chat', 61), await send('/game', 100)];

    expect(chat).to.deep.equal([...Array(60).fill('UNKNOWN_TYPE'), 'RATE_LIMITED']);
    expect(game).to.deep.equal(Array(100).fill('UNKNOWN_TYPE'));
  });

  it('let people in by the token they enter with, speak to rooms, to one user, and to all', async () => {
    const { manager, connect } = await serve();
    const decode = (credentials: any): { sub: string; roles: string[] } => {
      try {
        return jwt.verify(credentials.token, jwtSecret) as never;
      } catch {
        throw new ModuleError('UNAUTHENTICATED', {}, { message: 'Authentication error' });
      }
    };
    const [chat, game, admin] = [manager.of('/chat'), manager.of('/game'), manager.of('/admin')];
    const names = new WeakMap<Connection, string>();
    chat.admit((connection, credentials) => void names.set(connection, decode(credentials).sub));
    admin.admit((_, credentials) => {
      if (!decode(credentials).roles.includes('admin')) throw new ModuleError('FORBIDDEN', {}, { message: 'Insufficient permissions' });
    });
    chat.on('connect', (connection) => chat.join(connection, userTopic(names.get(connection)!)));
    chat.registerHandler('chat message', ({ content }, connection) => void chat.publish({ type: 'chat message', content: { from: names.get(connection), text: content.text } }));
    chat.registerHandler('private message', ({ content }, connection) => {
      chat.to(userTopic(content.to)).publish({ type: 'private message', content: { from: names.get(connection), text: content.text } });
      return { type: 'message sent', content: {} };
    });
    game.registerHandler('join game', ({ content }, connection) => {
      game.join(connection, `game:${content}`);
      game.to(`game:${content}`).publish({ type: 'player joined', content: { playerId: connection.id } }, { except: connection.id });
    });
    game.on('disconnect', ({ id }) => void game.publish({ type: 'player disconnected', content: id }));
    admin.registerHandler('get stats', () => ({ type: 'stats', content: { chat: chat.connections.size, game: game.connections.size, admin: admin.connections.size } }));
    const [ann, bob] = [await connect(), await connect()];
    const [annId, bobId] = [...manager.connections.keys()];

    expect((await enter(ann, '/chat', { token: 'forged' })).content).to.deep.equal({ code: 'UNAUTHENTICATED', message: 'Authentication error' });
    await enter(ann, '/chat', { token: tokenOf('ann', 'admin') });
    await enter(ann, '/admin', { token: tokenOf('ann', 'admin') });
    await enter(bob, '/chat', { token: tokenOf('bob', 'user') });
    expect(await code(enter(bob, '/admin', { token: tokenOf('bob', 'user') }))).to.equal('FORBIDDEN');
    await entered(ann, '/game');
    await entered(bob, '/game');

    void ann.send({ type: 'chat message', namespace: '/chat', content: { text: 'hello' } });
    expect((await bob.next('chat message')).content).to.deep.equal({ from: 'ann', text: 'hello' });
    expect((await ann.next('chat message')).namespace).to.equal('/chat');
    await ann.request({ type: 'private message', namespace: '/chat', content: { to: 'bob', text: 'psst' } });
    expect((await bob.next('private message')).content).to.deep.equal({ from: 'ann', text: 'psst' });
    await ann.request({ type: 'join game', namespace: '/game', content: 'chess', ack: true });
    await bob.request({ type: 'join game', namespace: '/game', content: 'chess', ack: true });
    expect((await ann.next('player joined')).content).to.deep.equal({ playerId: bobId });
    expect((await ann.request({ type: 'get stats', namespace: '/admin' })).content).to.deep.equal({ chat: 2, game: 2, admin: 1 });
    await ann.close();
    expect((await bob.next('player disconnected')).content).to.equal(annId);
  });
});
