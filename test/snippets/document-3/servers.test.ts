import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import { example } from '../../support/examples.ts';
import { packed } from '../../support/packed.ts';
import { both, manager, serve, snippet } from '../../support/snippets.ts';
import { hear, listen, SOME_TEXT, type Heard, type Line } from './dialogue.ts';

const text = (...names: readonly string[]): string => names.map((name) => snippet(name, 3)).join('\n');

/** What the applications' servers stand on: bare `ws`. */
const bare = `
const WebSocket = require('ws');
const http = require('http');
const server = http.createServer();
const wss = new WebSocket.Server({ server, path: '/ws' });
`;
const listening = 'server.listen(3001);';
const env = { PORT: '0', JWT_SECRET: 'a secret of thirty-two bytes or so' };
const tokenOf = (username: string, ...roles: string[]): string => jwt.sign({ userId: `the id of ${username}`, username, roles }, env.JWT_SECRET, { expiresIn: '1m' });

type Said = Record<string, any>;
/** How a message of the application's reads in our envelope, by its type, where it does not read the same. */
type Wording = Readonly<Record<string, (said: Said) => Said>>;
/** Errors have a code, and words of their own. */
const error = (): Said => ({ type: 'error', code: SOME_TEXT, message: SOME_TEXT });

function worded(heard: readonly Heard[][], wording: Wording): Heard[][] {
  const all: Wording = { error, ...wording };
  return heard.map((line) => line.map(({ who, message }) => ({ who, message: (all[message.type]?.(message) ?? message) as Heard['message'] })));
}

/** That the dialogue has every message that the application takes, and came to every one that it sends. */
function expectAll(code: string, lines: readonly Line[], heard: readonly Heard[][]): void {
  const said = lines.flat().flatMap((what) => (typeof what === 'object' && 'type' in what ? [what.type] : []));
  expect(said).to.include.members([...code.matchAll(/case '([\w-]+)'|message\.type === '([\w-]+)'/g)].map(([, one, other]) => one ?? other));
  expect(heard.flat().map(({ message }) => message.type)).to.include.members([...code.matchAll(/\btype: '([\w-]+)'/g)].map(([, type]) => type));
}

interface Servers { readonly lines: readonly Line[]; readonly before: string; readonly after?: string; readonly ours: string; readonly wording?: Wording }

/** Runs an application's server and ours, and holds ours to what the other one answers. */
async function same(code: string, { lines, before, after = '', ours, wording = {} }: Servers): Promise<void> {
  const theirs = await serve('cjs', code, { before, after, env });
  const heard = await listen(theirs, lines);
  expectAll(code, lines, heard);

  await both(async (form) => hear(await serve(form, ours, { env }), lines, worded(heard, wording)));
}

describe('an application\'s servers on bare ws, and ours in their place', function () {
  this.timeout(20_000);

  before(async function () {
    this.timeout(120_000);
    await packed();
  });

  it('answer a chat for everybody alike', async () => same(text('first-server'), {
    before: `${snippet('room-manager', 3)}
      const rooms = new RoomManager();
      const joinRoom = (ws, room) => rooms.joinRoom(ws, room);
      const leaveRoom = (ws, room) => rooms.leaveRoom(ws, room);`,
    ours: `${manager}
      wsManager.use('rooms', { createOnJoin: true });
      wsManager.on('connection:added', (connection) => connection.send({ type: 'welcome', content: { message: '连接成功' } }));
      wsManager.registerHandler('chat', ({ content }) => { wsManager.broadcast({ type: 'chat', content }); });
      ${listening}`,
    lines: [
      ['alice', 'comes'], ['bob', 'comes'],
      ['alice', { type: 'ping' }],
      ['alice', { type: 'chat', user: 'Alice', message: 'Hello, World!' }],
      ['alice', { type: 'join-room', room: 'den' }], ['bob', { type: 'join-room', room: 'den' }], ['bob', { type: 'leave-room', room: 'den' }],
      ['bob', { type: 'dance' }],
      ['bob', { raw: 'no JSON' }],
    ],
  }));

  it('have rooms alike', async () => same(text('room-manager', 'rooms'), {
    before: bare,
    after: listening,
    ours: `${manager}
      wsManager.use('rooms');
      ${listening}`,
    lines: [
      ['alice', 'comes'], ['bob', 'comes'],
      ['alice', { type: 'create-room', roomId: 'den' }], ['bob', { type: 'create-room', roomId: 'den' }],
      ['alice', { type: 'join-room', roomId: 'den' }], ['bob', { type: 'join-room', roomId: 'den' }],
      ['alice', { type: 'room-message', roomId: 'den', user: 'Alice', content: 'hello' }],
      ['bob', { type: 'get-rooms' }],
      ['bob', { type: 'leave-room', roomId: 'den' }],
      ['bob', { type: 'join-room', roomId: 'den' }], ['bob', 'goes'],
    ],
    wording: {
      // Ours refuses what it does not do.
      'room-created': (said) => (said.success ? said : error()),
      // Whoever says who he is could be anybody: ours says whose connection it was, by its own knowledge.
      'room-message': ({ user: _, ...said }) => ({ ...said, userId: SOME_TEXT }),
    },
  }));

  it('know users, and what they may do, alike', async () => same(text('auth-manager', 'auth'), {
    before: `${bare}
      const broadcastToAll = (message) => wss.clients.forEach((client) => client.send(JSON.stringify(message)));`,
    after: listening,
    ours: `${manager}
      wsManager
        .use('auth', { jwtSecret: process.env.JWT_SECRET, requireAuth: true, allowAnonymous: true })
        .use('permissions', { roles: { admin: ['broadcast'] } })
        .use('admin')
        .use('rooms')
        .use('presence', { profile: ({ id, username }) => ({ id, username, authenticatedAt: new Date().toISOString() }) })
        .use('error-handler', { closeOn: { TOKEN_INVALID: 4001 } });
      ${listening}`,
    lines: [
      ['alice', 'comes'],
      ['alice', { type: 'get-online-users' }],
      ['alice', { type: 'auth', token: tokenOf('alice', 'admin') }], ['bob', 'comes', { type: 'auth', token: tokenOf('bob', 'user') }],
      ['bob', { type: 'admin-broadcast', content: 'hello' }], ['alice', { type: 'admin-broadcast', content: 'hello' }],
      ['bob', { type: 'get-online-users' }],
      ['mallory', 'comes', { type: 'auth', token: 'forged' }],
    ],
    wording: {
      // The answer to `auth` is of its own type, as answers are, and a refusal is an error. When it was, the server need not tell.
      'auth-success': ({ user: { authenticatedAt: _, ...user } }) => ({ type: 'auth', user }),
      'auth-failed': () => ({ ...error(), code: 'TOKEN_INVALID' }),
    },
  }));

  it('gather what is said in a room alike', async () => same(text('batcher', 'batching'), {
    before: `${bare}${text('room-manager', 'auth-manager')}
      const roomManager = new RoomManager();
      const authManager = new AuthManager(process.env.JWT_SECRET);
      wss.on('connection', (ws) => ws.on('message', (data) => {
        const message = JSON.parse(data);
        if (message.type === 'auth') authManager.authenticateClient(ws, message.token);
        if (message.type === 'join-room') roomManager.joinRoom(ws, message.roomId);
        if (message.type === 'room-message') handleBatchedMessage(ws, message);
      }));
      // However long fifty messages take, they are one batch.
      const setTimeout = () => undefined;`,
    after: listening,
    ours: `${manager}
      wsManager
        .use('auth', { jwtSecret: process.env.JWT_SECRET, requireAuth: true, allowAnonymous: true })
        .use('rooms', { createOnJoin: true })
        // Who comes and goes is told at once, as it is there.
        .use('batching', { maxMessages: 50, maxDelay: 60_000, urgent: ['user-joined', 'user-left'] });
      ${listening}`,
    lines: [
      ...['alice', 'bob'].map((who): Line => [who, 'comes', { type: 'auth', token: tokenOf(who) }, { type: 'join-room', roomId: 'den' }]),
      ['alice', ...Array.from({ length: 50 }, (_, index) => ({ type: 'room-message', roomId: 'den', content: `message ${index}` }))],
    ],
    wording: {
      // What is gathered are whole messages, in the envelope that they would have had.
      'message-batch': ({ messages, ...said }) => ({
        ...said,
        messages: messages.map(({ user, content, timestamp }: Said) => ({ type: 'room-message', content: { roomId: 'den', username: user, content }, timestamp })),
      }),
    },
  }));

  it('are a complete chat alike', async () => {
    const code = text('chat');
    const theirs = await serve('cjs', code, { env, before: `${text('room-manager', 'auth-manager', 'batcher')}
      class ConnectionPool { addConnection() {} }
      class PerformanceMonitor { incrementMessageReceived() {} incrementMessageSent() {} incrementMessageFailed() {} }
      const logger = { info() {}, error() {} };
      const logWebSocketEvent = () => {};
      const history = [];
      const messageQueue = {
        storeMessage: async (roomId, message) => void history.push(message),
        getMessageHistory: async () => [...history],
      };` });
    const ours = await example('chat-server/server', env);
    const headers = { 'content-type': 'application/json' };
    const signIn = (http: string, body: object) => fetch(`${http}/api/auth`, { method: 'POST', headers, body: JSON.stringify(body) });
    const token = async (http: string, username: string) => (await (await signIn(http, { username, password: 'a long password' })).json() as { token: string }).token;
    const dialogue = async (http: string): Promise<Line[]> => [
      ['alice', 'comes'],
      ['alice', { type: 'get-rooms' }],
      ['alice', { type: 'auth', token: await token(http, 'alice') }], ['bob', 'comes', { type: 'auth', token: await token(http, 'bob') }],
      ['alice', { type: 'join-room', roomId: 'lobby' }],
      ['alice', { type: 'chat-message', roomId: 'lobby', content: 'anybody there?' }],
      ['bob', { type: 'join-room', roomId: 'lobby' }],
      ['bob', { type: 'chat-message', roomId: 'lobby', content: 'hello' }],
      ['bob', { type: 'get-rooms' }], ['bob', { type: 'get-online-users' }],
      ['bob', { type: 'leave-room', roomId: 'lobby' }],
      ['alice', { type: 'dance' }],
      ['mallory', 'comes', { type: 'auth', token: 'forged' }],
    ];
    const wording: Wording = {
      'welcome': (said) => ({ ...said, message: SOME_TEXT }),
      'auth-success': ({ user }) => ({ type: 'auth', user: { ...user, id: SOME_TEXT } }),
      'auth-failed': error,
      'chat-message': ({ user, ...said }) => ({ ...said, userId: SOME_TEXT, username: user.username }),
      'message-history': ({ messages, ...said }) => ({
        ...said,
        messages: messages.map(({ type, timestamp, user: { username }, ...content }: Said) => (
          { type, timestamp, content: { ...content, userId: SOME_TEXT, username } }
        )),
      }),
      'online-users': ({ users, ...said }) => ({ ...said, users: users.map(({ username }: Said) => ({ userId: SOME_TEXT, username })) }),
    };
    const lines = await dialogue(theirs.http);
    const heard = await listen(theirs, lines, '/chat');
    expectAll(code, lines, heard);

    // Whose token is no good may try again here, until his time is over.
    const expected = worded(heard, wording).map((line) => line.filter(({ message }) => message.type !== 'closed'));
    await hear(ours, await dialogue(ours.http), expected, '/chat');

    for (const server of [theirs, ours]) {
      const refused = await signIn(server.http, { username: 'carol' });
      expect(refused.status).to.equal(400);
      expect(await refused.json()).to.have.property('error').that.is.a('string');
      const client = await server.connect({ path: '/chat' });
      const [{ code: exit }, closed] = await Promise.all([server.stop('SIGTERM'), client.closed]);
      expect(exit).to.equal(0);
      // 1001 there; here a code of the range that says when to come back.
      expect(closed.code).to.equal(server === theirs ? 1001 : 4200);
    }
  });
});
