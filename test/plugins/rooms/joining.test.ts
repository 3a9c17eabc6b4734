import { expect } from 'chai';
import { definePlugin, type Connection, type Node } from '../../../index.ts';
import { eventually } from '../../support/timing.ts';
import { code, received, serve } from './serving.ts';

describe('joining a room', () => {
  it('answers with the room, and tells the other members', async () => {
    const { api, guest, members, events } = await serve();
    const [alice] = await members('lobby', 'alice');
    const bob = await guest('bob');

    const joined = await bob.ask('join-room', { roomId: 'lobby' });
    const told = await alice.client.next('user-joined');

    expect(joined).to.deep.include({ type: 'room-joined' });
    expect(joined.content).to.include({ roomId: 'lobby', memberCount: 2, maxUsers: 100, role: 'member' });
    expect(told.content).to.deep.equal({ roomId: 'lobby', userId: 'bob', username: 'BOB', memberCount: 2 });
    expect(await received(bob, 'user-joined')).to.deep.equal([]);
    expect(events).to.deep.equal(['created lobby', 'joined lobby alice', 'joined lobby bob']);
    expect(api.members('lobby')).to.deep.equal(['alice', 'bob']);
    expect([...bob.connection.rooms!]).to.deep.equal(['lobby']);
  });

  it('adds one member for several connections of a user', async () => {
    const { api, members, guest, events } = await serve();
    const [alice, phone] = await members('lobby', 'alice', 'bob');
    const laptop = await guest('bob');

    const again = await laptop.ask('join-room', { roomId: 'lobby' });
    await phone.ask('leave-room', { roomId: 'lobby' });

    expect(again.content).to.include({ memberCount: 2 });
    expect(await received(alice, 'user-joined')).to.have.length(1);
    expect(await received(alice, 'user-left')).to.deep.equal([]);
    expect(api.members('lobby')).to.deep.equal(['alice', 'bob']);
    expect([...api.ofUser('bob')]).to.deep.equal(['lobby']);

    await laptop.client.terminate();

    await eventually('bob left', () => api.members('lobby').length === 1);
    expect((await alice.client.next('user-left')).content).to.deep.equal({
      roomId: 'lobby',
      userId: 'bob',
      username: 'BOB',
      memberCount: 1,
    });
    expect(events.slice(1)).to.deep.equal(['joined lobby alice', 'joined lobby bob', 'left lobby bob']);
  });

  it('is refused when the connection is in the room already', async () => {
    const { members, events } = await serve();
    const [alice] = await members('lobby', 'alice');

    const refused = await alice.refused('join-room', { roomId: 'lobby' });

    expect(refused).to.equal('ALREADY_IN_ROOM');
    expect(events).to.deep.equal(['created lobby', 'joined lobby alice']);
  });

  it('is refused for a missing room, as leaving is for one where the connection is not', async () => {
    const { api, guest } = await serve();
    await api.create('lobby');
    const alice = await guest('alice');

    expect(await alice.refused('join-room', { roomId: 'nowhere' })).to.equal('ROOM_UNKNOWN');
    expect(await alice.refused('leave-room', { roomId: 'nowhere' })).to.equal('ROOM_UNKNOWN');
    expect(await alice.refused('leave-room', { roomId: 'lobby' })).to.equal('NOT_IN_ROOM');
    expect(await code(api.join('anonymous', 'lobby'))).to.equal('CONNECTION_UNKNOWN');
  });

  it('creates a missing room with createOnJoin', async () => {
    const { api, guest } = await serve({ createOnJoin: true });
    const alice = await guest('alice');

    const joined = await alice.ask('join-room', undefined, { roomId: 'tea' });

    expect(joined.content).to.include({ roomId: 'tea', owner: 'alice', memberCount: 1, role: 'owner' });
    expect(api.get('tea')).to.have.property('owner', 'alice');
    expect(await alice.refused('join-room', { roomId: '__proto__' })).to.equal('ROOM_NAME_INVALID');
  });

  it('creates no room with createOnJoin when the connection may join no further one', async () => {
    const { api, guest } = await serve({ createOnJoin: true, maxRoomsPerConnection: 1 });
    const alice = await guest('alice');
    await alice.ask('join-room', 'tea');

    const refused = await alice.refused('join-room', 'coffee');

    expect(refused).to.equal('TOO_MANY_ROOMS');
    expect(api.get('coffee')).to.equal(undefined);
  });

  it('creates one room when two clients join at once', async () => {
    const { api, guest } = await serve({
      createOnJoin: true,
      canCreate: () => new Promise((resolve) => setImmediate(resolve, true)),
    });
    const guests = [await guest('alice'), await guest('bob')];

    const answers = await Promise.all(guests.map(({ ask }) => ask('join-room', 'tea')));

    expect(answers.map(({ type }) => type)).to.deep.equal(['room-joined', 'room-joined']);
    expect(api.members('tea')).to.deep.equal(['alice', 'bob']);
  });

  it('sends the welcome message', async () => {
    const { api, guest } = await serve();
    await api.create('lobby', { behavior: { welcomeMessage: 'Welcome!' } });
    const alice = await guest('alice');

    await alice.ask('join-room', { roomId: 'lobby' });

    expect((await alice.client.next('system-message')).content).to.deep.equal({ roomId: 'lobby', content: 'Welcome!' });
  });

  it('uses the naming of the application, and sends no notices without announce', async () => {
    const { members } = await serve({}, { naming: 'snake' });
    const [alice, bob] = await members('lobby', 'alice', 'bob');
    const quiet = await serve({ announce: false });
    const [carol] = await quiet.members('lobby', 'carol', 'dave');

    expect(await alice.ask('join room', { roomId: 'x' })).to.deep.include({ type: 'error' });
    expect((await bob.ask('leave_room', { roomId: 'lobby' })).type).to.equal('room_left');
    expect((await alice.client.next('user_joined')).content).to.include({ userId: 'bob' });
    expect((await alice.client.next('user_left')).content).to.include({ userId: 'bob' });
    expect(await received(carol, 'user-joined')).to.deep.equal([]);
  });

  describe('is bounded', () => {
    it('by maxUsers, also when several clients join at once', async () => {
      const { api, guest, events } = await serve({
        canJoin: async () => new Promise((resolve) => setImmediate(resolve, true)),
      });
      await api.create('small', { maxUsers: 2 });
      const guests = [await guest('a'), await guest('b'), await guest('c'), await guest('d')];

      const answers = await Promise.all(guests.map(({ ask }) => ask('join-room', { roomId: 'small' })));

      expect(answers.map(({ type, content }) => (type === 'error' ? content.code : type) as string).sort())
        .to.deep.equal(['ROOM_FULL', 'ROOM_FULL', 'room-joined', 'room-joined']);
      expect(api.get('small')!.users.size).to.equal(2);
      expect(events.filter((event) => event.startsWith('joined'))).to.have.length(2);
    });

    it('by users, not by connections', async () => {
      const { api, members, guest } = await serve();
      await api.create('small', { maxUsers: 1 });
      await members('small', 'alice');
      const [second, other] = [await guest('alice'), await guest('bob')];

      expect((await second.ask('join-room', { roomId: 'small' })).type).to.equal('room-joined');
      expect(await other.refused('join-room', { roomId: 'small' })).to.equal('ROOM_FULL');
    });

    it('by maxRoomsPerConnection', async () => {
      const { api, guest } = await serve({ maxRoomsPerConnection: 3 });
      for (let n = 0; n < 5; n++) await api.create(`room ${n}`);
      const flooder = await guest();

      const answers = await Promise.all([0, 1, 2, 3, 4].map((n) => flooder.ask('join-room', { roomId: `room ${n}` })));

      expect(answers.map(({ content }) => content.code as string)).to.deep.equal([
        undefined,
        undefined,
        undefined,
        'TOO_MANY_ROOMS',
        'TOO_MANY_ROOMS',
      ]);
      expect(answers[4]!.content).to.deep.include({ of: 'connection', limit: 3 });
      expect(api.get('room 4')!.users.size).to.equal(0);
      await flooder.ask('leave-room', { roomId: 'room 0' });
      expect((await flooder.ask('join-room', { roomId: 'room 4' })).type).to.equal('room-joined');
    });
  });

  describe('waits for canJoin, and meanwhile', () => {
    async function undecided() {
      const asked: ((verdict: boolean) => void)[] = [];
      const serving = await serve({ canJoin: () => new Promise((resolve) => asked.push(resolve)) });
      await serving.api.create('slow', { persistent: false });
      const alice = await serving.guest('alice');
      const answer = alice.ask('join-room', { roomId: 'slow' });
      await eventually('the question', () => asked.length === 1);
      return { ...serving, alice, answer, asked };
    }

    it('the room is deleted', async () => {
      const { api, answer, asked, events } = await undecided();

      await api.delete('slow');
      asked[0]!(true);

      expect((await answer).content).to.include({ code: 'ROOM_UNKNOWN' });
      expect(events).to.deep.equal(['created slow', 'deleted slow']);
    });

    it('the room is deleted and created again', async () => {
      const { api, answer, asked } = await undecided();

      await api.delete('slow');
      await api.create('slow', { maxUsers: 1 });
      asked[0]!(true);

      expect((await answer).content).to.include({ code: 'ROOM_UNKNOWN' });
      expect(api.members('slow')).to.deep.equal([]);
    });

    it('the client disconnects', async () => {
      const { api, alice, answer, asked, errors, manager } = await undecided();
      const lost = code(answer);

      await alice.client.terminate();
      await eventually('anonymous there', () => manager.connections.size === 0);
      asked[0]!(true);
      await lost;

      expect(api.members('slow')).to.deep.equal([]);
      expect(manager.getMetrics().plugins['rooms']).to.include({ room_memberships: 0 });
      expect(errors).to.deep.equal([]);
    });

    it('the client is banned', async () => {
      const { api, answer, asked } = await undecided();

      await api.ban('slow', 'alice');
      asked[0]!(true);

      expect((await answer).content).to.include({ code: 'BANNED' });
      expect(api.members('slow')).to.deep.equal([]);
    });

    it('the server adds the client itself', async () => {
      const { api, alice, answer, asked, events } = await undecided();
      await api.manager.joinRoom('slow', 'alice');

      asked[0]!(true);

      expect((await answer).content).to.include({ code: 'ALREADY_IN_ROOM' });
      expect(events).to.deep.equal(['created slow', 'joined slow alice']);
      expect([...alice.connection.rooms!]).to.deep.equal(['slow']);
    });

    it('is refused', async () => {
      const { api, answer, asked } = await undecided();

      asked[0]!(false);

      expect((await answer).content).to.include({ code: 'FORBIDDEN' });
      expect(api.members('slow')).to.deep.equal([]);
    });

    it('an anonymous client gets a user, for whom canJoin is asked again', async () => {
      let node!: Node;
      const probe = definePlugin({ name: 'probe', setup(context) { node = context.node; } });
      const asked: [string, (verdict: boolean) => void][] = [];
      const { api, guest } = await serve(
        { canJoin: ({ userId }) => new Promise((resolve) => asked.push([userId, resolve])) },
        { use: [probe] },
      );
      await api.create('slow');
      const anonymous = await guest();
      const answer = anonymous.ask('join-room', { roomId: 'slow' });
      await eventually('the question', () => asked.length === 1);

      node.identify(anonymous.connection, { id: 'alice' });
      asked[0]![1](true);
      await eventually('another question', () => asked.length === 2);
      asked[1]![1](true);

      expect((await answer).type).to.equal('room-joined');
      expect(asked.map(([userId]) => userId)).to.deep.equal([anonymous.id, 'alice']);
      expect(api.members('slow')).to.deep.equal(['alice']);
    });
  });
});

describe('an anonymous member', () => {
  async function withIdentify(ban?: string) {
    let node!: Node;
    const probe = definePlugin({ name: 'probe', setup(context) { node = context.node; } });
    const serving = await serve({}, { use: [probe] });
    await serving.members('lobby', 'watcher');
    if (ban) await serving.api.ban('lobby', ban);
    const anonymous = await serving.guest();
    const identify = (connection: Connection, id: string): void => node.identify(connection, { id, username: id });
    return { ...serving, anonymous, node, identify };
  }

  it('is a member by its connection id, and later by its user id', async () => {
    const { api, anonymous, identify, events } = await withIdentify();
    await anonymous.ask('join-room', { roomId: 'lobby' });
    const before = api.members('lobby');

    identify(anonymous.connection, 'alice');

    expect(before).to.deep.equal(['watcher', anonymous.id]);
    expect(api.members('lobby')).to.deep.equal(['watcher', 'alice']);
    expect(events.slice(2)).to.deep.equal([
      `joined lobby ${anonymous.id}`,
      `left lobby ${anonymous.id}`,
      'joined lobby alice',
    ]);
    await anonymous.client.terminate();
    await eventually('alice left', () => api.members('lobby').length === 1);
  });

  it('is removed when its user is banned', async () => {
    const { api, anonymous, identify } = await withIdentify('alice');
    await anonymous.ask('join-room', { roomId: 'lobby' });

    identify(anonymous.connection, 'alice');

    expect(api.members('lobby')).to.deep.equal(['watcher']);
    expect((await anonymous.client.next('banned')).content).to.deep.equal({ roomId: 'lobby' });
    expect([...anonymous.connection.rooms!]).to.deep.equal([]);
  });

  it('keeps its rooms as a user', async () => {
    const { api, anonymous, identify } = await withIdentify();
    await anonymous.ask('create-room', { roomId: 'tea' });

    identify(anonymous.connection, 'alice');

    expect(api.get('tea')).to.have.property('owner', 'alice');
    expect(api.get('tea')!.getUserRole('alice')).to.equal('owner');
    expect(api.get('tea')!.getUserRole(anonymous.id)).to.equal('member');
  });

  it('merges with the member that its user is already', async () => {
    const { api, members, anonymous, identify, events } = await withIdentify();
    await members('lobby', 'alice');
    await anonymous.ask('join-room', { roomId: 'lobby' });

    identify(anonymous.connection, 'alice');

    expect(api.members('lobby')).to.deep.equal(['watcher', 'alice']);
    expect(events.at(-1)).to.equal(`left lobby ${anonymous.id}`);
  });

  it('leaves no empty room behind when it disconnects', async () => {
    const { api, anonymous } = await withIdentify();
    await anonymous.ask('create-room', { roomId: 'tea' });

    await anonymous.client.terminate();

    await eventually('no tea', () => api.get('tea') === undefined);
  });
});

describe('leaving', () => {
  it('all rooms at once notifies each of them', async () => {
    const { api, members } = await serve();
    const [alice, bob] = await members('a', 'alice', 'bob');
    for (const one of [alice, bob]) {
      await api.create(`only ${one.connection.user!.id}`);
      await api.join(one.id, `only ${one.connection.user!.id}`);
    }

    await api.leaveAll(bob.id);

    expect([...api.of(bob.id)]).to.deep.equal([]);
    expect([...api.of(alice.id)]).to.deep.equal(['a', 'only alice']);
    expect((await alice.client.next('user-left')).content).to.include({ roomId: 'a', userId: 'bob' });
    expect(await code(api.leaveAll('anonymous'))).to.equal('CONNECTION_UNKNOWN');
  });

  it('500 rooms notifies all of them, except those joined again before the notice', async () => {
    const { api, members, guest } = await serve({ maxRoomsPerConnection: 1_000 });
    const [alice] = await members('room 0', 'alice');
    for (let n = 1; n < 500; n++) {
      await api.create(`room ${n}`);
      await api.join(alice.id, `room ${n}`);
    }
    const first = await guest('bob');
    for (let n = 0; n < 500; n++) await api.join(first.id, `room ${n}`);
    const second = await guest('bob');

    await api.leaveAll(first.id);
    // Its farewell waits for those of the rooms before it.
    await api.join(second.id, 'room 499');

    await eventually('the farewells', async () => (await received(alice, 'user-left')).length === 499);
    expect((await received(alice, 'user-left')).some(({ content }) => content.roomId === 'room 499')).to.be.false;
    expect(await received(alice, 'user-joined')).to.have.length(500);
  });

  it('is no failure when the client has disconnected before its message is handled', async () => {
    const { manager, members, errors } = await serve();
    const [alice] = await members('lobby', 'alice');
    const told: (string | undefined)[] = [];
    let goOn!: () => void;
    manager.on('message:handled', ({ error }) => told.push(error?.code));
    manager.registerHandler('slow', () => new Promise<void>((resolve) => (goOn = resolve)));

    for (const type of ['slow', 'leave-room', 'room-message', 'join-room']) {
      void alice.client.send({ type, roomId: 'lobby', content: 'hi' });
    }
    await alice.client.close();
    await eventually('anonymous there', () => manager.connections.size === 0);
    goOn();
    await eventually('all of them handled', () => told.length === 4);

    expect(told).to.deep.equal([undefined, 'CONNECTION_UNKNOWN', 'CONNECTION_UNKNOWN', 'CONNECTION_UNKNOWN']);
    expect(errors).to.deep.equal([]);
  });
});
