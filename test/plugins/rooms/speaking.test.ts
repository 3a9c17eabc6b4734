import { expect } from 'chai';
import { definePlugin, ModuleError, type Node, type Outgoing } from '../../../index.ts';
import { eventually } from '../../support/timing.ts';
import { code, received, serve } from './serving.ts';

describe('a message to a room', () => {
  it('reaches all members, the sender too, and no one else', async () => {
    const { members, guest } = await serve();
    const [alice, bob] = await members('lobby', 'alice', 'bob');
    const other = await guest('other');

    await bob.client.send({ type: 'room-message', roomId: 'lobby', content: 'hi' });
    const heard = await alice.client.next('room-message');

    expect(heard.content).to.deep.equal({ roomId: 'lobby', userId: 'bob', username: 'BOB', content: 'hi' });
    expect(heard).to.have.property('id').that.is.a('string');
    expect(heard).to.have.property('timestamp').that.is.a('string');
    expect(await bob.client.next('room-message')).to.deep.equal(heard);
    expect(await received(other, 'room-message')).to.deep.equal([]);
  });

  it('is acknowledged on request, and does not come back without echo', async () => {
    const { members } = await serve({ echo: false });
    const [alice, bob] = await members('lobby', 'alice', 'bob');

    const reply = await bob.ask('room-message', 'hi', { roomId: 'lobby', ack: true });

    expect(reply.type).to.equal('ack');
    expect((await alice.client.next('room-message')).content).to.include({ content: 'hi' });
    expect(await received(bob, 'room-message')).to.deep.equal([]);
  });

  it('is the content beside the room id, or the content or message beside an id in the payload', async () => {
    const { members } = await serve();
    const [alice] = await members('lobby', 'alice');
    const ways: [content: unknown, beside: Record<string, unknown>, said: unknown][] = [
      ['hi', { roomId: 'lobby' }, 'hi'],
      [{ roomId: 'lobby', content: 'hi' }, {}, 'hi'],
      [undefined, { data: { roomId: 'lobby', content: 'hi' } }, 'hi'],
      [undefined, { roomId: 'lobby', message: 'hi' }, 'hi'],
      [{ text: 'hi' }, { room: 'lobby' }, { text: 'hi' }],
      [{ text: 'hi' }, { roomId: 'lobby' }, { text: 'hi' }],
      [{ roomId: 'lobby', content: { type: 'image', url: 'x' } }, {}, { type: 'image', url: 'x' }],
      [['a', 1], { roomId: 'lobby' }, ['a', 1]],
      [0, { roomId: 'lobby' }, 0],
    ];

    for (const [content, beside, said] of ways) {
      await alice.ask('room-message', content, { ...beside, ack: true });
      expect((await alice.client.next('room-message')).content.content).to.deep.equal(said);
    }
  });

  it('is sent to the room that is named beside it, whatever fields the content has', async () => {
    const { members } = await serve();
    const [alice, bob] = await members('lobby', 'alice', 'bob');
    const [teammate] = await members('team', 'teammate');
    await alice.ask('join-room', 'team');

    await alice.ask('room-message', { text: 'come to', roomId: 'team' }, { roomId: 'lobby', ack: true });
    await alice.ask('room-message', { content: 'come to', room: 'team' }, { roomId: 'lobby', ack: true });
    const ambiguous = await alice.refused(
      'room-message',
      { text: 'come to', roomId: 'team' },
      { room: 'lobby', ack: true },
    );

    expect((await received(bob, 'room-message')).map(({ content }) => content.content as object)).to.deep.equal([
      { text: 'come to', roomId: 'team' }, { content: 'come to', room: 'team' },
    ]);
    expect(ambiguous).to.equal('VALIDATION_FAILED');
    expect(await received(teammate, 'room-message')).to.deep.equal([]);
  });

  it('is refused when it has the wrong shape', async () => {
    const { members } = await serve();
    const [alice] = await members('lobby', 'alice');
    const wrong: [unknown, Record<string, unknown>?][] = [
      [undefined],
      [null],
      [7],
      [[]],
      [{}],
      [{ roomId: 'lobby' }],
      [{ content: 'hi' }],
      [{ roomId: 7, content: 'hi' }],
      [{ roomId: '', content: 'hi' }],
      ['', { roomId: 'lobby' }],
      [{ roomId: 'lobby', content: null }],
      ['hi', { roomId: {} }],
      ['hi', { roomId: 'x'.repeat(10_000) }],
    ];

    for (const [content, beside] of wrong) {
      expect(await alice.refused('room-message', content, beside), JSON.stringify(content)).to.equal(
        'VALIDATION_FAILED',
      );
    }
    expect(await received(alice, 'room-message')).to.deep.equal([]);
  });

  it('is refused from users who are not in the room, and from the server for them', async () => {
    const { api, members, guest } = await serve();
    await members('lobby', 'alice');
    const bob = await guest('bob');

    expect(await bob.refused('room-message', 'hi', { roomId: 'lobby' })).to.equal('NOT_IN_ROOM');
    expect(await bob.refused('room-message', 'hi', { roomId: 'nowhere' })).to.equal('ROOM_UNKNOWN');
    expect(await code(api.send('lobby', 'hi', { userId: 'bob' }))).to.equal('NOT_IN_ROOM');
    expect(await code(api.send('lobby', 'hi', { connectionId: 'unknown' }))).to.equal('CONNECTION_UNKNOWN');
  });

  it('is sent by the server, for a member or for itself', async () => {
    const { api, members, manager } = await serve();
    const [alice] = await members('lobby', 'alice');
    const told: unknown[] = [];
    manager.on('room:message', ({ room, userId, message }) => { told.push([room.id, userId, message.id]); });

    const asAlice = await api.send('lobby', 'hi', { userId: 'alice', type: 'chat-message' });
    const asItself = await api.send('lobby', 'closing soon');

    expect(await alice.client.next('chat-message')).to.deep.equal(asAlice);
    expect((await alice.client.next('room-message')).content).to.deep.equal({
      roomId: 'lobby',
      content: 'closing soon',
    });
    expect(told).to.deep.equal([['lobby', 'alice', asAlice.id], ['lobby', undefined, asItself.id]]);
    expect(asAlice.content).to.deep.equal({ roomId: 'lobby', userId: 'alice', username: 'ALICE', content: 'hi' });
    expect(manager.getMetrics().plugins['rooms']).to.include({ room_messages_total: 1 });
  });

  it('is stored when the room has a history', async () => {
    const { api, members } = await serve();
    await api.create('lobby', { message: { historySize: 2 } });
    const [alice] = await members('lobby', 'alice');

    for (const text of ['one', 'two', 'three']) await alice.ask('room-message', text, { roomId: 'lobby', ack: true });

    expect(
      api
        .get('lobby')!
        .messages.map((message) => (message as Outgoing & { content: { content: string } }).content.content),
    ).to.deep.equal(['two', 'three']);
  });

  describe('passes', () => {
    it('the permission', async () => {
      const { api, members } = await serve();
      await api.create('stage', { permissions: { defaultRole: 'guest' } });
      const [alice] = await members('stage', 'alice');

      const refused = await alice.ask('room-message', 'hi', { roomId: 'stage' });
      await api.setRole('stage', 'alice', 'member');
      const passed = await alice.ask('room-message', 'hi', { roomId: 'stage', ack: true });

      expect(refused.content).to.include({ code: 'FORBIDDEN' });
      expect(passed.type).to.equal('ack');
    });

    it('canSend, which can run the default check', async () => {
      const { members } = await serve({
        canSend({ userId, content }, standard) {
          if (content === 'worse') throw new ModuleError('NOT_TODAY');
          return userId !== 'bob' && standard();
        },
      });
      const [alice, bob] = await members('lobby', 'alice', 'bob');

      expect(await bob.refused('room-message', 'hi', { roomId: 'lobby' })).to.equal('FORBIDDEN');
      expect(await alice.refused('room-message', 'worse', { roomId: 'lobby' })).to.equal('NOT_TODAY');
      expect((await alice.ask('room-message', 'hi', { roomId: 'lobby', ack: true })).type).to.equal('ack');
    });

    it('the length, of strings and of other contents', async () => {
      const { api, members } = await serve();
      await api.create('lobby', { message: { maxLength: 10 } });
      const [alice] = await members('lobby', 'alice');

      const long = await alice.ask('room-message', 'x'.repeat(11), { roomId: 'lobby' });

      expect(long.content).to.include({ code: 'MESSAGE_TOO_LONG', length: 11, limit: 10, of: 'message' });
      expect(await alice.refused('room-message', { text: 'xxxxx' }, { roomId: 'lobby' })).to.equal('MESSAGE_TOO_LONG');
      expect((await alice.ask('room-message', 'x'.repeat(10), { roomId: 'lobby', ack: true })).type).to.equal('ack');
    });

    it('the length in characters as people count them, as reasons do', async () => {
      const { api, members } = await serve();
      await api.create('short', { message: { maxLength: 20 } });
      const [alice] = await members('short', 'alice');
      await members('lobby', 'alice', 'bob');
      await api.setRole('lobby', 'alice', 'owner');
      const family = '👨‍👩‍👧‍👦';
      const say = async (text: string) => {
        const reply = await alice.ask('room-message', text, { roomId: 'short', ack: true });
        return (reply.content?.code ?? reply.type) as string;
      };
      const warn = (reason: string) => alice.refused('room-warn', { roomId: 'lobby', userId: 'bob', reason });

      expect(await say(family.repeat(2))).to.equal('ack');
      expect(await say(family.repeat(21))).to.equal('MESSAGE_TOO_LONG');
      expect(await say(`e${'\u0301'.repeat(320)}`)).to.equal('MESSAGE_TOO_LONG');
      expect(await warn(family.repeat(500))).to.equal(undefined);
      expect(await warn(family.repeat(501))).to.equal('VALIDATION_FAILED');
    });

    it('the kinds of content that the room accepts', async () => {
      const { api, members } = await serve();
      await api.create('plain', { message: { allowEmojis: false, allowFiles: false, allowImages: false } });
      const [alice] = await members('plain', 'alice');
      const refused = async (content: unknown) =>
        (await alice.ask('room-message', content, { roomId: 'plain', ack: true })).content?.kind as unknown;

      expect(await refused('tea 🍵')).to.equal('emojis');
      expect(await refused('❤️')).to.equal('emojis');
      expect(await refused({ type: 'file', url: 'x' })).to.equal('files');
      expect(await refused({ type: 'image', url: 'x' })).to.equal('images');
      expect(await refused('5 * 3 = 15 © #1')).to.equal(undefined);
    });

    it('the rate of the room, which leaving does not renew', async () => {
      const { api, members } = await serve();
      await api.create('lobby', { message: { rateLimitPerMinute: 2 } });
      const [alice, bob] = await members('lobby', 'alice', 'bob');
      const say = (text: string) => alice.ask('room-message', text, { roomId: 'lobby', ack: true });
      await say('one');
      await say('two');

      const third = await say('three');
      await alice.ask('leave-room', 'lobby');
      await alice.ask('join-room', 'lobby');
      const fourth = await say('four');
      const bobs = await bob.ask('room-message', 'hi', { roomId: 'lobby', ack: true });

      expect(third.content).to.include({ code: 'RATE_LIMITED', scope: 'room' });
      expect(third.content.retryAfter).to.be.within(29_000, 30_000);
      expect(fourth.content).to.include({ code: 'RATE_LIMITED' });
      expect(bobs.type).to.equal('ack');
    });

    it('filters, in order, which replace or refuse it', async () => {
      const { api, members } = await serve();
      const [alice] = await members('lobby', 'alice');
      const seen: unknown[] = [];
      const undo = api.filter(({ content, userId, room, connection }) => {
        seen.push([room.id, userId, connection?.id === alice.id]);
        return `${content as string}!`;
      });
      api.filter(async ({ content }) => { if (content === 'bad!') throw new ModuleError('BAD_WORD'); });
      api.filter(({ content }) => (content as string).toUpperCase());

      const refused = await alice.refused('room-message', 'bad', { roomId: 'lobby' });
      await alice.ask('room-message', 'hi', { roomId: 'lobby', ack: true });
      undo();
      await alice.ask('room-message', 'bad', { roomId: 'lobby', ack: true });

      expect(refused).to.equal('BAD_WORD');
      expect((await received(alice, 'room-message')).map(({ content }) => content.content as string)).to.deep.equal([
        'HI!',
        'BAD',
      ]);
      expect(seen).to.deep.equal([['lobby', 'alice', true], ['lobby', 'alice', true]]);
    });

    it('no slow filter when the sender has left in the meantime, or the room is deleted', async () => {
      const { api, members } = await serve();
      const [alice, bob, watcher] = await members('lobby', 'alice', 'bob', 'watcher');
      const waiting: (() => void)[] = [];
      api.filter(() => new Promise<void>((resolve) => waiting.push(resolve)));
      const answers = [
        alice.ask('room-message', 'hi', { roomId: 'lobby' }),
        bob.ask('room-message', 'hi', { roomId: 'lobby' }),
      ];
      await eventually('both wait', () => waiting.length === 2);

      await api.kick('lobby', 'alice');
      waiting[0]!();
      const kicked = await answers[0]!;
      await api.delete('lobby');
      await api.create('lobby');
      waiting[1]!();

      expect(kicked.content).to.include({ code: 'NOT_IN_ROOM' });
      expect((await answers[1]!).content).to.include({ code: 'ROOM_UNKNOWN' });
      expect(await received(watcher, 'room-message')).to.deep.equal([]);
    });

    it('no slow filter when the sender may no longer send, and is charged once', async () => {
      const { api, members } = await serve();
      await api.create('lobby', { message: { rateLimitPerMinute: 3 } });
      const [alice, watcher] = await members('lobby', 'alice', 'watcher');
      const waiting: (() => void)[] = [];
      api.filter(() => new Promise<void>((resolve) => waiting.push(resolve)));
      const held = async (meanwhile: () => Promise<unknown>) => {
        const answer = alice.ask('room-message', 'hi', { roomId: 'lobby', ack: true });
        await eventually('it waits', () => waiting.length === 1);
        await meanwhile();
        waiting.pop()!();
        return answer;
      };

      const muted = await held(() => api.mute('lobby', 'alice', 60_000));
      await api.unmute('lobby', 'alice');
      const demoted = await held(() => api.setRole('lobby', 'alice', 'guest'));
      await api.setRole('lobby', 'alice', 'member');
      const free = await held(async () => undefined);

      expect(muted.content).to.include({ code: 'MUTED', room: 'lobby' });
      expect(demoted.content).to.include({ code: 'FORBIDDEN' });
      expect(free.type).to.equal('ack');
      expect(await received(watcher, 'room-message')).to.have.length(1);
    });

    it('a slow filter as the user that an anonymous sender has become', async () => {
      let node!: Node;
      const { api, members, guest } = await serve(
        {},
        {
          use: [
            definePlugin({
              name: 'probe',
              setup(context) {
                node = context.node;
              },
            }),
          ],
        },
      );
      const [watcher] = await members('lobby', 'watcher');
      const anonymous = await guest();
      await api.join(anonymous.id, 'lobby');
      let goOn: (() => void) | undefined;
      api.filter(() => new Promise<void>((resolve) => (goOn = resolve)));

      void anonymous.client.send({ type: 'room-message', roomId: 'lobby', content: 'hi' });
      await eventually('it waits', () => goOn !== undefined);
      node.identify(anonymous.connection, { id: 'alice', username: 'ALICE' });
      goOn!();

      expect((await watcher.client.next('room-message')).content).to.deep.equal({
        roomId: 'lobby',
        userId: 'alice',
        username: 'ALICE',
        content: 'hi',
      });
    });
  });
});

describe('deliverWith', () => {
  it('replaces publishing, one plugin at a time, until it is undone', async () => {
    const { api, members, manager } = await serve();
    const [alice] = await members('lobby', 'alice');
    const taken: unknown[] = [];

    const undo = api.deliverWith((room, message, options) => taken.push([room.id, message.type, options]));
    const returned = api.publish('lobby', { type: 'word' }, { urgent: true });
    await alice.ask('room-message', 'hi', { roomId: 'lobby', ack: true });
    expect(() => api.deliverWith(() => 0)).to.throw(ModuleError).with.property('code', 'DUPLICATE');
    undo();
    const direct = api.publish('lobby', { type: 'word' });

    expect(returned).to.equal(1);
    expect(direct).to.equal(1);
    expect(taken).to.deep.equal([['lobby', 'word', { urgent: true }], ['lobby', 'room-message', {}]]);
    expect(await received(alice, 'word')).to.have.length(1);
    expect(() => api.publish('nowhere', { type: 'word' })).to.throw(ModuleError).with.property('code', 'ROOM_UNKNOWN');
    expect(manager.getMetrics().plugins['rooms']).to.include({ rooms: 1, room_memberships: 1 });
  });
});
