import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { both, snippet, type Form, type Serving } from '../../support/snippets.ts';
import { ask, monitor, roomManager, serve, tokenOf, told, type Client } from './around.ts';

// The block does not run unchanged yet: a stand-in gives it the function that `socket.io` exports.
describe('block 4-11, a complete chat server for Socket.IO, by require and by import', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  // Its last five seconds are fifty milliseconds here.
  const chat = (form: Form) => serve(form, snippet('4-11-complete'), `
    const setTimeout = (work, milliseconds) => globalThis.setTimeout(work, milliseconds / 100);
${roomManager}${monitor}${snippet('4-07-validation')}`);

  /** A client that has been welcomed. */
  async function come({ connect }: Serving, username: string): Promise<Client> {
    const client = await connect({ search: `?token=${tokenOf(username)}` });
    expect(await told(client, 'welcome')).to.include({ message: `欢迎 ${username}！`, serverId: 'server-1' });
    return client;
  }

  it('requires a token, and limits the rate of an address', async () => both(async (form) => {
    const server = await chat(form);
    const client = await server.connect();

    expect(await told(client, 'error')).to.include({ message: '认证令牌缺失' });
    const again = (token: string) => client.request({ type: 'connect', content: { token } });
    expect((await again('forged')).content.message).to.equal('认证失败');
    // The rate counts every attempt with a token.
    for (let count = 0; count < 50; count++) {
      const ann = await server.connect({ search: `?token=${tokenOf('Ann')}` });
      await ann.next('welcome');
    }
    expect((await again(tokenOf('Ann'))).content.message).to.equal('请求频率过高');
  }));

  it('tells who is online, and carries messages to all, to a room, and to one user', async () => both(async (form) => {
    const server = await chat(form);
    const ann = await come(server, 'Ann');
    const bob = await come(server, 'Bob');
    expect(await told(ann, 'user online')).to.deep.equal({ userId: 'bob', username: 'Bob' });

    const sent = await ask(ann, 'chat message', { content: 'hello <i>all</i>' });
    const heard = await told(bob, 'chat message');
    const nothing = await ask(ann, 'chat message', { content: '' });
    const whispered = await ask(ann, 'private message', { to: 'bob', content: 'psst' });
    const toNobody = await ask(ann, 'private message', { to: 'eve', content: 'psst' });
    const users = await ask(ann, 'get online users');

    expect(sent.success).to.be.true;
    expect(heard).to.include({ id: sent.messageId, from: 'ann', username: 'Ann', content: 'hello all', type: 'text' });
    expect(nothing).to.deep.equal({ success: false, error: '数据验证失败: "content" is not allowed to be empty' });
    expect(whispered.success).to.be.true;
    expect(await told(bob, 'private message')).to.include({
      id: whispered.messageId, from: 'ann', to: 'bob', content: 'psst',
    });
    expect(toNobody).to.deep.equal({ success: false, error: '用户不在线' });
    expect(users.users.map(({ id, username }: Record<string, string>) => [id, username])).to.deep.equal([
      ['ann', 'Ann'], ['bob', 'Bob'],
    ]);
    await bob.close();
    expect(await told(ann, 'user offline')).to.deep.equal({ userId: 'bob', username: 'Bob' });
  }));

  it('keeps rooms, and answers each event of them', async () => both(async (form) => {
    const server = await chat(form);
    const ann = await come(server, 'Ann');
    const bob = await come(server, 'Bob');
    const tea = { roomId: 'tea', roomName: 'The tea room' };

    expect(await ask(ann, 'create room', tea)).to.deep.equal({ success: true, roomId: 'tea' });
    expect(await ask(ann, 'create room', tea)).to.deep.equal({ success: false, roomId: null });
    expect(await ask(ann, 'create room', { roomId: 'tea' })).to.deep.equal({
      success: false, error: '数据验证失败: "roomName" is required',
    });
    expect(await ask(ann, 'join room', { roomId: 'tea' })).to.deep.equal({ success: true, roomId: 'tea' });
    expect(await ask(bob, 'join room', { roomId: 'nowhere' })).to.deep.equal({ success: false, roomId: 'nowhere' });
    expect(await ask(bob, 'join room', { roomId: 'tea' })).to.deep.equal({ success: true, roomId: 'tea' });
    expect(await told(ann, 'user joined')).to.include({ username: 'Bob', userCount: 2 });
    const { rooms } = await ask(bob, 'get rooms');
    expect(rooms).to.have.length(1);
    expect(rooms[0]).to.include({ id: 'tea', name: 'The tea room', userCount: 2 });
    await ask(bob, 'chat message', { content: 'with milk?', roomId: 'tea' });
    expect(await told(ann, 'chat message')).to.include({ from: 'bob', content: 'with milk?', roomId: 'tea' });
    expect(await ask(bob, 'leave room', 'tea')).to.deep.equal({ success: true, roomId: 'tea' });
    expect(await ask(bob, 'leave room', 'tea')).to.deep.equal({ success: false, roomId: 'tea' });
    await ann.close();
    await server.until(/房间 tea 已删除/);
  }));

  it('serves its metrics, and announces the shutdown', async () => both(async (form) => {
    const server = await chat(form);
    const ann = await come(server, 'Ann');
    await ask(ann, 'get rooms');

    const [health, metrics, stats] = await Promise.all(
      ['/health', '/metrics', '/stats'].map((path) => fetch(server.http + path)),
    );
    expect(health!.headers.get('x-content-type-options')).to.equal('nosniff');
    expect(await health!.json()).to.have.nested.property('metrics.connections.active', 1);
    expect(await metrics!.text()).to.include('socketio_messages_received_total 1\n');
    expect(await stats!.json()).to.have.nested.property('connections.total', 1);

    // The server waits until its clients have closed their connections.
    const ended = server.stop('SIGTERM');
    expect(await told(ann, 'server shutdown')).to.deep.equal({ message: '服务器即将维护，请稍后重连' });
    await ann.close();
    const { code, stdout } = await ended;
    expect(stdout).to.match(/收到 SIGTERM，正在关闭服务器\.\.\.\n[^]*服务器已关闭\n$/);
    expect(code).to.equal(0);
  }));
});
