import { expect } from 'chai';
import fc from 'fast-check';
import { checkName } from '../../../plugins/rooms/room-names.ts';
import { definePlugin, ModuleError, type Node } from '../../../index.ts';
import { eventually } from '../../support/timing.ts';
import { code, serve } from './serving.ts';

describe('creating a room', () => {
  it('answers with the room, and adds no member', async () => {
    const { api, guest, events } = await serve();
    const alice = await guest('alice');

    const created = await alice.ask('create-room', {
      roomId: 'tea',
      name: 'The tea room',
      maxUsers: 5,
      isPrivate: true,
    });

    expect(created.type).to.equal('room-created');
    expect(created.content).to.include({
      roomId: 'tea',
      name: 'The tea room',
      maxUsers: 5,
      isPrivate: true,
      owner: 'alice',
      memberCount: 0,
      success: true,
    });
    expect(Date.parse(created.content.createdAt)).to.be.closeTo(Date.now(), 5_000);
    expect(events).to.deep.equal(['created tea']);
    expect(api.get('tea')!.getUserRole('alice')).to.equal('owner');
  });

  it('reads fields, content and older names alike', async () => {
    const { api, guest } = await serve();
    const alice = await guest('alice');

    await alice.ask('create-room', undefined, { roomId: 'one' });
    await alice.ask('create_room', { name: 'two' });
    await alice.ask('create room', undefined, { data: { roomId: 'three', roomName: 'Three', password: null } });
    await alice.ask('create-room', 'four');

    expect([...api.manager.rooms.values()].map(({ id, name }) => `${id}: ${name}`)).to.deep.equal([
      'one: one',
      'two: two',
      'three: Three',
      'four: four',
    ]);
  });

  it('is refused when the id is taken', async () => {
    const { api, guest } = await serve();
    const [alice, bob] = [await guest('alice'), await guest('bob')];
    await alice.ask('create-room', { roomId: 'tea' });

    expect(await bob.refused('create-room', { roomId: 'tea' })).to.equal('ROOM_EXISTS');
    expect(await code(api.create('tea'))).to.equal('ROOM_EXISTS');
    expect(api.get('tea')!.owner).to.equal('alice');
  });

  it('refuses payloads of the wrong shape', async () => {
    const { api, guest } = await serve({ defaults: { maxUsers: 50 } });
    const alice = await guest('alice');
    const wrong: unknown[] = [
      {},
      [],
      null,
      7,
      true,
      { roomId: 7 },
      { roomId: {} },
      { roomId: ['a'] },
      { roomId: 'a', name: 7 },
      { roomId: 'a', isPrivate: 'yes' },
      { roomId: 'a', maxUsers: 0 },
      { roomId: 'a', maxUsers: 51 },
      { roomId: 'a', maxUsers: 1.5 },
      { roomId: 'a', maxUsers: '5' },
      { roomId: 'a', password: '' },
      { roomId: 'a', password: 7 },
      { roomId: 'a', password: 'x'.repeat(129) },
      { roomId: 'x'.repeat(10_000) },
    ];

    for (const content of wrong) {
      expect(await alice.refused('create-room', content), JSON.stringify(content)).to.be.oneOf([
        'VALIDATION_FAILED',
        'ROOM_NAME_INVALID',
      ]);
    }
    expect(api.manager.rooms.size).to.equal(0);
  });

  it('ignores persistence, roles, owner and metadata from clients', async () => {
    const { api, guest } = await serve();
    const alice = await guest('alice');

    await alice.ask('create-room', {
      roomId: 'a',
      persistent: true,
      owner: 'bob',
      metadata: { a: 1 },
      permissions: { roles: { member: { canDeleteRoom: true } } },
    });

    const room = api.get('a')!;
    expect(room.isPersistent).to.be.false;
    expect(room.owner).to.equal('alice');
    expect(room.metadata).to.deep.equal({});
    expect(room.can('bob', 'canDeleteRoom')).to.be.false;
  });

  it('is limited for each owner and for all rooms together', async () => {
    const { api, guest } = await serve({ maxRooms: 4, maxRoomsPerOwner: 2 });
    const [alice, bob] = [await guest('alice'), await guest('bob')];

    const answers = await Promise.all(['a', 'b', 'c'].map((roomId) => alice.ask('create-room', { roomId })));
    await bob.ask('create-room', { roomId: 'd' });
    await api.create('e');

    expect(answers[2]!.content).to.deep.include({ code: 'TOO_MANY_ROOMS', of: 'owner', limit: 2 });
    expect((await bob.ask('create-room', { roomId: 'f' })).content).to.deep.include({
      code: 'TOO_MANY_ROOMS',
      of: 'server',
      limit: 4,
    });
    await alice.ask('delete-room', { roomId: 'a' });
    expect((await alice.ask('create-room', { roomId: 'c' })).type).to.equal('room-created');
  });

  it('is also limited when many rooms are created at once, each with a password', async () => {
    const { api } = await serve({ maxRooms: 3 });

    const outcomes = await Promise.all(
      ['a', 'b', 'b', 'c', 'd', 'e'].map((name) => code(api.create(name, { password: 'x' }))),
    );

    expect(outcomes.filter((outcome) => typeof outcome === 'object')).to.have.length(3);
    expect(outcomes).to.include('TOO_MANY_ROOMS').and.include('ROOM_EXISTS');
    expect(api.manager.rooms.size).to.equal(3);
  });

  it('leaves no room of an anonymous client that has disconnected, and gives it to the user of one that has authenticated', async () => {
    const goOn: (() => void)[] = [];
    const { manager, api, guest, errors } = await serve({
      canCreate: () => new Promise((resolve) => goOn.push(() => resolve(true))),
    });
    manager.use(definePlugin({ name: 'desk', setup: ({ node }) => ({ node }) }));
    await manager.ready();
    const { node } = manager.api('desk') as { node: Node };
    const [gone, anna] = [await guest(), await guest()];

    await gone.client.send({ type: 'create-room', name: 'tea' });
    await eventually('asked', () => goOn.length === 1);
    await gone.client.terminate();
    await eventually('gone', () => !manager.connections.has(gone.id));
    goOn[0]!();
    await eventually('deleted', () => manager.inspect().inFlight === 0 && !api.get('tea'));
    const made = anna.ask('create-room', { name: 'hers' });
    await eventually('asked', () => goOn.length === 2);
    node.identify(anna.connection, { id: 'anna' });
    goOn[1]!();

    expect((await made).content).to.include({ roomId: 'hers', owner: 'anna' });
    expect(await anna.refused('delete-room', { roomId: 'hers' })).to.equal(undefined);
    expect(api.manager.rooms.size).to.equal(0);
    expect(errors).to.deep.equal([]);
  });

  it('asks canCreate', async () => {
    const asked: unknown[] = [];
    const { api, guest } = await serve({
      canCreate(attempt) {
        asked.push(attempt);
        if (attempt.name === 'worse') throw new ModuleError('NOT_TODAY');
        return attempt.owner !== 'alice';
      },
    });
    const [alice, bob] = [await guest('alice'), await guest('bob')];

    expect(await alice.refused('create-room', { roomId: 'a', password: 'secret' })).to.equal('FORBIDDEN');
    expect(await bob.refused('create-room', { roomId: 'worse' })).to.equal('NOT_TODAY');
    expect((await bob.ask('create-room', { roomId: 'b' })).type).to.equal('room-created');
    await api.create('c');
    expect(asked[0]).to.deep.equal({ name: 'a', id: 'a', owner: 'alice', config: {} });
    expect([...api.manager.rooms.keys()]).to.deep.equal(['b', 'c']);
  });

  it('refuses wrong options by name', async () => {
    const { api } = await serve();

    expect(await code(api.create('a', { maxUsers: 0 }))).to.equal('OPTION_INVALID');
    expect(await code(api.create('a', { behavior: { emptyTimeout: -1 } }))).to.equal('OPTION_INVALID');
    expect(await code(api.create('a', { permissions: { roles: { owner: { canFly: 'yes' } } } } as object))).to.equal(
      'OPTION_INVALID',
    );
    expect(await code(api.create('a', { maxUser: 5 } as object))).to.equal('OPTION_UNKNOWN');
    expect(await code(serve({ defaults: { password: 'x' } as object }))).to.equal('OPTION_UNKNOWN');
    expect(await code(serve({ maxRooms: 0 }))).to.equal('OPTION_INVALID');
    expect(api.manager.rooms.size).to.equal(0);
  });

  it('merges the configuration into the defaults of the plugin', async () => {
    const { api } = await serve({
      defaults: {
        maxUsers: 7,
        message: { maxLength: 5 },
        permissions: { roles: { speaker: { canSendMessage: true } } },
      },
    });

    const { config } = await api.create('a', {
      message: { historySize: 3 },
      permissions: { defaultRole: 'guest', roles: { dj: { canPlay: true } } },
    });

    expect(config.maxUsers).to.equal(7);
    expect(config.message).to.include({ maxLength: 5, historySize: 3, rateLimitPerMinute: 60 });
    expect(Object.keys(config.permissions.roles)).to.deep.equal(['owner', 'admin', 'member', 'guest', 'speaker', 'dj']);
    expect(config.permissions.defaultRole).to.equal('guest');
  });
});

describe('the defaults of the plugin', () => {
  it('decide whether rooms are private and persistent, unless the room does', async () => {
    const { api } = await serve({ defaults: { isPrivate: true, persistent: true } });

    const [asTheyAre, otherwise] = [
      await api.create('a', { owner: 'alice' }),
      await api.create('b', { isPrivate: false, persistent: false, password: 'x' }),
    ];

    expect([asTheyAre.isPrivate, asTheyAre.isPersistent]).to.deep.equal([true, true]);
    expect([otherwise.isPrivate, otherwise.isPersistent]).to.deep.equal([false, false]);
  });

  it('hold for rooms that the room manager creates, whose password is stored as a hash', async () => {
    const { api, guest } = await serve({ defaults: { maxUsers: 5 } });

    const room = await api.manager.createRoom('vault', 'alice', { password: 'open sesame' });

    expect(room.config).to.include({ maxUsers: 5 }).and.not.have.property('password');
    expect(room).to.include({ owner: 'alice', isPrivate: true });
    expect(await code(api.manager.createRoom('constructor'))).to.equal('ROOM_NAME_INVALID');
    const bob = await guest('bob');
    expect((await bob.ask('join-room', { roomId: 'vault', password: 'open sesame' })).type).to.equal('room-joined');
  });
});

describe('the name of a room', () => {
  const zeroWidth = String.fromCodePoint(0x200b);
  const refused: Record<string, string> = {
    empty: '',
    '10 KB long': 'x'.repeat(10_000),
    __proto__: '__proto__',
    constructor: 'constructor',
    prototype: 'prototype',
    toString: 'toString',
    'with a control character': 'a\u0000b',
    'with a line feed': 'a\nb',
    'with a zero-width space': `a${zeroWidth}b`,
    'with a direction mark': 'a\u202Eb',
    'with half a pair': 'a\uD800',
    'with a no-break space': 'a\u00A0b',
    'with a space at its end': 'lobby ',
    'with two spaces': 'a  b',
    'in full-width letters': 'ｌｏｂｂｙ',
    'with a ligature': 'oﬃce',
    'with a Cyrillic o': 'l\u043Ebby',
    'with a Greek omicron': 'l\u03BFbby',
    'with a line separator': 'a\u2028b',
  };

  for (const [what, name] of Object.entries(refused)) {
    it(`is refused ${what}`, async () => {
      const { api, guest } = await serve();
      const alice = await guest('alice');

      expect(await code(api.create(name))).to.equal('ROOM_NAME_INVALID');
      expect(await code(api.create('fine', { id: name }))).to.equal('ROOM_NAME_INVALID');
      expect(await alice.refused('create-room', { name })).to.equal('ROOM_NAME_INVALID');
      expect(await alice.refused('join-room', { roomId: name })).to.be.oneOf(['VALIDATION_FAILED', 'ROOM_UNKNOWN']);
      expect(api.manager.rooms.size).to.equal(0);
    });
  }

  it('may be in any language', async () => {
    const { api } = await serve();

    for (const name of [
      'lobby',
      'Room #1',
      'café',
      'чай',
      'τσάι',
      '茶室',
      'お茶 tea',
      '차 tea',
      'غرفة',
      'चाय',
      'tea 🍵',
      'a-b_c.d:e/f',
    ]) { await api.create(name); }

    expect(api.list()).to.have.length(12);
  });

  it('is accepted or refused with ROOM_NAME_INVALID, whatever it is', () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 100 }), fc.anything()), (name) => {
      try {
        expect(checkName(name, 64)).to.equal(name);
      } catch (error) {
        expect((error as ModuleError).code).to.equal('ROOM_NAME_INVALID');
      }
    }));
  });

  it('may be as long as maxNameLength', async () => {
    const { api } = await serve({ maxNameLength: 5 });

    await api.create('12345');

    expect(await code(api.create('123456'))).to.equal('ROOM_NAME_INVALID');
  });
});

describe('an empty room', () => {
  const soon = { behavior: { emptyTimeout: 20 } };

  it('is deleted after emptyTimeout, and not while it has members', async () => {
    const { api, guest, events } = await serve({ defaults: soon });
    const alice = await guest('alice');
    await alice.ask('create-room', { roomId: 'a' });
    await alice.ask('create-room', { roomId: 'b' });
    await alice.ask('join-room', { roomId: 'b' });

    await eventually('a is gone', () => api.get('a') === undefined);
    const stillThere = api.get('b') !== undefined;
    await alice.ask('leave-room', { roomId: 'b' });
    await eventually('b is gone', () => api.get('b') === undefined);

    expect(stillThere).to.be.true;
    expect(events).to.deep.equal([
      'created a',
      'created b',
      'joined b alice',
      'deleted a',
      'left b alice',
      'deleted b',
    ]);
  });

  it('stays when it is the server\'s, persistent, or without autoDeleteWhenEmpty', async () => {
    const { api } = await serve({ defaults: soon });
    await api.create('own');
    await api.create('persistent', { owner: 'alice', persistent: true });
    await api.create('told', { owner: 'alice', behavior: { autoDeleteWhenEmpty: false } });
    await api.create('goes', { owner: 'alice' });
    await api.create('goes, too', { persistent: false });

    await eventually('two are gone', () => api.manager.rooms.size === 3);

    expect([...api.manager.rooms.keys()]).to.deep.equal(['own', 'persistent', 'told']);
  });
});

describe('deleting a room', () => {
  it('removes and tells all members', async () => {
    const { api, members, events } = await serve();
    const [alice, bob] = await members('lobby', 'alice', 'bob');

    await api.delete('lobby');

    expect((await bob.client.next('room-deleted')).content).to.deep.equal({ roomId: 'lobby' });
    expect(events.slice(3)).to.deep.equal(['left lobby alice', 'left lobby bob', 'deleted lobby']);
    expect([...alice.connection.rooms!]).to.deep.equal([]);
    expect(await code(api.delete('lobby'))).to.equal('ROOM_UNKNOWN');
    expect(await alice.refused('room-message', 'hi', { roomId: 'lobby' })).to.equal('ROOM_UNKNOWN');
  });

  it('needs canDeleteRoom', async () => {
    const { api, guest } = await serve();
    const [alice, bob] = [await guest('alice'), await guest('bob')];
    await alice.ask('create-room', { roomId: 'a' });
    for (const one of [alice, bob]) await one.ask('join-room', { roomId: 'a' });

    expect(await bob.refused('delete-room', { roomId: 'a' })).to.equal('FORBIDDEN');
    expect(api.members('a')).to.deep.equal(['alice', 'bob']);
    expect((await alice.ask('delete-room', { roomId: 'a' })).content).to.deep.equal({ roomId: 'a' });
  });
});

describe('listing rooms', () => {
  it('lists public rooms, a page at a time', async () => {
    const { api, guest } = await serve();
    for (let n = 0; n < 5; n++) await api.create(`room ${n}`, { isPrivate: n === 2 });
    const alice = await guest('alice');

    const all = await alice.ask('get-rooms');
    const page = await alice.ask('get-rooms', { offset: 1, limit: 2 });

    expect(all.type).to.equal('rooms-list');
    expect(all.content.rooms.map(({ id }: { id: string }) => id)).to.deep.equal([
      'room 0',
      'room 1',
      'room 3',
      'room 4',
    ]);
    expect(all.content.rooms[0]).to.include({ id: 'room 0', roomId: 'room 0', memberCount: 0, maxUsers: 100 });
    expect(page.content.rooms.map(({ id }: { id: string }) => id)).to.deep.equal(['room 1', 'room 3']);
    expect(page.content.total).to.equal(4);
    for (const wrong of [{ limit: 0 }, { limit: 1_001 }, { limit: '5' }, { offset: -1 }, { offset: 1.5 }]) {
      expect(await alice.refused('get-rooms', wrong)).to.equal('VALIDATION_FAILED');
    }
    expect(api.list()).to.have.length(4);
  });

  it('answers get-room-info with the room, and with its members for members only', async () => {
    const { guest, members } = await serve();
    const [alice] = await members('lobby', 'alice');
    const bob = await guest('bob');

    const inside = await alice.ask('get-room-info', { roomId: 'lobby' });
    const outside = await bob.ask('get-room-info', 'lobby');

    expect(inside.type).to.equal('room-info');
    expect(inside.content).to.deep.include({
      roomId: 'lobby',
      memberCount: 1,
      users: [{ userId: 'alice', role: 'member' }],
    });
    expect(outside.content).to.include({ roomId: 'lobby', memberCount: 1 }).and.not.have.property('users');
  });

  it('hides private rooms from users who are not invited', async () => {
    const { api, guest } = await serve();
    await api.create('secret', { isPrivate: true, owner: 'alice' });
    const [alice, bob] = [await guest('alice'), await guest('bob')];

    expect(await bob.refused('get-room-info', 'secret')).to.equal('ROOM_UNKNOWN');
    expect((await alice.ask('get-room-info', 'secret')).content).to.include({ roomId: 'secret' });
    expect((await alice.ask('get-rooms')).content).to.deep.equal({ rooms: [], total: 0 });
  });
});
