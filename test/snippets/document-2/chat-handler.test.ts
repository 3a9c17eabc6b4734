import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { both } from '../../support/snippets.ts';
import { chat, people, type Client } from './around.ts';

// The second part of the block, a server with one configuration, does not run yet.
describe('the first part of block 2-02, a chat handler, by require and by import', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('tells the others in a room of joining, messages, typing and leaving', async () => both(async (form) => {
    const server = await chat(form);
    const [ada, bob] = await people(server, 'ada', 'bob');
    const say = (client: Client, type: string, data: object) => client.request({ type, data, ack: true });

    await say(ada, 'join_room', { roomId: 'lobby' });
    expect((await ada.next('room_joined'))['data']).to.deep.equal({
      roomId: 'lobby', roomInfo: { id: 'lobby', name: 'The room lobby' },
    });
    await say(bob, 'join_room', { roomId: 'lobby' });
    expect((await ada.next('user_joined'))['data']).to.deep.equal({ userId: 'bob', username: 'Bob', roomId: 'lobby' });
    await say(bob, 'typing', { roomId: 'lobby', isTyping: true });
    expect((await ada.next('user_typing'))['data']).to.deep.equal({
      userId: 'bob', username: 'Bob', roomId: 'lobby', isTyping: true,
    });
    await say(bob, 'chat_message', { roomId: 'lobby', content: 'hello' });
    const { timestamp, ...said } = (await ada.next('chat_message'))['data'];
    expect(said).to.deep.equal({ id: 'message-1', userId: 'bob', username: 'Bob', content: 'hello', roomId: 'lobby' });
    await server.until(/\[saved\] \{"id":"message-1","userId":"bob".+"content":"hello"/);
    expect(new Date(timestamp).getTime()).to.be.closeTo(Date.now(), 60_000);
    await say(bob, 'leave_room', { roomId: 'lobby' });
    expect((await ada.next('user_left'))['data']).to.deep.equal({ userId: 'bob', username: 'Bob', roomId: 'lobby' });

    await say(ada, 'chat_message', { roomId: 'lobby', content: 'still there?' });
    await say(bob, 'dance', {});
    await server.until(/Unknown message type: dance/);
    // A message does not come back to its sender, and a user who left gets nothing more.
    expect(ada.messages.map(({ type }) => type)).to.deep.equal([
      'room_joined', 'ack', 'user_joined', 'user_typing', 'chat_message', 'user_left', 'ack',
    ]);
    expect(bob.messages.filter(({ type }) => type !== 'ack').map(({ type }) => type)).to.deep.equal(['room_joined']);
  }));

  it('puts the reason of a refusal beside the type', async () => both(async (form) => {
    const server = await chat(form);
    const [bob] = await people(server, 'bob');
    const refused = async (type: string, data: object) => {
      await bob.request({ type, data, ack: true });
      return (await bob.next('error'))['message'] as string;
    };

    expect(await refused('chat_message', { roomId: 'lobby', content: 'hello' })).to.equal('You are not in this room');
    expect(await refused('join_room', { roomId: 'nowhere' })).to.equal('Room not found');
    expect(await refused('join_room', { roomId: 'secret' })).to.equal('Permission denied');
    expect(await refused('join_room', { roomId: 'broken' })).to.equal('Failed to join room');
  }));
});
