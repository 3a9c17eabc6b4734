import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { both, snippet, type Form } from '../../support/snippets.ts';
import { aroundRooms, people, serve, type Client } from './around.ts';

describe('the room manager of document 2, by require and by import', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  /** A millisecond of ours is ten seconds of the snippet's: its rooms end and its mutes are over while we wait. */
  const roomsOf = (form: Form) => serve(form, snippet('2-04-rooms'), `${aroundRooms}
    const setTimeout = (work, milliseconds) => globalThis.setTimeout(async () => {
      await work();
      console.log('[after %d]', milliseconds);
    }, milliseconds / 10_000);`, `
    const handlers = {
      'create-room': async ({ name, ...config }, userId) => {
        const { id } = await roomManager.createRoom(name, userId, { ...roomConfig, ...config });
        return { type: 'room-created', content: { roomId: id } };
      },
      'join-room': ({ roomId, password }, userId) => roomManager.joinRoom(roomId, userId, password),
      'leave-room': ({ roomId }, userId) => roomManager.leaveRoom(roomId, userId),
      'room-message': ({ roomId, content }, userId) => roomManager.sendMessageToRoom(roomId, userId, content),
      'ban': ({ roomId, userId }) => { roomManager.getRoom(roomId).bannedUsers.add(userId); },
      'history': ({ roomId }) => roomManager.getRoom(roomId).messages,
    };
    for (const [type, handler] of Object.entries(handlers)) {
      manager.registerHandler(type, ({ content }, { user }) => handler(content, user.id));
    }`);
  /** The type of the answer to a request, or the reason of its refusal. */
  const ask = async (client: Client, type: string, content: object): Promise<string> => {
    const reply = await client.request({ type, content, ack: true });
    return reply.type === 'error' ? reply.content.message : reply.type;
  };
  const password = 'room-password';

  it('creates the game room, and rooms for users with the permission', async () => both(async (form) => {
    const server = await roomsOf(form);
    const [ada, bob] = await people(server, 'ada', 'bob');

    await server.until(/\[audit room_created\] \{"roomId":"game-lobby",[^]+Game room created: game-lobby/);
    const [, created = '{}'] = await server.until(/\[audit room_created\] (.+)/);
    expect(JSON.parse(created)).to.deep.include({ roomName: 'game-lobby', ownerId: 'user123' });
    expect(JSON.parse(created)).to.have.nested.property('config.maxUsers', 50);
    expect(await ask(ada, 'create-room', { name: 'salon' })).to.equal('room-created');
    expect(await ask(ada, 'create-room', { name: 'salon' })).to.equal('Room already exists');
    expect(await ask(bob, 'create-room', { name: 'cellar' })).to.equal('Permission denied');
  }));

  it('admits users with the password, and welcomes them once', async () => both(async (form) => {
    const server = await roomsOf(form);
    const [ada, bob, eve] = await people(server, 'ada', 'bob', 'eve');
    await ask(ada, 'create-room', { name: 'salon', maxUsers: 2 });
    await ask(ada, 'ban', { roomId: 'salon', userId: 'eve' });

    expect(await ask(ada, 'join-room', { roomId: 'nowhere' })).to.equal('Room not found');
    expect(await ask(ada, 'join-room', { roomId: 'salon', password: 'guess' })).to.equal('Invalid password');
    expect(await ask(ada, 'join-room', { roomId: 'salon', password })).to.equal('ack');
    expect(await ask(eve, 'join-room', { roomId: 'salon', password })).to.equal('You are banned from this room');
    expect(await ask(bob, 'join-room', { roomId: 'salon', password })).to.equal('ack');
    expect(await ask(eve, 'join-room', { roomId: 'salon', password })).to.equal('Room is full');
    expect(await ask(eve, 'join-room', { roomId: 'game-lobby' })).to.equal('ack');

    expect((await bob.next('system_message'))['data']).to.deep.equal({
      content: 'Welcome to the room!', roomId: 'salon',
    });
    expect((await eve.next('system_message'))['data']).to.deep.equal({
      content: 'Welcome to the game lobby! Type /help for commands.', roomId: 'game-lobby',
    });
    await server.until(/\[audit user_joined_room\] \{"roomId":"salon","userId":"bob"/);
    // The welcome and the acknowledgement alone: the manager's primitives are silent.
    expect(bob.messages.map(({ type }) => type)).to.deep.equal(['system_message', 'ack']);
  }));

  it('sends messages within length, role and rate to the room, and keeps them', async () => both(async (form) => {
    const server = await roomsOf(form);
    const [ada, bob] = await people(server, 'ada', 'bob');
    await ask(ada, 'create-room', { name: 'salon', message: { rateLimitPerMinute: 2 } });
    await ask(ada, 'create-room', { name: 'hall', permissions: { defaultRole: 'guest' } });
    for (const client of [ada, bob]) {
      for (const roomId of ['salon', 'hall']) {
        await ask(
          client, 'join-room', { roomId, password },
        );
      }
    }
    const say = (client: Client, content: string, roomId = 'salon') => ask(client, 'room-message', { roomId, content });

    expect(await say(bob, 'hello')).to.equal('ack');
    expect(await say(bob, 'x'.repeat(2_001))).to.equal('Message too long');
    expect(await say(bob, 'hello', 'nowhere')).to.equal('Room not found');
    expect(await say(bob, 'hello', 'hall')).to.equal('Permission denied');
    expect(await say(ada, 'welcome', 'hall')).to.equal('ack');
    expect(await say(bob, 'again')).to.equal('ack');
    expect(await say(bob, 'and again')).to.equal('Rate limit exceeded');

    const { timestamp, ...said } = (await ada.next('chat_message'))['data'];
    expect(said).to.deep.equal({ id: 'message-1', content: 'hello', senderId: 'bob', roomId: 'salon' });
    expect((await bob.next('chat_message'))['data']).to.deep.equal({ ...said, timestamp });
    const history = await ada.request({ type: 'history', content: { roomId: 'salon' } });
    expect(history.content.map(({ content }: { content: string }) => content)).to.deep.equal(['hello', 'again']);
  }));

  it('warns of banned words, mutes after the third, and tells when the mute ends', async () => both(async (form) => {
    const server = await roomsOf(form);
    const [ada] = await people(server, 'ada');
    await ask(ada, 'create-room', { name: 'salon' });
    await ask(ada, 'join-room', { roomId: 'salon', password });

    for (let count = 0; count < 3; count++) {
      const answer = await ask(ada, 'room-message', { roomId: 'salon', content: 'SPAM!' });
      expect(answer).to.equal('Message contains banned content');
    }

    for (const warningCount of [1, 2, 3]) {
      expect((await ada.next('warning'))['data']).to.deep.equal({
        reason: 'Used banned word', warningCount, maxWarnings: 3,
      });
    }
    const { until, ...muted } = (await ada.next('muted'))['data'];
    expect(muted).to.deep.equal({ roomId: 'salon', duration: 3_600_000, reason: 'Excessive warnings' });
    expect(new Date(until).getTime()).to.be.closeTo(Date.now() + 3_600_000, 60_000);
    expect((await ada.next('unmuted'))['data']).to.deep.equal({ roomId: 'salon' });
  }));

  it('deletes a room that stays empty, unless it is persistent', async () => both(async (form) => {
    const server = await roomsOf(form);
    const [ada, bob] = await people(server, 'ada', 'bob');
    for (const name of ['left', 'gone']) await ask(ada, 'create-room', { name });
    await ask(ada, 'join-room', { roomId: 'left', password });
    await ask(ada, 'join-room', { roomId: 'game-lobby' });
    await ask(bob, 'join-room', { roomId: 'gone', password });

    await ask(ada, 'leave-room', { roomId: 'game-lobby' });
    await ask(ada, 'leave-room', { roomId: 'left' });
    await bob.close();

    await server.until(/(\[after 300000\]\n[^]*){2}/);
    expect(await ask(ada, 'join-room', { roomId: 'left', password })).to.equal('Room not found');
    expect(await ask(ada, 'join-room', { roomId: 'gone', password })).to.equal('Room not found');
    expect(await ask(ada, 'join-room', { roomId: 'game-lobby' })).to.equal('ack');
    expect(server.output().match(/\[after 300000\]/g)).to.have.length(2);
  }));
});
