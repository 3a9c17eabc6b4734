import { expect } from 'chai';
import { definePlugin, ModuleError, type Connection, type Node, type User } from '../../../index.ts';
import type { RoomsOptions } from '../../../plugins/rooms.ts';
import { eventually } from '../../support/timing.ts';
import { code, received, serve } from './serving.ts';

const isStaff = ({ user }: Connection): boolean => user?.roles?.includes('staff') ?? false;

/** A staff room, in which ann is with two connections, and a watcher. */
async function open(options: RoomsOptions = {}) {
  let node!: Node;
  const probe = definePlugin({ name: 'probe', setup(context) { node = context.node; } });
  const serving = await serve({ canJoin: ({ connection }) => isStaff(connection), ...options }, { use: [probe] });
  const join = async (name: string) => {
    const one = await serving.guest(name);
    node.identify(one.connection, { id: name, username: name, roles: ['staff'] });
    await serving.api.join(one.id, 'staff');
    return one;
  };
  await serving.api.create('staff');
  const change = (connection: Connection, user: Partial<User>): void =>
    node.identify(connection, { ...connection.user!, ...user });
  return { ...serving, watcher: await join('watcher'), ann: await join('ann'), phone: await join('ann'), change };
}

describe('a member whose user has changed', () => {
  it('loses the connections that canJoin no longer allows, and gets kicked', async () => {
    const { api, ann, phone, watcher, change } = await open();

    change(ann.connection, { roles: [] });
    expect((await ann.client.next('kicked')).content).to.deep.equal({ roomId: 'staff' });
    const still = api.members('staff');
    change(phone.connection, { roles: [] });
    await phone.client.next('kicked');

    expect(still).to.deep.equal(['watcher', 'ann']);
    expect(api.members('staff')).to.deep.equal(['watcher']);
    expect(await ann.refused('room-message', 'hi', { roomId: 'staff' })).to.equal('NOT_IN_ROOM');
    expect((await watcher.client.next('user-left')).content).to.include({ userId: 'ann', memberCount: 1 });
  });

  it('stays if canJoin still allows it', async () => {
    const { api, ann, change } = await open();

    change(ann.connection, { roles: ['staff', 'admin'] });
    await ann.ask('who');

    expect(api.members('staff')).to.deep.equal(['watcher', 'ann']);
    expect(await received(ann, 'kicked')).to.deep.equal([]);
  });

  it('stays by default, also in a room with a password and in a private one', async () => {
    const { api, ann, change } = await open({
      canJoin: async (attempt, standard) => attempt.isMember || (await standard()),
    });
    await api.create('vault', { password: 'x' });
    await api.create('club', { isPrivate: true });
    await api.invite('club', 'ann');
    await api.join(ann.id, 'vault', 'x');
    await api.join(ann.id, 'club');
    api.get('club')!.invited.clear();

    change(ann.connection, { roles: [] });
    await ann.ask('who');

    expect([...ann.connection.rooms!]).to.deep.equal(['staff', 'vault', 'club']);
  });

  it('is removed if canJoin fails, and the failure is reported', async () => {
    let isBroken = false;
    const { api, ann, change, errors } = await open({
      canJoin: async () => {
        if (isBroken) throw new Error('no database');
        return true;
      },
    });
    isBroken = true;

    change(ann.connection, {});
    await ann.client.next('kicked');

    expect([...api.of(ann.id)]).to.deep.equal([]);
    expect(errors.map(({ message }) => message)).to.deep.equal(['no database']);
  });

  it('is removed at once, also while the check of another room waits', async () => {
    const { api, ann, change } = await open({
      canJoin: ({ room, connection }) => isStaff(connection) || (room.id === 'slow' && new Promise(() => {})),
    });
    await api.leave(ann.id, 'staff');
    for (const id of ['slow', 'fast']) await api.create(id);
    for (const id of ['slow', 'fast', 'staff']) await api.join(ann.id, id);

    change(ann.connection, { roles: [] });
    const kicked = [await ann.client.next('kicked'), await ann.client.next('kicked')];

    expect(kicked.map(({ content }) => content)).to.deep.equal([{ roomId: 'fast' }, { roomId: 'staff' }]);
    expect([...api.of(ann.id)]).to.deep.equal(['slow']);
  });

  it('is checked once more when the user changes during the check', async () => {
    const asked: { readonly roles: unknown; readonly answer: (mayStay: boolean) => void }[] = [];
    let isHeld = false;
    const canJoin: RoomsOptions['canJoin'] = ({ connection }) => !isHeld || new Promise((resolve) => {
      asked.push({ roles: connection.user?.roles, answer: resolve });
    });
    const { api, ann, change } = await open({ canJoin });
    isHeld = true;

    for (const roles of [['a'], ['b'], ['c']]) change(ann.connection, { roles });
    await eventually('the first check', () => asked.length === 1);
    asked[0]!.answer(true);
    await eventually('the second check', () => asked.length === 2);
    asked[1]!.answer(false);
    await ann.client.next('kicked');

    expect(asked.map(({ roles }) => roles)).to.deep.equal([['a'], ['c']]);
    expect([...api.of(ann.id)]).to.deep.equal([]);
  });
});

describe('a further connection of a member', () => {
  it('joins only if canJoin allows it', async () => {
    const { api, guest } = await open();
    const later = await guest('ann');

    expect(await later.refused('join-room', 'staff')).to.equal('FORBIDDEN');
    expect([...api.of(later.id)]).to.deep.equal([]);
    expect(await code(api.join(later.id, 'staff'))).to.equal('FORBIDDEN');
  });

  it('is checked by canJoin as a member', async () => {
    const asked: boolean[] = [];
    const { guest } = await open({ canJoin: ({ isMember }) => { asked.push(isMember); return true; } });
    const later = await guest('ann');

    await later.ask('join-room', 'staff');

    expect(asked).to.deep.equal([false, false, true, true]);
  });
});

describe('a further connection that waits for canJoin', () => {
  it('needs the password when the member was removed meanwhile', async () => {
    const answers: (() => void)[] = [];
    let isHeld = false;
    const { api, guest } = await serve({
      async canJoin(_attempt, standard) {
        const verdict = await standard();
        if (isHeld) await new Promise<void>((resolve) => answers.push(resolve));
        return verdict;
      },
    });
    await api.create('vault', { password: 'x' });
    const [first, second] = [await guest('bob'), await guest('bob')];
    await api.join(first.id, 'vault', 'x');
    isHeld = true;

    const reply = second.refused('join-room', 'vault');
    await eventually('the question', () => answers.length === 1);
    await api.kick('vault', 'bob');
    answers[0]!();

    expect(await reply).to.equal('PASSWORD_REQUIRED');
    expect(api.members('vault')).to.deep.equal([]);
  });
});

describe('joining while the user changes', () => {
  it('asks canJoin about the latest user', async () => {
    const answers: (() => void)[] = [];
    let isHeld = false;
    const { api, guest, change } = await open({
      async canJoin({ connection }) {
        const allowed = isStaff(connection);
        if (isHeld) await new Promise<void>((resolve) => answers.push(resolve));
        if (!allowed) throw new ModuleError('STAFF_ONLY');
        return true;
      },
    });
    const bob = await guest('bob');
    change(bob.connection, { roles: ['staff'] });
    isHeld = true;

    const reply = bob.refused('join-room', 'staff');
    await eventually('the question', () => answers.length === 1);
    change(bob.connection, { roles: [] });
    answers[0]!();
    await eventually('another question', () => answers.length === 2);
    answers[1]!();

    expect(await reply).to.equal('STAFF_ONLY');
    expect(api.members('staff')).to.not.include('bob');
  });
});
