import { expect } from 'chai';
import { RoomManager, type ConnectionManager, type RoomConfig } from '../../../plugins/rooms.ts';
import { eventually } from '../../support/timing.ts';
import { code, received, serve } from './serving.ts';

/** A connection manager without a server and without connections. */
const noConnections: ConnectionManager = {
  getConnection: () => undefined,
  getConnectionByUserId: () => undefined,
  getUserConnections: () => [],
  broadcastToRoom: () => 0,
  joinRoom: async () => undefined,
  leaveRoom: async () => undefined,
  cleanup: () => undefined,
};

describe('a room manager of the application', () => {
  it('completes the sections of a configuration, and keeps the rest as given', async () => {
    const manager = new RoomManager(noConnections);
    const given: RoomConfig = {
      maxUsers: 50,
      password: 'secret',
      permissions: { defaultRole: 'member', roles: { member: { canSendMessage: true, canShout: true } } },
      behavior: { welcomeMessage: 'Hi', moderation: { enabled: true, bannedWords: ['cheat'] } },
    };

    const room = await manager.createRoom('game', 'olga', given);
    const bare = await manager.createRoom('bare');

    expect(room).to.include({ id: 'game', name: 'game', owner: 'olga' });
    expect(room.config).to.deep.include({ maxUsers: 50, password: 'secret' });
    expect(room.config.permissions.roles['member']).to.deep.equal({ canSendMessage: true, canShout: true });
    expect(room.config.permissions.roles['guest']).to.include({ canSendMessage: false });
    expect(room.config.behavior).to.deep.include({
      welcomeMessage: 'Hi',
      autoDeleteWhenEmpty: true,
      emptyTimeout: 300_000,
    });
    expect(room.config.behavior.moderation).to.deep.equal({ enabled: true, bannedWords: ['cheat'] });
    expect(room.config.message).to.include({ maxLength: 2_000, rateLimitPerMinute: 60, historySize: 100 });
    expect(bare.config).to.have.keys('maxUsers', 'permissions', 'message', 'behavior');
    expect(given).to.have.nested.property('permissions.roles').that.has.keys('member');
  });

  it('turns autoDeleteWhenEmpty off for persistent rooms, unless it is given', async () => {
    const manager = new RoomManager(noConnections);

    const silent = await manager.createRoom('silent', 'olga', { persistent: true, behavior: { welcomeMessage: 'Hi' } });
    const bare = await manager.createRoom('bare', 'olga', { persistent: true });
    const told = await manager.createRoom('told', 'olga', {
      persistent: true,
      behavior: { autoDeleteWhenEmpty: true },
    });

    expect([silent, bare, told].map(({ config }) => config.behavior.autoDeleteWhenEmpty)).to.deep.equal([
      false,
      false,
      true,
    ]);
    expect(silent.config.behavior).to.include({ welcomeMessage: 'Hi', emptyTimeout: 300_000 });
  });

  it('treats undefined as not given', async () => {
    const { config } = await new RoomManager(noConnections).createRoom('a', undefined, {
      maxUsers: undefined,
      message: { maxLength: undefined },
    });

    expect(config.maxUsers).to.equal(100);
    expect(config.message.maxLength).to.equal(2_000);
  });

  it('keeps members, roles, bans, mutes, warnings and messages', async () => {
    const manager = new RoomManager(noConnections);
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

  it('reads mutes that are set as dates', async () => {
    const room = await new RoomManager(noConnections).createRoom('a');

    room.mutedUsers.set('mia', new Date(Date.now() + 60_000));
    room.mutedUsers.set('max', new Date(Date.now() - 1));

    expect(room.mutedUntil('mia')).to.equal(room.mutedUsers.get('mia'));
    expect(room.mutedUntil('max')).to.equal(undefined);
    room.mutedUsers.delete('mia');
    expect(room.mutedUntil('mia')).to.equal(undefined);
  });

  it('refuses only what is impossible', async () => {
    const manager = new RoomManager(noConnections);
    await manager.createRoom('a');

    expect(await code(manager.createRoom('a'))).to.equal('ROOM_EXISTS');
    expect(await code(manager.joinRoom('nowhere', 'mia'))).to.equal('ROOM_UNKNOWN');
    expect(await code(manager.leaveRoom('nowhere', 'mia'))).to.deep.equal({ resolved: undefined });
  });

  it('puts all connections of a user into a room, without notices', async () => {
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

  it('calls leaveRoom when the last connection of a member closes', async () => {
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
    await eventually('no member', () => rooms.getRoom('a')!.users.size === 0);

    expect(still).to.equal(1);
    expect(rooms.seen).to.deep.equal(['a mia 0']);
  });

  it('reports a leaveRoom that rejects as an error event', async () => {
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

  it('is bounded by maxRoomsPerConnection', async () => {
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
  it('is the map of connections, and finds them by user', async () => {
    const { manager, guest } = await serve();
    const [phone, laptop, anonymous] = [await guest('mia'), await guest('mia'), await guest()];
    const { connections } = manager;

    expect(connections.size).to.equal(3);
    expect(connections.get(phone.id)).to.equal(phone.connection);
    expect(connections.getConnection(laptop.id)).to.equal(laptop.connection);
    expect(connections.getConnection('mia')).to.equal(phone.connection);
    expect(connections.getConnectionByUserId('mia')).to.equal(phone.connection);
    expect(connections.getConnectionByUserId(phone.id)).to.equal(undefined);
    expect(connections.getUserConnections('mia')).to.deep.equal([phone.connection, laptop.connection]);
    expect(connections.getUserConnections(anonymous.id)).to.deep.equal([anonymous.connection]);
    expect(connections.getUserConnections(phone.id)).to.deep.equal([]);
    for (const id of ['unknown', '', '__proto__']) {
      expect(connections.getConnection(id)).to.equal(undefined);
      expect(connections.getUserConnections(id)).to.deep.equal([]);
    }
  });

  it('puts connections into rooms that do not exist, and removes them', async () => {
    const { manager, guest, events } = await serve();
    const { connections } = manager;
    const [mia, max] = [await guest('mia'), await guest('max')];

    for (const { id } of [mia, max, max]) await connections.joinRoom(id, 'somewhere');
    const count = connections.broadcastToRoom('somewhere', { type: 'word' }, mia.id);
    await connections.leaveRoom(mia.id, 'somewhere');
    await connections.leaveRoom(mia.id, 'somewhere');
    connections.cleanup(max.id);
    connections.cleanup('unknown');

    expect(count).to.equal(1);
    expect(await received(max, 'word')).to.have.length(1);
    expect([...mia.connection.rooms!, ...max.connection.rooms!]).to.deep.equal([]);
    expect(await code(connections.joinRoom('unknown', 'somewhere'))).to.equal('CONNECTION_UNKNOWN');
    expect(await code(connections.leaveRoom('unknown', 'somewhere'))).to.deep.equal({ resolved: undefined });
    expect(events).to.deep.equal([]);
    expect(manager.getMetrics().plugins['rooms']).to.include({ room_memberships: 0 });
  });

  it('reserves the id of a room that has connections', async () => {
    const { api, manager, guest } = await serve();
    const [staff, eve] = [await guest('staff'), await guest('eve')];
    await manager.connections.joinRoom(staff.id, 'backstage');

    expect(await eve.refused('create-room', 'backstage')).to.equal('ROOM_EXISTS');
    expect(await eve.refused('join-room', 'backstage')).to.equal('ROOM_UNKNOWN');
    expect(api.get('backstage')).to.equal(undefined);
    await manager.connections.leaveRoom(staff.id, 'backstage');
    expect((await eve.ask('create-room', 'backstage')).type).to.equal('room-created');
  });

  it('shares its memberships with the plugin', async () => {
    const { api, manager, guest, events } = await serve();
    await api.create('lobby');
    const mia = await guest('mia');

    await manager.connections.joinRoom(mia.id, 'lobby');
    const inside = api.members('lobby');
    await manager.connections.leaveRoom(mia.id, 'lobby');

    expect(inside).to.deep.equal(['mia']);
    expect(events).to.deep.equal(['created lobby', 'joined lobby mia', 'left lobby mia']);
  });

  it('names the plugin that it needs after the plugin is unloaded, and keeps its connections', async () => {
    const { manager, guest } = await serve();
    const mia = await guest('mia');
    await manager.connections.joinRoom(mia.id, 'somewhere');

    await manager.unload('rooms');

    for (const name of Reflect.ownKeys(manager.connections)) {
      expect(() => Reflect.get(manager.connections, name)).to.throw('needs the plugin "rooms"').with.property('code', 'PLUGIN_UNKNOWN');
    }
    expect(manager.connections.get(mia.id)).to.equal(mia.connection);
    expect(mia.connection.rooms).to.equal(undefined);
  });
});
