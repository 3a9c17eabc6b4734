import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { both, snippet, type Form } from '../../support/snippets.ts';
import { listen, serve, sockets, told, type Client } from './around.ts';

describe('rooms for Socket.IO, by require and by import', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  async function people(form: Form): Promise<{ ann: Client; bob: Client; output: () => string }> {
    const { connect, output } = await serve(form, snippet('4-03-rooms'), sockets, listen);
    const [ann, bob] = [await connect(), await connect()];
    void ann.send({ type: 'set username', content: 'Ann' });
    void bob.send({ type: 'set username', content: 'Bob' });
    return { ann, bob, output };
  }

  /** Sends an event, and gives the content of the event that answers it. */
  const say = async (client: Client, type: string, content: unknown, answer: string): Promise<any> => {
    void client.send({ type, ...(content === undefined ? {} : { content }) });
    return told(client, answer);
  };

  it('tells the members of joining, messages and leaving', async () => both(async (form) => {
    const { ann, bob } = await people(form);

    expect(await say(ann, 'create room', { roomId: 'tea', roomName: 'The tea room' }, 'room created')).to.deep.equal({
      success: true, roomId: 'tea',
    });
    const first = await say(ann, 'join room', { roomId: 'tea' }, 'room joined');
    const second = await say(bob, 'join room', { roomId: 'tea' }, 'room joined');
    expect(first).to.deep.include({ roomId: 'tea', roomName: 'The tea room', userCount: 1 });
    expect(second.users).to.deep.equal([...first.users, second.users[1]]);
    expect(await told(ann, 'user joined')).to.deep.equal({
      socketId: second.users[1], username: 'Bob', roomId: 'tea', userCount: 2,
    });
    void bob.send({ type: 'room message', content: { roomId: 'tea', message: 'with milk?' } });
    expect(await told(ann, 'room message')).to.include({
      from: second.users[1], username: 'Bob', message: 'with milk?', roomId: 'tea',
    });
    expect(await say(ann, 'get room info', 'tea', 'room info')).to.deep.include({
      id: 'tea', userCount: 2, maxUsers: 100, users: second.users,
    });
    void bob.send({ type: 'leave room', content: 'tea' });
    expect(await told(ann, 'user left')).to.include({ username: 'Bob', userCount: 1 });

    // A message does not come back to its sender, and a user who left gets nothing more.
    void ann.send({ type: 'room message', content: { roomId: 'tea', message: 'gone?' } });
    await say(ann, 'get rooms', undefined, 'room list');
    await say(bob, 'get rooms', undefined, 'room list');
    expect([...ann.messages, ...bob.messages].filter(({ type }) => type === 'room message')).to.have.length(1);
  }));

  it('refuses with a reason, and deletes a room when its last member disconnects', async () => both(async (form) => {
    const { ann, bob } = await people(form);
    const refused = async (content: object) => (await say(bob, 'join room', content, 'room error')).message as string;
    await say(ann, 'create room', { roomId: 'safe', isPrivate: true, password: 'sesame', maxUsers: 1 }, 'room created');
    await say(ann, 'create room', { roomId: 'tea' }, 'room created');

    expect(await say(bob, 'create room', { roomId: 'safe' }, 'room created')).to.deep.equal({
      success: false, roomId: null,
    });
    expect(await refused({ roomId: 'nowhere' })).to.equal('房间不存在');
    expect(await refused({ roomId: 'safe', password: 'guess' })).to.equal('房间密码错误');
    await say(ann, 'join room', { roomId: 'safe', password: 'sesame' }, 'room joined');
    expect(await refused({ roomId: 'safe', password: 'sesame' })).to.equal('房间已满');
    const listed = await say(bob, 'get rooms', undefined, 'room list') as { id: string }[];
    expect(listed.map(({ id }) => id)).to.deep.equal(['tea']);
    await say(ann, 'join room', { roomId: 'tea' }, 'room joined');
    await say(bob, 'join room', { roomId: 'tea' }, 'room joined');
    await ann.close();
    expect(await told(bob, 'user left')).to.include({ username: 'Ann', roomId: 'tea', userCount: 1 });
    expect(await say(bob, 'get room info', 'safe', 'room info')).to.equal(null);
  }));
});
