import { expect } from 'chai';
import { useFakeTimers } from 'sinon';
import type { Connection } from '../../../index.ts';
import { GracePeriods } from '../../../plugins/presence/grace-periods.ts';
import { Announcements } from '../../../plugins/presence/announcements.ts';
import { OnlineUsers } from '../../../plugins/presence/online-users.ts';
import { Typing } from '../../../plugins/presence/typing.ts';
import { cleanup } from '../../support/cleanup.ts';
import { caughtUp, codeOf, metrics, gone, heard, watched } from './lab.ts';

const connectionOf = (user: string, id = user) => ({ id, ip: '', user: { id: user } }) as Connection;
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('HOSTILE 38: the lists of presence', () => {
  it('HOSTILE 38: bridge a break in 1,000 places of one user, and in as many as are allowed in all', () => {
    const gracePeriods = new GracePeriods(1_000, 1_500);
    gracePeriods.begin('first', { userId: 'ben' });

    const bridged = range(2_000).filter((place) => gracePeriods.begin(`room:${place}`, { userId: 'mallory' }));
    const others = range(1_000).filter((user) => gracePeriods.begin('lobby', { userId: `user-${user}` }));

    expect([bridged.length, others.length, gracePeriods.size]).to.deep.equal([1_000, 499, 1_500]);
    expect([...gracePeriods.of('first')], 'of another user').to.deep.equal(['ben']);
    expect(gracePeriods.end('room:0', 'mallory')).to.not.equal(undefined);
    expect(gracePeriods.begin('room:1999', { userId: 'mallory' }), 'one ended, so another one may begin').to.equal(true);
  });

  it('HOSTILE 38: list 100 rooms in which one actor types, and as many members as are allowed in all', () => {
    const typing = new Typing({ timeout: 1_000, interval: 1_000, max: 150, tell() {} });
    typing.start(connectionOf('ben'), 'lobby', 'ben');

    const started = range(200).filter((room) => typing.start(connectionOf('mallory'), `room-${room}`, 'mallory'));
    const others = range(100).filter((user) => typing.start(connectionOf(`user-${user}`), 'lobby', `user-${user}`));

    expect([started.length, others.length, typing.size]).to.deep.equal([100, 49, 150]);
    expect([...typing.active()].map(({ userId }) => userId)).to.include('ben');
    expect(typing.start(connectionOf('ben'), 'lobby', 'ben'), 'a member on the list goes on').to.equal(true);
  });

  it('HOSTILE 38: name 1,000 changes of one user and as many as are allowed in all, and count the others', () => {
    const told: Record<string, { users: number; more: number }> = {};
    const announcements = new Announcements({ max: 1_500, maxNamed: 100, settle: 0 }, (place, kind, { users, more }) => {
      told[`${place} ${kind}`] = { users: users.length, more };
    });
    announcements.add('first', { userId: 'ben' }, 'online');

    for (const place of range(1_100)) announcements.add(`room:${place}`, { userId: 'mallory' }, 'online');
    for (const user of range(600)) announcements.add('lobby', { userId: `user-${user}` }, 'offline');
    announcements.flush();
    const first = { ...told };
    announcements.add('room:0', { userId: 'mallory' }, 'offline');
    announcements.flush();

    expect(first['first online']).to.deep.equal({ users: 1, more: 0 });
    expect([first['room:999 online'], first['room:1000 online']]).to.deep.equal([{ users: 1, more: 0 }, { users: 0, more: 1 }]);
    expect(first['lobby offline'], 'all are counted').to.deep.equal({ users: 100, more: 500 });
    expect(told['room:0 offline'], 'the next round has room again').to.deep.equal({ users: 1, more: 0 });
  });

  it('HOSTILE 38: announce nothing of a deleted place, named or counted', () => {
    const told: string[] = [];
    const announcements = new Announcements({ max: 1, maxNamed: 100, settle: 0 }, (place) => void told.push(place));

    for (const user of range(3)) announcements.add('room:x', { userId: `user-${user}` }, 'online');
    announcements.deletePlace('room:x');
    announcements.add('room:y', { userId: 'ben' }, 'online');
    announcements.flush();

    expect(told).to.deep.equal(['room:y']);
  });

  it('HOSTILE 38: remember when a user was last seen for a time, and forget none for another one', () => {
    const clock = useFakeTimers({ toFake: ['performance', 'Date'], now: 1_000 });
    cleanup(() => clock.restore());
    const users = new OnlineUsers({ profile: () => ({}), maxRemembered: 100, rememberFor: 60_000 });
    const visit = (user: string): void => {
      const connection = connectionOf(user);
      users.add(connection, connection.user!);
      users.remove(connection);
      users.forget(user);
    };

    visit('ben');
    for (const user of range(1_000)) visit(`user-${user}`);
    const before = [users.lastSeen('ben'), users.lastSeen('user-98'), users.lastSeen('user-99')];
    clock.tick(59_999);
    visit('ben');
    clock.tick(1);
    const after = [users.lastSeen('ben'), users.lastSeen('user-98')];
    visit('carla');

    expect(before).to.deep.equal([1_000, 1_000, undefined]);
    expect(after).to.deep.equal([60_999, undefined]);
    expect(users.lastSeen('carla'), 'those whose time is over make room').to.equal(61_000);
  });

  it('HOSTILE 38: keep nothing of 200 users who come, type, join 20 rooms and are cut off', async () => {
    const { manager, create, as, clock } = await watched({ maxRemembered: 1_000, grace: 5_000, rememberFor: 10_000 }, {}, { announce: false });
    const rooms = await Promise.all(range(20).map(async (index) => (await create(`room-${index}`, { maxUsers: 1_000 })).id));

    for (let round = 0; round < 4; round++) {
      const clients = await Promise.all(range(50).map((index) => as(`user-${round}-${index}`, ...rooms)));
      await Promise.all(clients.map((client) => client.request({ type: 'typing', roomId: 'room-0', isTyping: true, ack: true })));
      await gone(manager, ...clients);
      expect(metrics(manager)['presence_absences']).to.be.at.most(1_000);
    }
    await clock.tickAsync(30_000);

    expect(metrics(manager)).to.include({ presence_users: 0, presence_absences: 0, presence_typing: 0 });
  }).timeout(60_000);

  it('refuses typing with RATE_LIMITED when the list is full, and the time after which there is room again', async () => {
    const { create, as } = await watched({ maxRemembered: 1, typingTimeout: 5_000 });
    await create('lobby');
    const [anna, ben] = [await as('anna', 'lobby'), await as('ben', 'lobby')];
    const types = (client: typeof anna) => client.request({ type: 'typing', roomId: 'lobby', isTyping: true, ack: true });

    const replies = [await types(anna), await types(ben)];

    expect(replies[0]!.type).to.equal('ack');
    expect(codeOf(replies[1]!)).to.equal('RATE_LIMITED');
    expect(replies[1]!.content.retryAfter).to.equal(5_000);
  });

  it('notifies 300 users who join a room at once with at most 600 frames', async () => {
    const { create, as, round } = await watched({}, {}, { announce: false });
    await create('lobby', { maxUsers: 1_000 });

    const clients = await Promise.all(range(300).map((index) => as(`user-${index}`, 'lobby')));
    for (let count = 0; count < 3; count++) await round();
    await Promise.all(clients.map(caughtUp));

    const frames = clients.flatMap(({ messages }) => messages.filter(({ type }) => type === 'user-online'));
    expect(frames.length).to.be.within(300, 600);
    const told = frames.filter(({ content }) => (content.users.length as number) + (content.more as number) === 300);
    expect(told.length, 'each client is told of all').to.be.at.least(300);
    expect((await heard(clients[0]!)).length).to.equal(100);
  }).timeout(60_000);
});
