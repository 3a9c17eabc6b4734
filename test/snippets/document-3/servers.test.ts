import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import { example } from '../../support/examples.ts';
import { packed } from '../../support/packed.ts';
import { both, manager, serve, snippet } from '../../support/snippets.ts';
import { record, SOME_TEXT, type Line, type Turn } from './dialogue.ts';
import { error, Translation, type Difference } from './difference.ts';

const text = (...names: readonly string[]): string => names.map((name) => snippet(name)).join('\n');

/** What the applications' servers stand on: bare `ws`. */
const bare = `
const WebSocket = require('ws');
const http = require('http');
const server = http.createServer();
const wss = new WebSocket.Server({ server, path: '/ws' });
`;
const listening = 'server.listen(3001);';
const env = { PORT: '0', JWT_SECRET: 'a secret of thirty-two bytes or so' };
const tokenOf = (username: string, ...roles: string[]): string =>
  jwt.sign({ userId: `the id of ${username}`, username, roles }, env.JWT_SECRET, { expiresIn: '1m' });

/** That the dialogue has every message that the application takes, and gets every one that it sends. */
function expectAll(code: string, lines: readonly Line[], turns: readonly Turn[]): void {
  const taken = [...code.matchAll(/case '([\w-]+)'|message\.type === '([\w-]+)'/g)].map(
    ([, one, other]) => one ?? other,
  );
  const sent = lines.flat().flatMap((what) => (typeof what === 'object' && 'type' in what ? [what.type] : []));
  expect(sent).to.include.members(taken);
  const heard = turns.flatMap((turn) => [...turn.values()].flat().map(({ type }) => type));
  expect(heard).to.include.members([...code.matchAll(/\btype: '([\w-]+)'/g)].map(([, type]) => type));
}

interface Servers {
  readonly lines: readonly Line[];
  readonly before: string;
  readonly after?: string;
  readonly ours: string;
  readonly differences: readonly Difference[];
}

/** Runs a server of the document and ours, and holds ours to what the other one sends. */
async function same(code: string, { lines, before, after = '', ours, differences }: Servers): Promise<void> {
  const theirs = await record(await serve('cjs', code, { before, after, env }), lines);
  expectAll(code, lines, theirs);
  const translation = new Translation(lines, theirs, differences);

  await both(async (form) => {
    const recorded = await record(await serve(form, ours, { env }), lines, { expected: translation.expected });

    translation.compare(recorded);
  });
}

const REQUESTS_ARE_ANSWERED = 'Every request of a client is answered, so that the client knows that it was done.';
const ERRORS_HAVE_CODES = 'An error has a code, by which a program tells it from others, and a text of its own.';
const USERS_ARE_KNOWN = 'The server itself knows which user sent a message; what a client says of it could be false.';
const FLAT = 'A user is named by `userId` and `username` in every message, beside its other fields.';
const ANSWERS_HAVE_THEIR_TYPE = 'A request is answered by a message of its own type, and a refusal by an error.';

const AUTHENTICATED: Difference = {
  theirs: 'auth-success',
  ours: ({ user: { authenticatedAt: _, ...user } }) => ({ type: 'auth', user }),
  reason: ANSWERS_HAVE_THEIR_TYPE,
};

/** Presence tells the others of a user some time after, and theirs tells nothing of the kind. */
const PRESENCE: Difference = {
  after: 'time', ours: 'user-online', reason: 'Clients show who is online without asking again and again.',
};

describe('an application\'s servers on bare ws, and ours in their place', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('answer the same in a chat of all', async () => same(text('3-01-first-server'), {
    before: `${snippet('3-03a-room-manager')}
      const rooms = new RoomManager();
      const joinRoom = (ws, room) => rooms.joinRoom(ws, room);
      const leaveRoom = (ws, room) => rooms.leaveRoom(ws, room);`,
    ours: `${manager}
      wsManager.use('rooms', { createOnJoin: true });
      wsManager.on('connection:added', (connection) => {
        connection.send({ type: 'welcome', content: { message: '连接成功' } });
      });
      wsManager.registerHandler('chat', ({ content }) => { wsManager.broadcast({ type: 'chat', content }); });
      ${listening}`,
    lines: [
      ['alice', 'connects'], ['bob', 'connects'],
      ['alice', { type: 'ping' }],
      ['alice', { type: 'chat', user: 'Alice', message: 'Hello, World!' }],
      ['alice', { type: 'join-room', room: 'den' }], ['bob', { type: 'join-room', room: 'den' }],
      ['bob', { type: 'leave-room', room: 'den' }],
      ['bob', { type: 'dance' }],
      ['bob', { raw: 'no JSON' }],
    ],
    differences: [
      { after: 'leave-room', ours: 'room-left', reason: REQUESTS_ARE_ANSWERED },
      { after: 'dance', theirs: 'error', ours: error('UNKNOWN_TYPE'), reason: ERRORS_HAVE_CODES },
      { after: 'raw', theirs: 'error', ours: error('INVALID_JSON'), reason: ERRORS_HAVE_CODES },
    ],
  }));

  it('have the same rooms', async () => same(text('3-03a-room-manager', '3-03b-rooms'), {
    before: bare,
    after: listening,
    ours: `${manager}
      wsManager.use('rooms');
      ${listening}`,
    lines: [
      ['alice', 'connects'], ['bob', 'connects'],
      ['alice', { type: 'create-room', roomId: 'den' }], ['bob', { type: 'create-room', roomId: 'den' }],
      ['alice', { type: 'join-room', roomId: 'den' }], ['bob', { type: 'join-room', roomId: 'den' }],
      ['alice', { type: 'room-message', roomId: 'den', user: 'Alice', content: 'hello' }],
      ['bob', { type: 'get-rooms' }],
      ['bob', { type: 'leave-room', roomId: 'den' }],
      ['bob', { type: 'join-room', roomId: 'den' }], ['bob', 'disconnects'],
    ],
    differences: [
      { after: 'leave-room', ours: 'room-left', reason: REQUESTS_ARE_ANSWERED },
      {
        theirs: 'room-created',
        ours: (said) => (said.success ? said : error('ROOM_EXISTS')()),
        reason: 'A refusal is an error, as everywhere; `success: false` would be a second way to refuse.',
      },
      {
        theirs: 'room-message',
        ours: ({ user: _, ...said }) => ({ ...said, userId: SOME_TEXT }),
        reason: USERS_ARE_KNOWN,
      },
    ],
  }));

  it('know the same users with the same permissions', async () => same(text('3-04a-auth-manager', '3-04b-auth'), {
    before: `${bare}
      const broadcastToAll = (message) => wss.clients.forEach((client) => client.send(JSON.stringify(message)));`,
    after: listening,
    ours: `${manager}
      wsManager
        .use('auth', { jwtSecret: process.env.JWT_SECRET, requireAuth: true, allowAnonymous: true })
        .use('permissions', { roles: { admin: ['broadcast'] } })
        .use('admin')
        .use('rooms')
        .use('presence', {
          profile: ({ id, username }) => ({ id, username, authenticatedAt: new Date().toISOString() }),
        })
        .use('error-handler', { closeOn: { TOKEN_INVALID: 4001 } });
      ${listening}`,
    lines: [
      ['alice', 'connects'],
      ['alice', { type: 'get-online-users' }],
      ['alice', { type: 'auth', token: tokenOf('alice', 'admin') }],
      ['bob', 'connects', { type: 'auth', token: tokenOf('bob', 'user') }],
      ['bob', { type: 'admin-broadcast', content: 'hello' }], ['alice', { type: 'admin-broadcast', content: 'hello' }],
      ['bob', { type: 'get-online-users' }],
      ['mallory', 'connects', { type: 'auth', token: 'forged' }],
    ],
    differences: [
      { after: 'get-online-users', theirs: 'error', ours: error('AUTH_REQUIRED'), reason: ERRORS_HAVE_CODES },
      { after: 'alice: admin-broadcast', ours: 'admin-broadcast', reason: REQUESTS_ARE_ANSWERED },
      { after: 'bob: admin-broadcast', theirs: 'error', ours: error('FORBIDDEN'), reason: ERRORS_HAVE_CODES },
      AUTHENTICATED,
      { theirs: 'auth-failed', ours: error('TOKEN_INVALID'), reason: ANSWERS_HAVE_THEIR_TYPE },
      {
        theirs: 'closed 1005',
        ours: 'closed 4001',
        reason: 'A client that sees 1005 connects again, with the token that was refused.',
      },
      PRESENCE,
    ],
  }));

  it('gather the messages of a room in the same batches', async () => same(text('3-07a-batcher', '3-07b-batching'), {
    before: `${bare}${text('3-03a-room-manager', '3-04a-auth-manager')}
      const roomManager = new RoomManager();
      const authManager = new AuthManager(process.env.JWT_SECRET);
      wss.on('connection', (ws) => ws.on('message', (data) => {
        const message = JSON.parse(data);
        if (message.type === 'auth') {
          const user = authManager.authenticateClient(ws, message.token);
          ws.send(JSON.stringify({ type: 'auth-success', user }));
        }
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
        // Notices of who joins and leaves are sent at once, as theirs are.
        .use('batching', { maxMessages: 50, maxDelay: 60_000, urgent: ['user-joined', 'user-left'] });
      ${listening}`,
    lines: [
      ...['alice', 'bob'].map((who): Line => (
        [who, 'connects', { type: 'auth', token: tokenOf(who) }, { type: 'join-room', roomId: 'den' }]
      )),
      ['alice', ...Array.from({ length: 50 }, (_, index) => (
        { type: 'room-message', roomId: 'den', content: `message ${index}` }
      ))],
    ],
    differences: [
      AUTHENTICATED,
      {
        theirs: 'message-batch',
        ours: ({ messages, ...said }) => ({
          ...said,
          messages: messages.map(({ user, content, timestamp }: Record<string, string>) => (
            { type: 'room-message', content: { roomId: 'den', username: user, content }, timestamp }
          )),
        }),
        reason: 'A batch has whole messages, as each would have come alone, so that a client has one way to read them.',
      },
    ],
  }));

  it('are the same complete chat', async () => {
    const code = text('3-11-chat');
    const theirs = await serve('cjs', code, { env, before: `
      ${text('3-03a-room-manager', '3-04a-auth-manager', '3-07a-batcher')}
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
    const signIn = (http: string, body: object) =>
      fetch(`${http}/api/auth`, { method: 'POST', headers, body: JSON.stringify(body) });
    const token = async (http: string, username: string): Promise<unknown> => {
      const response = await signIn(http, { username, password: 'a long password' });
      return (await response.json() as { token: unknown }).token;
    };
    const dialogue = async (http: string): Promise<Line[]> => [
      ['alice', 'connects'],
      ['alice', { type: 'get-rooms' }],
      ['alice', { type: 'auth', token: await token(http, 'alice') }],
      ['bob', 'connects', { type: 'auth', token: await token(http, 'bob') }],
      ['alice', { type: 'join-room', roomId: 'lobby' }],
      ['alice', { type: 'chat-message', roomId: 'lobby', content: 'anybody there?' }],
      ['bob', { type: 'join-room', roomId: 'lobby' }],
      ['bob', { type: 'chat-message', roomId: 'lobby', content: 'hello' }],
      ['bob', { type: 'get-rooms' }], ['bob', { type: 'get-online-users' }],
      ['bob', { type: 'leave-room', roomId: 'lobby' }],
      ['alice', { type: 'dance' }],
      ['mallory', 'connects', { type: 'auth', token: 'forged' }],
    ];
    const lines = await dialogue(theirs.http);
    const heard = await record(theirs, lines, { path: '/chat' });
    expectAll(code, lines, heard);

    const translation = new Translation(lines, heard, [
      { theirs: 'welcome', ours: (said) => ({ ...said, message: SOME_TEXT }), reason: 'The example speaks English.' },
      { after: 'get-rooms', theirs: 'error', ours: error('AUTH_REQUIRED'), reason: ERRORS_HAVE_CODES },
      { after: 'dance', theirs: 'error', ours: error('TYPE_NOT_ALLOWED'), reason: ERRORS_HAVE_CODES },
      {
        theirs: 'auth-success',
        ours: ({ user }) => ({ type: 'auth', user: { ...user, id: SOME_TEXT } }),
        reason: ANSWERS_HAVE_THEIR_TYPE,
      },
      { theirs: 'auth-failed', ours: error('TOKEN_INVALID'), reason: ANSWERS_HAVE_THEIR_TYPE },
      { theirs: 'closed 1008', reason: 'A client may try another token until its time to authenticate is over.' },
      { after: 'join-room', ours: 'system-message', reason: 'The lobby of the example welcomes its members.' },
      { after: 'chat-message', ours: 'message-sent', reason: REQUESTS_ARE_ANSWERED },
      { after: 'leave-room', ours: 'room-left', reason: REQUESTS_ARE_ANSWERED },
      {
        theirs: 'chat-message',
        ours: ({ user, ...said }) => ({ ...said, userId: SOME_TEXT, username: user.username }),
        reason: FLAT,
      },
      {
        theirs: 'message-history',
        ours: ({ messages, ...said }) => ({
          ...said,
          messages: messages.map(({ type, timestamp, user: { username }, ...content }: Record<string, any>) => (
            { type, timestamp, content: { ...content, userId: SOME_TEXT, username } }
          )),
        }),
        reason: 'A history has whole messages, as each came, so that a client has one way to read them.',
      },
      {
        theirs: 'online-users',
        ours: ({ users, ...said }) => ({
          ...said, users: users.map(({ username }: Record<string, string>) => ({ userId: SOME_TEXT, username })),
        }),
        reason: FLAT,
      },
      PRESENCE,
    ]);
    const recorded = await record(ours, await dialogue(ours.http), { path: '/chat', expected: translation.expected });

    translation.compare(recorded);
    for (const server of [theirs, ours]) {
      const refused = await signIn(server.http, { username: 'carol' });
      expect(refused.status).to.equal(400);
      expect(await refused.json()).to.have.property('error').that.is.a('string');
      const client = await server.connect({ path: '/chat' });
      const [{ code: exit }, closed] = await Promise.all([server.stop('SIGTERM'), client.closed]);
      expect(exit).to.equal(0);
      // Theirs is 1001; ours is of the range of codes that tell clients when to connect again.
      expect(closed.code).to.equal(server === theirs ? 1001 : 4200);
    }
  });
});
