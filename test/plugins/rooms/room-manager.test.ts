import { expect } from 'chai';
import { RoomManager, type ConnectionManager, type RoomConfig } from '../../../plugins/rooms.ts';
import { eventually } from '../../support/timing.ts';
import { code, received, serve } from './serving.ts';

/** A connection manager without a server: nobody is connected. */
const nobody: ConnectionManager = {
  getConnection: () => undefined,
  getConnectionByUserId: () => undefined,
  getUserConnections: () => [],
  broadcastToRoom: () => 0,
  joinRoom: async () => undefined,
  leaveRoom: async () => undefined,
  cleanup: () => undefined,
};

describe('a room manager of one\'s own', () => {
  it('has a configuration with every section, and otherwise as it was given', async () => {
    const manager = new RoomManager(nobody);
    const given: RoomConfig = {
      maxUsers: 50, password: 'secret', permissions: { defaultRole: 'member', roles: { member: { canSendMessage: true, canShout: true } } },
      behavior: { welcomeMessage: 'Hi', moderation: { enabled: true, bannedWords: ['cheat'] } },
    };

    const room = await manager.createRoom('game', 'olga', given);
    const bare = await manager.createRoom('bare');

    expect(room).to.include({ id: 'game', name: 'game', owner: 'olga' });
    expect(room.config).to.deep.include({ maxUsers: 50, password: 'secret' });
    expect(room.config.permissions.roles['member']).to.deep.equal({ canSendMessage: true, canShout: true });
    expect(room.config.permissions.roles['guest']).to.include({ canSendMessage: false });
    expect(room.config.behavior).to.deep.include({ welcomeMessage: 'Hi', autoDeleteWhenEmpty: true, emptyTimeout: 300_000 });
    expect(room.config.behavior.moderation).to.deep.equal({ enabled: true, bannedWords: ['cheat'] });
    expect(room.config.message).to.include({ maxLength: 2_000, rateLimitPerMinute: 60, historySize: 100 });
    expect(bare.config).to.have.keys('maxUsers', 'permissions', 'message', 'behavior');
    expect(given).to.have.nested.property('permissions.roles').that.has.keys('member');
  });

  it('does not say of a room that is to persist that it is to be deleted, unless that was said, too', async () => {
    const manager = new RoomManager(nobody);

    const silent = await manager.createRoom('silent', 'olga', { persistent: true, behavior: { welcomeMessage: 'Hi' } });
    const bare = await manager.createRoom('bare', 'olga', { persistent: true });
    const told = await manager.createRoom('told', 'olga', { persistent: true, behavior: { autoDeleteWhenEmpty: true } });

    expect([silent, bare, told].map(({ config }) => config.behavior.autoDeleteWhenEmpty)).to.deep.equal([false, false, true]);
    expect(silent.config.behavior).to.include({ welcomeMessage: 'Hi', emptyTimeout: 300_000 });
  });

  it('takes what is undefined for not given', async () => {
    const { config } = await new RoomManager(nobody).createRoom('a', undefined, { maxUsers: undefined, message: { maxLength: undefined } } as unknown as RoomConfig);

    expect(config.maxUsers).to.equal(100);
    expect(config.message.maxLength).to.equal(2_000);
  });

  it('keeps members, roles, bans, mutes, warnings and messages', async () => {
    const manager = new RoomManager(nobody);
    const room = await manager.createRoom('a', 'olga', { message: { historySize: 2 } });

    await manager.joinRoom('a', 'mia', 'whatever');
    await manager.joinRoom('a', 'mia');
    for (const message of [1, 2, 3]) await room.addMessage(message);

    expect(manager.roomExists('a')).to.be.true;
    expect(manager.getRoom('a')).to.equal(room);
    expect([...room.users]).to.deep.equal(['mia']);
    expect([room.getUserRole('olga'), room.getUserRole('mia')]).to.deep.equal(['owner', 'member']);
    expect(room.bannedUsers).to.be.instanceOf(Set);
    expect(room.mutedUsers).to.be.instanceOf(Map);
    expect(room.userWarnings).to.be.instanceOf(Map);
    expect(room.messages).to.deep.equal([2, 3]);
    await manager.leaveRoom('a', 'mia');
    await manager.leaveRoom('a', 'mia');
    expect(room.users.size).to.equal(0);
    expect(await manager.deleteRoom('a')).to.be.true;
    expect(await manager.deleteRoom('a')).to.be.false;
    expect(manager.roomExists('a')).to.be.false;
  });

  it('refuses only what cannot be', async () => {
    const manager = new RoomManager(nobody);
    await manager.createRoom('a');

    expect(await code(manager.createRoom('a'))).to.equal('ROOM_EXISTS');
    expect(await code(manager.joinRoom('nowhere', 'mia'))).to.equal('ROOM_UNKNOWN');
    expect(await code(manager.leaveRoom('nowhere', 'mia'))).to.deep.equal({ resolved: undefined });
  });

  it('on the connections of a server puts all of a user\'s into a room, in silence', async () => {
    const { manager, guest, events } = await serve();
    const rooms = new RoomManager(manager.connections);
    await rooms.createRoom('a', 'olga');
    const [phone, laptop, other] = [await guest('mia'), await guest('mia'), await guest('other')];

    await rooms.joinRoom('a', 'mia');
    const count = rooms.broadcastToRoom('a', { type: 'word' }, phone.id);
    await rooms.joinRoom('a', other.id);

    expect(count).to.equal(1);
    expect(await received(laptop, 'word')).to.have.length(1);
    expect([...phone.connection.rooms!, ...laptop.connection.rooms!]).to.deep.equal(['a', 'a']);
    expect(phone.client.messages.filter(({ type }) => type.startsWith('user-'))).to.deep.equal([]);
    expect(events).to.deep.equal([]);

    await rooms.leaveRoom('a', 'mia');

    expect([...laptop.connection.rooms!]).to.deep.equal([]);
    expect(rooms.broadcastToRoom('a', { type: 'word' })).to.equal(0);
  });

  it('has a member leave by leaveRoom when his last connection closes', async () => {
    class Watching extends RoomManager {
      readonly seen: string[] = [];

      override async leaveRoom(roomId: string, userId: string): Promise<void> {
        await super.leaveRoom(roomId, userId);
        this.seen.push(`${roomId} ${userId} ${this.getRoom(roomId)!.users.size}`);
      }
    }
    const { manager, guest } = await serve();
    const rooms = new Watching(manager.connections);
    await rooms.createRoom('a');
    const [phone, laptop] = [await guest('mia'), await guest('mia')];
    await rooms.joinRoom('a', 'mia');

    await phone.client.terminate();
    await eventually('one connection', () => manager.connections.size === 1);
    const still = rooms.getRoom('a')!.users.size;
    await laptop.client.terminate();
    await eventually('nobody', () => rooms.getRoom('a')!.users.size === 0);

    expect(still).to.equal(1);
    expect(rooms.seen).to.deep.equal(['a mia 0']);
  });

  it('that fails to let somebody go is an error event, and no unhandled rejection', async () => {
    class Failing extends RoomManager {
      override async leaveRoom(): Promise<void> { throw new Error('not today'); }
    }
    const { manager, guest, errors } = await serve();
    const rooms = new Failing(manager.connections);
    await rooms.createRoom('a');
    const mia = await guest('mia');
    await rooms.joinRoom('a', 'mia');

    await mia.client.terminate();
    await eventually('the error', () => errors.length === 1);

    expect(errors[0]).to.have.property('message', 'not today');
  });

  it('is bounded by the rooms that a connection may be in', async () => {
    const { manager, guest } = await serve({ maxRoomsPerConnection: 1 });
    const rooms = new RoomManager(manager.connections);
    for (const name of ['a', 'b']) await rooms.createRoom(name);
    const mia = await guest('mia');
    await rooms.joinRoom('a', 'mia');

    expect(await code(rooms.joinRoom('b', 'mia'))).to.equal('TOO_MANY_ROOMS');
    expect([...mia.connection.rooms!]).to.deep.equal(['a']);
    expect(rooms.getRoom('b')!.users.size).to.equal(0);
  });
});

describe('manager.connections', () => {
  it('is the map of connections, and finds them by their users', async () => {
    const { manager, guest } = await serve();
    const [phone, laptop, nobodyYet] = [await guest('mia'), await guest('mia'), await guest()];
    const { connections } = manager;

    expect(connections.size).to.equal(3);
    expect(connections.get(phone.id)).to.equal(phone.connection);
    expect(connections.getConnection(laptop.id)).to.equal(laptop.connection);
    expect(connections.getConnection('mia')).to.equal(phone.connection);
    expect(connections.getConnectionByUserId('mia')).to.equal(phone.connection);
    expect(connections.getConnectionByUserId(phone.id)).to.equal(undefined);
    expect(connections.getUserConnections('mia')).to.deep.equal([phone.connection, laptop.connection]);
    expect(connections.getUserConnections(nobodyYet.id)).to.deep.equal([nobodyYet.connection]);
    expect(connections.getUserConnections(phone.id)).to.deep.equal([]);
    for (const unknown of ['nobody', '', '__proto__']) {
      expect(connections.getConnection(unknown)).to.equal(undefined);
      expect(connections.getUserConnections(unknown)).to.deep.equal([]);
    }
  });

  it('puts connections into rooms that nobody made, and out of them', async () => {
    const { manager, guest, events } = await serve();
    const { connections } = manager;
    const [mia, max] = [await guest('mia'), await guest('max')];

    for (const { id } of [mia, max, max]) await connections.joinRoom(id, 'somewhere');
    const count = connections.broadcastToRoom('somewhere', { type: 'word' }, mia.id);
    await connections.leaveRoom(mia.id, 'somewhere');
    await connections.leaveRoom(mia.id, 'somewhere');
    connections.cleanup(max.id);
    connections.cleanup('nobody');

    expect(count).to.equal(1);
    expect(await received(max, 'word')).to.have.length(1);
    expect([...mia.connection.rooms!, ...max.connection.rooms!]).to.deep.equal([]);
    expect(await code(connections.joinRoom('nobody', 'somewhere'))).to.equal('CONNECTION_UNKNOWN');
    expect(await code(connections.leaveRoom('nobody', 'somewhere'))).to.deep.equal({ resolved: undefined });
    expect(events).to.deep.equal([]);
    expect(manager.getMetrics().plugins['rooms']).to.include({ room_memberships: 0 });
  });

  it('keeps others from making a room where somebody was put', async () => {
    const { api, manager, guest } = await serve();
    const [staff, eve] = [await guest('staff'), await guest('eve')];
    await manager.connections.joinRoom(staff.id, 'backstage');

    expect(await eve.refused('create-room', 'backstage')).to.equal('ROOM_EXISTS');
    expect(await eve.refused('join-room', 'backstage')).to.equal('ROOM_UNKNOWN');
    expect(api.get('backstage')).to.equal(undefined);
    await manager.connections.leaveRoom(staff.id, 'backstage');
    expect((await eve.ask('create-room', 'backstage')).type).to.equal('room-created');
  });

  it('and the plugin are of one mind about who is in a room', async () => {
    const { api, manager, guest, events } = await serve();
    await api.create('lobby');
    const mia = await guest('mia');

    await manager.connections.joinRoom(mia.id, 'lobby');
    const inside = api.members('lobby');
    await manager.connections.leaveRoom(mia.id, 'lobby');

    expect(inside).to.deep.equal(['mia']);
    expect(events).to.deep.equal(['created lobby', 'joined lobby mia', 'left lobby mia']);
  });

  it('is the bare map again without the plugin', async () => {
    const { manager, guest } = await serve();
    const mia = await guest('mia');
    await manager.connections.joinRoom(mia.id, 'somewhere');

    await manager.unload('rooms');

    expect(Reflect.ownKeys(manager.connections)).to.deep.equal([]);
    expect(manager.connections.get(mia.id)).to.equal(mia.connection);
    expect(mia.connection.rooms).to.equal(undefined);
  });
});
