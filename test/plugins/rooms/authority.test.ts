import { expect } from 'chai';
import { useFakeTimers } from 'sinon';
import { cleanup } from '../../support/cleanup.ts';
import { eventually } from '../../support/timing.ts';
import { code, received, serve, type Guest } from './serving.ts';

/** A room that olga owns, with an admin and two members. */
async function staffed() {
  const serving = await serve();
  const { api, members } = serving;
  await api.create('lobby', { owner: 'olga', persistent: true });
  const [olga, adam, mia, max] = await members('lobby', 'olga', 'adam', 'mia', 'max');
  await api.setRole('lobby', 'adam', 'admin');
  return { ...serving, room: api.get('lobby')!, olga, adam, mia, max };
}

describe('roles', () => {
  it('grant permissions, also those of the application', async () => {
    const { api, guest } = await serve();
    await api.create('stage', {
      owner: 'olga',
      permissions: {
        defaultRole: 'listener',
        roles: { listener: { canClap: true }, speaker: { canSendMessage: true, canClap: true } },
      },
    });
    const olga = await guest('olga');
    const liz = await guest('liz');
    await api.join(liz.id, 'stage');

    await api.setRole('stage', 'liz', 'speaker');

    expect(api.can('stage', 'liz', 'canSendMessage')).to.be.true;
    expect(api.can('stage', 'liz', 'canClap')).to.be.true;
    expect(api.can('stage', 'liz', 'canKickUsers')).to.be.false;
    expect(api.can('stage', 'olga', 'canDeleteRoom')).to.be.true;
    expect(api.can('stage', 'stranger', 'canClap')).to.be.false;
    for (const nonsense of ['__proto__', 'constructor', 'toString', '']) {
      expect(api.can('stage', 'liz', nonsense)).to.be.false;
    }
    expect((await liz.client.next('role-changed')).content).to.deep.equal({ roomId: 'stage', role: 'speaker' });
    expect(await received(olga, 'role-changed')).to.deep.equal([]);
  });

  it('are promoted and demoted one step at a time', async () => {
    const { api, room } = await staffed();

    expect(await api.promote('lobby', 'mia')).to.equal('admin');
    expect(await api.promote('lobby', 'mia')).to.equal('owner');
    expect(await code(api.promote('lobby', 'mia'))).to.equal('ROLE_UNCHANGED');
    expect(await api.demote('lobby', 'mia')).to.equal('admin');
    expect(await api.demote('lobby', 'mia')).to.equal('member');
    expect(await api.demote('lobby', 'mia')).to.equal('guest');
    expect(await code(api.demote('lobby', 'mia'))).to.equal('ROLE_UNCHANGED');
    expect(room.getUserRole('mia')).to.equal('guest');
  });

  it('are changed by owners, also by message', async () => {
    const { olga, adam, mia, room } = await staffed();

    const given = await olga.ask('room-role', { roomId: 'lobby', userId: 'mia', role: 'admin' });

    expect(given).to.deep.include({ type: 'room-role', content: { roomId: 'lobby', userId: 'mia', role: 'admin' } });
    expect(await adam.refused('room-role', { roomId: 'lobby', userId: 'max', role: 'admin' })).to.equal('FORBIDDEN');
    expect(await mia.refused('room-role', { roomId: 'lobby', userId: 'mia', role: 'owner' })).to.equal('FORBIDDEN');
    for (const role of ['king', '__proto__', 'constructor']) {
      expect(await olga.refused('room-role', { roomId: 'lobby', userId: 'max', role })).to.equal('ROLE_UNKNOWN');
    }
    expect(await olga.refused('room-role', { roomId: 'lobby', userId: 'stranger', role: 'admin' })).to.equal(
      'NOT_IN_ROOM',
    );
    expect(room.getUserRole('max')).to.equal('member');
  });

  it('let only owners appoint and remove owners', async () => {
    const { api, members } = await serve();
    const manager = { canManageRoom: true, canKickUsers: true, canSendMessage: true };
    await api.create('lobby', { owner: 'olga', permissions: { roles: { manager } } });
    const [olga, mona, max] = await members('lobby', 'olga', 'mona', 'max');
    await api.setRole('lobby', 'mona', 'manager');
    const give = (by: Guest, userId: string, role: string) =>
      by.refused('room-role', { roomId: 'lobby', userId, role });

    expect(await give(mona, 'mona', 'owner')).to.equal('FORBIDDEN');
    expect(await give(mona, max.id, 'owner')).to.equal('NOT_IN_ROOM');
    expect(await give(mona, 'olga', 'member')).to.equal('FORBIDDEN');
    expect(await give(mona, 'max', 'admin')).to.equal(undefined);
    expect(await give(olga, 'max', 'owner')).to.equal(undefined);
    expect([...api.get('lobby')!.roles]).to.deep.equal([['olga', 'owner'], ['mona', 'manager'], ['max', 'owner']]);
  });

  it('keep an owner in every room that has one', async () => {
    const { api, olga, room } = await staffed();

    expect(await olga.refused('room-role', { roomId: 'lobby', userId: 'olga', role: 'member' })).to.equal('LAST_OWNER');
    expect(await code(api.demote('lobby', 'olga'))).to.equal('LAST_OWNER');
    expect(room.getUserRole('olga')).to.equal('owner');

    await api.setRole('lobby', 'mia', 'owner');
    await olga.ask('room-role', { roomId: 'lobby', userId: 'olga', role: 'member' });

    expect(room.getUserRole('olga')).to.equal('member');
    expect(room.owner).to.equal('mia');
  });
});

describe('moderating members', () => {
  const deeds = ['room-kick', 'room-ban', 'room-mute', 'room-warn'] as const;
  const deed = (by: Guest, type: string, userId: string) =>
    by.refused(type, { roomId: 'lobby', userId, duration: 1_000 });

  it('cannot be undone by the member, nor by members with the same permission', async () => {
    const { api, olga, adam, room } = await staffed();
    await api.setRole('lobby', 'max', 'admin');
    await api.mute('lobby', 'max', 60_000);
    await api.mute('lobby', 'adam', 60_000);

    expect(await deed(adam, 'room-unmute', 'adam')).to.equal('SELF_ACTION');
    expect(await deed(adam, 'room-unmute', 'max')).to.equal('FORBIDDEN');
    expect(await deed(olga, 'room-unmute', 'adam')).to.equal(undefined);
    expect([...room.mutedUsers.keys()]).to.deep.equal(['max']);
  });

  for (const type of deeds) {
    it(`${type} needs the permission, and is refused for oneself, owners and members with the same permission`, async () => {
      const { api, guest, olga, adam, mia, room } = await staffed();
      await api.setRole('lobby', 'max', 'admin');
      const stranger = await guest('stranger');

      expect(await deed(mia, type, 'max')).to.equal('FORBIDDEN');
      expect(await deed(stranger, type, 'mia')).to.equal('NOT_IN_ROOM');
      expect(await deed(adam, type, 'adam')).to.equal('SELF_ACTION');
      expect(await deed(olga, type, 'olga')).to.equal('SELF_ACTION');
      expect(await deed(adam, type, 'olga')).to.equal('FORBIDDEN');
      expect(await deed(adam, type, 'max')).to.equal('FORBIDDEN');
      expect(await adam.refused(type, { roomId: 'nowhere', userId: 'mia', duration: 1 })).to.equal('ROOM_UNKNOWN');
      expect([room.users.size, room.bannedUsers.size, room.mutedUsers.size, room.userWarnings.size]).to.deep.equal([
        4, 0, 0, 0,
      ]);

      expect(await deed(adam, type, 'mia')).to.equal(undefined);
      expect(await deed(olga, type, 'max')).to.equal(undefined);
    });

    it(`${type} refuses payloads of the wrong shape`, async () => {
      const { adam, room } = await staffed();
      const wrong: unknown[] = [
        null,
        [],
        'lobby',
        {},
        { roomId: 'lobby' },
        { userId: 'mia' },
        { roomId: 'lobby', userId: 7 },
        { roomId: 'lobby', userId: '' },
        { roomId: 'lobby', userId: 'x'.repeat(10_000) },
        { roomId: 'lobby', userId: 'mia', reason: 7, duration: 5 },
        { roomId: ['lobby'], userId: 'mia' },
        { roomId: 'lobby', userId: 'mia', reason: 'x'.repeat(501), duration: 5 },
      ];

      for (const content of wrong) {
        expect(await adam.refused(type, content), JSON.stringify(content)).to.equal('VALIDATION_FAILED');
      }
      expect([room.users.size, room.bannedUsers.size, room.mutedUsers.size, room.userWarnings.size]).to.deep.equal([
        4, 0, 0, 0,
      ]);
    });
  }

  it('kicks all connections of a member with the reason, and tells the others', async () => {
    const { api, guest, adam, mia, olga, events } = await staffed();
    const second = await guest('mia');
    await api.join(second.id, 'lobby');

    const reply = await adam.ask('room-kick', { roomId: 'lobby', userId: 'mia', reason: 'noise' });

    expect(reply.content).to.deep.equal({ roomId: 'lobby', userId: 'mia' });
    for (const one of [mia, second]) {
      expect((await one.client.next('kicked')).content).to.deep.equal({ roomId: 'lobby', by: 'adam', reason: 'noise' });
      expect([...one.connection.rooms!]).to.deep.equal([]);
    }
    expect((await olga.client.next('user-left')).content).to.deep.equal({
      roomId: 'lobby',
      userId: 'mia',
      username: 'MIA',
      memberCount: 3,
    });
    expect(events.at(-1)).to.equal('left lobby mia');
    expect(await adam.refused('room-kick', { roomId: 'lobby', userId: 'mia' })).to.equal('NOT_IN_ROOM');
    expect((await mia.ask('join-room', 'lobby')).type).to.equal('room-joined');
  });

  it('bans members and users who are away, until they are unbanned', async () => {
    const { api, guest, adam, mia, room } = await staffed();

    await adam.ask('room-ban', { roomId: 'lobby', userId: 'mia' });
    await api.ban('lobby', 'troll');
    const troll = await guest('troll');

    expect((await mia.client.next('banned')).content).to.deep.equal({ roomId: 'lobby', by: 'adam' });
    expect(await mia.refused('join-room', 'lobby')).to.equal('BANNED');
    expect(await troll.refused('join-room', 'lobby')).to.equal('BANNED');
    expect(await code(api.invite('lobby', 'troll'))).to.equal('BANNED');
    expect(room.users.has('mia')).to.be.false;

    expect((await adam.ask('room-unban', { roomId: 'lobby', userId: 'mia' })).type).to.equal('room-unban');
    expect(await adam.refused('room-unban', { roomId: 'lobby', userId: 'mia' })).to.equal('NOT_BANNED');
    expect((await mia.ask('join-room', 'lobby')).type).to.equal('room-joined');
  });

  it('takes the permissions from a banned member', async () => {
    const { api, adam } = await staffed();

    await api.ban('lobby', 'adam');

    expect(await adam.refused('room-kick', { roomId: 'lobby', userId: 'mia' })).to.equal('FORBIDDEN');
    expect(api.can('lobby', 'adam', 'canKickUsers')).to.be.false;
    await api.unban('lobby', 'adam');
    expect(api.can('lobby', 'adam', 'canKickUsers')).to.be.true;
  });

  it('mutes for a time, and tells the member when the mute ends', async () => {
    const { api, adam, mia, room } = await staffed();
    const say = async () =>
      (await mia.ask('room-message', 'hi', { roomId: 'lobby', ack: true })).content?.code as unknown;

    await adam.ask('room-mute', { roomId: 'lobby', userId: 'mia', duration: 50, reason: 'noise' });
    const muted = (await mia.client.next('muted')).content;
    const refused = await mia.ask('room-message', 'hi', { roomId: 'lobby' });

    expect(muted).to.include({ roomId: 'lobby', duration: 50, by: 'adam', reason: 'noise' });
    expect(refused.content).to.include({ code: 'MUTED', until: muted.until });
    expect((await mia.client.next('unmuted')).content).to.deep.equal({ roomId: 'lobby' });
    expect(room.mutedUsers.size).to.equal(0);
    expect(await say()).to.equal(undefined);

    await api.mute('lobby', 'mia', 60_000);
    await api.mute('lobby', 'mia', 120_000);
    expect(await say()).to.equal('MUTED');
    await adam.ask('room-unmute', { roomId: 'lobby', userId: 'mia' });
    expect(await say()).to.equal(undefined);
    expect(await adam.refused('room-unmute', { roomId: 'lobby', userId: 'mia' })).to.equal('NOT_MUTED');
    for (const duration of [0, -1, 1.5, NaN, Infinity, 1e15, '5']) {
      expect(await code(api.mute('lobby', 'mia', duration as number))).to.equal('VALIDATION_FAILED');
    }
  });

  it('ends a mute by the monotonic clock, whatever the wall clock says', async () => {
    const { api, mia, room } = await staffed();
    const clock = useFakeTimers({ toFake: ['Date'], now: Date.now() });
    cleanup(() => clock.restore());
    const say = async () =>
      (await mia.ask('room-message', 'hi', { roomId: 'lobby', ack: true })).content as object | undefined;

    await api.mute('lobby', 'mia', 60_000);
    clock.tick(3_600_000);
    const ahead = await say();
    await api.mute('lobby', 'mia', 50);
    clock.setSystemTime(Date.now() - 7_200_000);
    await mia.client.next('unmuted');

    expect(ahead).to.include({ code: 'MUTED' }).and.to.have.property('retryAfter').that.is.within(50_000, 60_000);
    expect(await say()).to.equal(undefined);
    expect(room.mutedUsers.size).to.equal(0);
  });

  it('sets one deadline for the mutes of a room, and cancels it with the room', async () => {
    const { api, manager } = await staffed();
    const before = manager.inspect()['deadlines'];

    for (let n = 0; n < 5; n++) await api.mute('lobby', 'mia', 60_000 + n);
    const muted = manager.inspect()['deadlines'];
    await api.delete('lobby');

    expect(muted).to.equal(before! + 1);
    expect(manager.inspect()['deadlines']).to.equal(before);
  });

  it('counts warnings', async () => {
    const { api, adam, mia, room } = await staffed();

    const first = await adam.ask('room-warn', { roomId: 'lobby', userId: 'mia', reason: 'noise' });
    const second = await api.warn('lobby', 'mia');

    expect(first.content).to.deep.equal({ roomId: 'lobby', userId: 'mia', warningCount: 1 });
    expect(second).to.equal(2);
    expect((await mia.client.next('warning')).content).to.deep.equal({
      roomId: 'lobby',
      by: 'adam',
      reason: 'noise',
      warningCount: 1,
      maxWarnings: 3,
    });
    expect(room.userWarnings.get('mia')).to.equal(2);
  });

  it('bounds each list of a room', async () => {
    const { api, room } = await staffed();
    for (let n = 0; n < 10_000; n++) room.bannedUsers.add(`troll ${n}`);

    expect(await code(api.ban('lobby', 'one more'))).to.equal('LIST_FULL');
    expect(await code(api.ban('lobby', 'troll 5'))).to.deep.equal({ resolved: undefined });
    expect(room.bannedUsers.size).to.equal(10_000);
  });

  it('forgets an anonymous member when the connection closes', async () => {
    const { api, guest, room } = await staffed();
    const anonymous = await guest();
    await api.join(anonymous.id, 'lobby');
    await api.setRole('lobby', anonymous.id, 'admin');
    await api.warn('lobby', anonymous.id);

    await anonymous.client.terminate();
    await eventually('the member left', () => !room.users.has(anonymous.id));

    expect(room.roles.has(anonymous.id)).to.be.false;
    expect(room.userWarnings.size).to.equal(0);
  });
});

describe('inviting', () => {
  it('needs the permission, and another user', async () => {
    const { adam, mia } = await staffed();

    expect(await mia.refused('room-invite', { roomId: 'lobby', userId: 'x' })).to.equal('FORBIDDEN');
    expect(await adam.refused('room-invite', { roomId: 'lobby', userId: 'adam' })).to.equal('SELF_ACTION');
    expect((await adam.ask('room-invite', { roomId: 'lobby', userId: 'x' })).content).to.deep.equal({
      roomId: 'lobby',
      userId: 'x',
    });
  });
});
