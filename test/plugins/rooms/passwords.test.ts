import { inspect } from 'node:util';
import { expect } from 'chai';
import sinon from 'sinon';
import { RoomPasswords } from '../../../plugins/rooms/room-passwords.ts';
import { cleanup } from '../../support/cleanup.ts';
import { code, serve } from './serving.ts';

const PASSWORD = 'correct horse battery staple';

describe('a room with a password', () => {
  it('is joined by users who know it', async () => {
    const { api, guest } = await serve();
    await api.create('vault', { password: PASSWORD });
    const alice = await guest('alice');

    expect(await alice.refused('join-room', { roomId: 'vault' })).to.equal('PASSWORD_REQUIRED');
    expect(await alice.refused('join-room', { roomId: 'vault', password: 'wrong' })).to.equal('PASSWORD_WRONG');
    expect(await alice.refused('join-room', { roomId: 'vault', password: 7 })).to.equal('VALIDATION_FAILED');
    expect(await alice.refused('join-room', { roomId: 'vault', password: 'x'.repeat(10_000) })).to.equal(
      'VALIDATION_FAILED',
    );
    expect(api.members('vault')).to.deep.equal([]);
    expect((await alice.ask('join-room', { roomId: 'vault', password: PASSWORD })).content).to.include({
      hasPassword: true,
      isPrivate: true,
    });
    expect(api.members('vault')).to.deep.equal(['alice']);
  });

  it('is listed when it is not private', async () => {
    const { api } = await serve();
    await api.create('locked', { password: PASSWORD, isPrivate: false });
    await api.create('hidden', { password: PASSWORD });

    expect(api.list()).to.have.length(1);
    expect(api.list()[0]).to.include({ id: 'locked', hasPassword: true, isPrivate: false });
  });

  it('does not show it in the room, the answers, the events or the log', async () => {
    const lines: string[] = [];
    const write = (line: string): void => { lines.push(line); };
    const seen: unknown[] = [];
    const { api, guest, manager, errors } = await serve(
      {},
      { logger: { debug: write, info: write, warn: write, error: write }, logLevel: 'debug' },
    );
    for (const event of ['room:created', 'room:joined'] as const) {
      manager.on(event, (told: unknown) => {
        seen.push(told);
      });
    }
    const alice = await guest('alice');

    await alice.ask('create-room', { roomId: 'vault', password: PASSWORD });
    await alice.ask('join-room', { roomId: 'vault', password: PASSWORD });
    await alice.refused('join-room', { roomId: 'vault', password: PASSWORD });

    const everything = [
      inspect(api.get('vault'), { depth: 9, showHidden: true }),
      inspect(seen, { depth: 9 }),
      JSON.stringify(alice.client.messages),
      ...lines,
      inspect(errors),
    ];
    for (const text of everything) expect(text).to.not.include(PASSWORD);
  });

  it('does not quote a password of the wrong shape', async () => {
    const { api } = await serve();

    for (const password of ['', PASSWORD.repeat(10), 7, {}] as string[]) {
      const error = await api.create('vault', { password }).then(() => undefined, (thrown: unknown) => thrown as Error);
      expect(error).to.have.property('code', 'OPTION_INVALID');
      expect(inspect(error)).to.not.include('correct');
    }
    expect(api.manager.rooms.size).to.equal(0);
  });

  it('computes no hash for a client that may join no further room', async () => {
    const { api, guest } = await serve({ maxRoomsPerConnection: 1 });
    const matches = sinon.spy(RoomPasswords.prototype, 'matches');
    cleanup(() => matches.restore());
    await api.create('lobby');
    await api.create('vault', { password: PASSWORD });
    const alice = await guest('alice');
    await alice.ask('join-room', 'lobby');

    expect(await alice.refused('join-room', { roomId: 'vault', password: PASSWORD })).to.equal('TOO_MANY_ROOMS');
    expect(matches.callCount).to.equal(0);
  });

  it('needs none from owners, invited users and further connections of members', async () => {
    const { api, guest } = await serve();
    await api.create('vault', { password: PASSWORD, owner: 'alice' });
    const [alice, bob, second] = [await guest('alice'), await guest('bob'), await guest('bob')];

    await alice.ask('join-room', { roomId: 'vault' });
    await alice.ask('room-invite', { roomId: 'vault', userId: 'bob' });
    const invited = await bob.client.next('room-invited');
    await bob.ask('join-room', { roomId: 'vault' });
    await second.ask('join-room', { roomId: 'vault' });

    expect(invited.content).to.deep.equal({ roomId: 'vault', name: 'vault', by: 'alice' });
    expect(api.members('vault')).to.deep.equal(['alice', 'bob']);
    expect([...second.connection.rooms!]).to.deep.equal(['vault']);
  });

  it('requires it from guests, and is hidden from banned users', async () => {
    const { api, guest } = await serve();
    await api.create('vault', { password: PASSWORD, owner: 'alice' });
    const bob = await guest('bob');
    await bob.ask('join-room', { roomId: 'vault', password: PASSWORD });
    await api.setRole('vault', 'bob', 'guest');
    await api.kick('vault', 'bob');

    expect(await bob.refused('join-room', { roomId: 'vault' })).to.equal('PASSWORD_REQUIRED');
    await api.setRole('vault', 'bob', 'admin');
    expect((await bob.ask('get-room-info', { roomId: 'vault' })).type).to.equal('room-info');
    await api.ban('vault', 'bob');
    expect(await bob.refused('get-room-info', { roomId: 'vault' })).to.equal('ROOM_UNKNOWN');
  });

  it('calls canJoin, which can run the default check', async () => {
    const { api, guest } = await serve({
      canJoin: async ({ userId, password }, standard) =>
        userId === 'vip' ? true : userId === 'spy' ? false : password !== undefined && (await standard()),
    });
    await api.create('vault', { password: PASSWORD });
    const [vip, spy, carol] = [await guest('vip'), await guest('spy'), await guest('carol')];

    expect((await vip.ask('join-room', { roomId: 'vault' })).type).to.equal('room-joined');
    expect(await spy.refused('join-room', { roomId: 'vault', password: PASSWORD })).to.equal('FORBIDDEN');
    expect(await carol.refused('join-room', { roomId: 'vault', password: 'wrong' })).to.equal('PASSWORD_WRONG');
    expect((await carol.ask('join-room', { roomId: 'vault', password: PASSWORD })).type).to.equal('room-joined');
  });
});

describe('a private room without a password', () => {
  it('is open to invited users, and unknown to others', async () => {
    const { api, guest } = await serve();
    await api.create('club', { isPrivate: true });
    const bob = await guest('bob');

    expect(await bob.refused('join-room', { roomId: 'club' })).to.equal('ROOM_UNKNOWN');
    await api.invite('club', 'bob');
    expect((await bob.ask('join-room', { roomId: 'club' })).type).to.equal('room-joined');
    await bob.ask('leave-room', 'club');
    expect((await bob.ask('join-room', { roomId: 'club' })).type).to.equal('room-joined');
    await api.kick('club', 'bob');
    expect(await bob.refused('join-room', { roomId: 'club' })).to.equal('ROOM_UNKNOWN');
  });
});

describe('passwords', () => {
  it('are salted, and compared by their hash', async () => {
    const passwords = new RoomPasswords();

    const [one, other] = await Promise.all([passwords.hash(PASSWORD), passwords.hash(PASSWORD)]);

    expect(one.hash.equals(other.hash)).to.be.false;
    expect(await passwords.matches(PASSWORD, one)).to.be.true;
    expect(await passwords.matches(PASSWORD, { ...one, salt: other.salt })).to.be.false;
    expect(await passwords.matches('', one)).to.be.false;
  });

  it('are compared in constant time', async () => {
    const crypto = await import('node:crypto');
    const compare = sinon.spy(crypto.default, 'timingSafeEqual');
    cleanup(() => compare.restore());
    const { syncBuiltinESMExports } = await import('node:module');
    syncBuiltinESMExports();
    cleanup(() => { compare.restore(); syncBuiltinESMExports(); });
    const passwords = new RoomPasswords();

    await passwords.matches(PASSWORD, await passwords.hash(PASSWORD));

    expect(compare.callCount).to.equal(1);
  });

  it('are hashed two at a time, and refused when too many wait', async function () {
    this.timeout(60_000);
    const passwords = new RoomPasswords({ maxRunning: 2, maxWaiting: 5 });
    const secret = await passwords.hash(PASSWORD);

    const outcomes = await Promise.all(Array.from({ length: 10 }, () => code(passwords.matches(PASSWORD, secret))));

    expect(outcomes.filter((outcome) => outcome === 'SERVER_OVERLOADED')).to.have.length(3);
    expect(outcomes.filter((outcome) => outcome !== 'SERVER_OVERLOADED')).to.deep.equal(
      Array.from({ length: 7 }, () => ({ resolved: true })),
    );
    expect(await passwords.matches(PASSWORD, secret)).to.be.true;
  });

  it('leave threads to others: a file is read while many are checked', async function () {
    this.timeout(60_000);
    const { api, manager } = await serve();
    await api.create('vault', { password: PASSWORD });
    const { readFile } = await import('node:fs/promises');
    const passwords = new RoomPasswords({ maxRunning: 2, maxWaiting: 1_000 });
    const secret = await passwords.hash(PASSWORD);
    let finished = 0;
    const flood = Array.from({ length: 40 }, () => passwords.matches('wrong', secret).then(() => finished++));

    await readFile(new URL(import.meta.url));
    const finishedByThen = finished;
    await Promise.all(flood);

    expect(finishedByThen).to.be.below(10);
    expect(manager.getHealth().status).to.equal('healthy');
  });
});
