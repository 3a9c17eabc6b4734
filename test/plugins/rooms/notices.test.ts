import { expect } from 'chai';
import { definePlugin, type Connection, type Node } from '../../../index.ts';
import type { RoomsOptions } from '../../../plugins/rooms.ts';
import type { Received } from '../../support/client.ts';
import { eventually } from '../../support/timing.ts';
import { received, serve } from './serving.ts';

async function open(options: RoomsOptions = {}) {
  let node!: Node;
  const probe = definePlugin({ name: 'probe', setup(context) { node = context.node; } });
  const serving = await serve(options, { use: [probe], maxConnections: 1_000 });
  const rename = (connection: Connection, username: string): void =>
    node.identify(connection, { ...connection.user!, username });
  return { ...serving, node, rename };
}

/** The ids of the users in notices, and how many messages these were. */
const named = (messages: readonly Received[]) => ({
  frames: messages.length,
  users: messages
    .flatMap(({ content }) => (content.users ?? [content]) as { userId: string }[])
    .map(({ userId }) => userId),
});

describe('notices of joins and leaves', () => {
  it('are gathered when 300 users join and leave at once', async function () {
    this.timeout(60_000);
    const { api, members, guest, manager } = await open();
    await api.create('hall', { maxUsers: 1_000 });
    const [watcher] = await members('hall', 'watcher');
    const crowd = await Promise.all(Array.from({ length: 300 }, (_, n) => guest(`user-${n}`)));
    const sent = () => manager.getMetrics().messages.sentMessages;
    const before = sent();

    await Promise.all(crowd.map(({ id }) => api.join(id, 'hall')));
    await eventually('all are mentioned', async () => {
      const notices = [...await received(watcher, 'user-joined'), ...await received(watcher, 'users-joined')];
      return new Set(named(notices).users).size === 300;
    });
    const single = named(await received(watcher, 'user-joined'));
    const gathered = await received(watcher, 'users-joined');
    const frames = sent() - before;
    for (const { id } of crowd) await api.leave(id, 'hall');
    await eventually('all are mentioned again', async () => {
      const notices = [...await received(watcher, 'user-left'), ...await received(watcher, 'users-left')];
      return new Set(named(notices).users).size === 300;
    });

    expect(single.frames).to.be.within(10, 12);
    expect(gathered.length).to.be.below(6);
    expect(gathered.every(({ content }) => content.users.length <= 100)).to.be.true;
    expect(gathered.at(-1)!.content).to.include({ roomId: 'hall', memberCount: 301 });
    expect(gathered[0]!.content.users[0]).to.have.keys('userId', 'username');
    // Notices would be 45,150; the polls of this test are among these.
    expect(frames).to.be.below(3_000);
    expect((await received(watcher, 'user-left')).length).to.be.below(13);
  });

  it('do not mention members who join and leave while they are gathered', async () => {
    const { api, members, guest } = await open();
    const [watcher] = await members('lobby', 'watcher');
    const crowd = await Promise.all(Array.from({ length: 14 }, (_, n) => guest(`user-${n}`)));
    for (const { id } of crowd) await api.join(id, 'lobby');

    await api.leave(crowd[12]!.id, 'lobby');
    await api.leave(crowd[0]!.id, 'lobby');
    await api.join(crowd[0]!.id, 'lobby');
    await eventually('the rest is told', async () => (await received(watcher, 'users-joined')).length === 1);

    const late = named(await received(watcher, 'users-joined')).users;
    expect(late).to.include.members(['user-10', 'user-11', 'user-13']).and.not.include('user-12');
    expect(await received(watcher, 'user-left')).to.deep.equal([]);
  });

  it('are single for a single change that was gathered', async () => {
    const { api, members, guest } = await open();
    const [watcher] = await members('lobby', 'watcher');
    // The watcher's own join was the first of ten.
    const crowd = await Promise.all(Array.from({ length: 10 }, (_, n) => guest(`user-${n}`)));

    for (const { id } of crowd) await api.join(id, 'lobby');
    await eventually('all are told', async () => (await received(watcher, 'user-joined')).length === 10);

    expect(await received(watcher, 'users-joined')).to.deep.equal([]);
  });
});

describe('a changed name', () => {
  it('is announced in the rooms of the user, once for all connections, and not with announce: false', async () => {
    const { api, members, guest, rename } = await open();
    const [alice, bob] = await members('lobby', 'alice', 'bob');
    const phone = await guest('bob');
    await api.join(phone.id, 'lobby');

    for (const { connection } of [bob, phone]) rename(connection, 'Robert');
    const told = (await alice.client.next('user-renamed')).content;
    rename(bob.connection, 'Robert');
    const quiet = await open({ announce: false });
    const [carol, dave] = await quiet.members('lobby', 'carol', 'dave');
    quiet.rename(dave.connection, 'David');

    expect(told).to.deep.equal({ roomId: 'lobby', userId: 'bob', username: 'Robert', memberCount: 2 });
    expect(await received(alice, 'user-renamed')).to.have.length(1);
    expect(await received(carol, 'user-renamed')).to.deep.equal([]);
    await bob.client.send({ type: 'room-message', roomId: 'lobby', content: 'hi' });
    expect((await alice.client.next('room-message')).content).to.include({ username: 'Robert' });
  });

  it('is sent together with the join if both are gathered', async () => {
    const { api, members, guest, rename } = await open();
    const [watcher] = await members('lobby', 'watcher');
    const crowd = await Promise.all(Array.from({ length: 12 }, (_, n) => guest(`user-${n}`)));
    for (const { id } of crowd) await api.join(id, 'lobby');

    rename(crowd[11]!.connection, 'Eleven');
    await eventually('the rest is told', async () => (await received(watcher, 'users-joined')).length === 1);

    const { users } = (await received(watcher, 'users-joined'))[0]!.content as { users: object[] };
    expect(users).to.deep.include({ userId: 'user-11', username: 'Eleven' });
    expect(await received(watcher, 'user-renamed')).to.deep.equal([]);
  });
});
