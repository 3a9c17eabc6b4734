import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { both, snippet } from '../../support/snippets.ts';
import { listen, serve, sockets, store, tokenOf, told, type Client } from './around.ts';

const around = `${sockets}
const jwt = require('jsonwebtoken');
${store}
const processGameAction = ({ move }) => ({ moved: move });
`;

const enter = (client: Client, namespace: string, content?: object) => client.request({
  type: 'connect', namespace, ...(content ? { content } : {}),
});

describe('three namespaces for Socket.IO, by require and by import', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('admits clients with a valid token, and tells the others the reason', async () => both(async (form) => {
    const { connect } = await serve(form, snippet('4-04-namespaces'), around, listen);
    const client = await connect();
    const refusals: [string, object?][] = [
      ['/chat'], ['/chat', { token: 'forged' }],
      ['/admin'], ['/admin', { token: tokenOf('Bob', { role: 'user' }) }],
      ['/nowhere'],
    ];

    const said: string[] = [];
    for (const refusal of refusals) said.push((await enter(client, ...refusal)).content.message as string);

    expect(said.slice(0, 4)).to.deep.equal([
      'Authentication error', 'Authentication error', 'Authentication error', 'Insufficient permissions',
    ]);
    expect((await enter(client, '/game')).type).to.equal('connected');
    expect((await enter(client, '/chat', { token: tokenOf('Bob') })).type).to.equal('connected');
  }));

  it('carries the messages of a chat to all, to a room, and to one user', async () => both(async (form) => {
    const { connect, until } = await serve(form, snippet('4-04-namespaces'), around, listen);
    const [ann, bob, eve] = [await connect(), await connect(), await connect()];
    await enter(ann, '/chat', { token: tokenOf('Ann') });
    await enter(bob, '/chat', { token: tokenOf('Bob') });
    const say = (type: string, content: object) => ann.send({ type, namespace: '/chat', content });

    await say('chat message', { content: 'hello' });
    expect(await told(bob, 'chat message')).to.deep.include({
      id: 'message-1', from: 'ann', username: 'Ann', content: 'hello', type: 'text',
    });
    // The room that each user is in.
    await say('chat message', { content: 'in a room', roomId: 'user:bob' });
    expect(await told(bob, 'chat message')).to.deep.include({ id: 'message-2', content: 'in a room' });
    await say('private message', { to: 'bob', content: 'psst' });
    expect(await told(bob, 'private message')).to.deep.include({
      id: 'message-3', from: 'ann', to: 'bob', content: 'psst', type: 'private',
    });
    expect(await told(ann, 'message sent')).to.deep.equal({ messageId: 'message-3' });
    await until(/\[saved in private\] \{"id":"message-3"/);

    const heard = ann.messages.filter(({ type }) => type === 'chat message').map(({ content }) => content.id as string);
    expect(heard).to.deep.equal(['message-1']);
    expect(bob.messages.map(({ namespace }) => namespace as string)).to.deep.equal([
      '/chat', '/chat', '/chat', '/chat',
    ]);
    expect(eve.messages).to.deep.equal([]);
  }));

  it('carries the moves of a game', async () => both(async (form) => {
    const { connect } = await serve(form, snippet('4-04-namespaces'), around, listen);
    const [ann, bob] = [await connect(), await connect()];
    await enter(ann, '/game');
    const { connectionId } = (await enter(bob, '/game')).content;
    const say = (client: Client, type: string, content: unknown) => client.send({ type, namespace: '/game', content });

    await say(ann, 'join game', 'g1');
    await ann.request({ type: 'ping' });
    await say(bob, 'join game', 'g1');
    expect(await told(ann, 'player joined')).to.deep.equal({ playerId: connectionId, gameId: 'g1' });
    await say(ann, 'game action', { gameId: 'g1', move: 'e4' });
    expect(await told(ann, 'game update')).to.deep.equal({ moved: 'e4' });
    expect(await told(bob, 'game update')).to.deep.equal({ moved: 'e4' });
    await bob.close();
    expect(await told(ann, 'player disconnected')).to.equal(connectionId);
  }));

  it('counts, announces and kicks for an administrator', async () => both(async (form) => {
    const { connect } = await serve(form, snippet('4-04-namespaces'), around, listen);
    const [root, bob] = [await connect(), await connect()];
    await enter(root, '/admin', { token: tokenOf('Root', { role: 'admin' }) });
    await enter(bob, '/chat', { token: tokenOf('Bob') });
    const { connectionId } = (await enter(bob, '/game')).content;
    const say = (type: string, content?: unknown) => root.send({
      type, namespace: '/admin', ...(content === undefined ? {} : { content }),
    });

    await say('get stats');
    const { rooms, ...counts } = await told(root, 'stats');
    expect(counts).to.deep.equal({ totalConnections: 2, chatConnections: 1, gameConnections: 1, adminConnections: 1 });
    expect(rooms).to.include(connectionId);
    await say('broadcast message', { message: 'lunch' });
    expect(await told(bob, 'system message')).to.include({ type: 'announcement', content: 'lunch', from: 'system' });
    await say('kick user', connectionId);
    expect(await told(bob, 'kicked')).to.deep.equal({ reason: '管理员踢出' });
    expect((await bob.closed).code).to.equal(4010);
  }));
});
