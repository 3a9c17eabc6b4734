import { expect } from 'chai';
import { definePlugin, type Connection, type Node } from '../../../index.ts';
import type { RoomsOptions } from '../../../plugins/rooms.ts';
import { eventually } from '../../support/timing.ts';
import { received, serve, type Guest } from './serving.ts';

/** A lobby, and a way to give connections a user. */
async function open(options: RoomsOptions = {}) {
  let node!: Node;
  const serving = await serve(options, {
    use: [
      definePlugin({
        name: 'probe',
        setup(context) {
          node = context.node;
        },
      }),
    ],
  });
  const lobby = await serving.api.create('lobby');
  const anonymous = async (roomId?: string): Promise<Guest> => {
    const one = await serving.guest();
    if (roomId !== undefined) await serving.api.join(one.id, roomId);
    return one;
  };
  const disconnect = async ({ client, id }: Guest): Promise<void> => {
    await client.terminate();
    await eventually('the connection is closed', () => !serving.manager.connections.has(id));
  };
  const identify = (connection: Connection, id: string): void => node.identify(connection, { id, username: id });
  return { ...serving, lobby, anonymous, disconnect, identify };
}

/** The same with `createOnJoin`, where the test decides whether rooms may be created. */
async function undecided() {
  const asked: ((verdict: boolean) => void)[] = [];
  const canCreate: RoomsOptions['canCreate'] = ({ owner }) =>
    owner === undefined || new Promise((resolve) => asked.push(resolve));
  return { ...await open({ createOnJoin: true, canCreate }), asked };
}

describe('an anonymous member who signs in', () => {
  it('keeps mutes, bans, warnings and invitations, also of rooms that it is not in', async () => {
    const { api, lobby, anonymous, identify } = await open();
    const [den, club] = [await api.create('den'), await api.create('club', { isPrivate: true })];
    const zed = await anonymous('lobby');
    await api.mute('lobby', zed.id, 60_000);
    await api.warn('lobby', zed.id);
    await api.warn('lobby', 'zed');
    await api.mute('den', zed.id, 60_000);
    await api.ban('den', zed.id);
    await api.invite('club', zed.id);

    identify(zed.connection, 'zed');

    expect(await zed.refused('room-message', 'hi', { roomId: 'lobby' })).to.equal('MUTED');
    expect(await zed.refused('join-room', 'den')).to.equal('BANNED');
    expect((await zed.ask('join-room', 'club')).type).to.equal('room-joined');
    expect([...lobby.userWarnings]).to.deep.equal([['zed', 2]]);
    expect(
      [lobby.mutedUsers, den.mutedUsers, den.bannedUsers, club.invited].map((list) => [...list.keys()]),
    ).to.deep.equal([['zed'], ['zed'], ['zed'], ['zed']]);
  });

  it('is notified of the end of its mute: the later one of two', async () => {
    const { api, manager, lobby, anonymous, identify } = await open();
    const [short, long] = [await anonymous('lobby'), await anonymous('lobby')];
    const before = manager.inspect()['deadlines']!;
    await api.mute('lobby', long.id, 60_000);
    await api.mute('lobby', short.id, 100);

    identify(short.connection, 'short');
    const over = await short.client.next('unmuted');
    await api.mute('lobby', 'long', 1_000);
    identify(long.connection, 'long');

    expect(over.content).to.deep.equal({ roomId: 'lobby' });
    expect(lobby.mutedUntil('long')!.getTime() - Date.now()).to.be.above(10_000);
    expect([...lobby.mutedUsers.keys()]).to.deep.equal(['long']);
    expect(manager.inspect()['deadlines']).to.equal(before + 1);
    await api.unmute('lobby', 'long');
    expect(lobby.mutedUsers.size).to.equal(0);
  });

  it('is removed with all connections where it was banned before', async () => {
    const { api, lobby, members, anonymous, identify, events } = await open();
    const [zed, watcher] = await members('lobby', 'zed', 'watcher');
    const other = await anonymous('lobby');
    await api.ban('lobby', other.id);

    identify(other.connection, 'zed');

    expect((await zed.client.next('banned')).content).to.deep.equal({ roomId: 'lobby' });
    expect([...lobby.users]).to.deep.equal(['watcher']);
    expect(events.at(-1)).to.equal('left lobby zed');
    expect((await received(watcher, 'user-left')).map(({ content }) => content.userId as string)).to.deep.equal([
      other.id,
      'zed',
    ]);
    expect(await received(other, 'banned')).to.have.length(1);
  });

  it('is neither banned nor muted where its user is an owner', async () => {
    const { api, anonymous, guest, identify } = await open();
    const den = await api.create('den', { owner: 'olga' });
    const olga = await guest('olga');
    await api.join(olga.id, 'den');
    const other = await anonymous('den');
    await api.mute('den', other.id, 60_000);
    await api.ban('den', other.id);

    identify(other.connection, 'olga');

    expect((await olga.ask('room-message', 'hi', { roomId: 'den', ack: true })).type).to.equal('ack');
    expect([den.bannedUsers.size, den.mutedUsers.size]).to.deep.equal([0, 0]);
  });

  it('gets no role where its user is banned', async () => {
    const { api, lobby, anonymous, identify } = await open();
    const other = await anonymous('lobby');
    await api.setRole('lobby', other.id, 'admin');
    await api.ban('lobby', 'zed');

    identify(other.connection, 'zed');

    expect([...lobby.roles]).to.deep.equal([]);
    expect([...lobby.users]).to.deep.equal([]);
  });

  it('owns no more rooms than a user may; the others go with the connection', async () => {
    const { api, anonymous, guest, disconnect, identify } = await open({ maxRoomsPerOwner: 2 });
    const zed = await guest('zed');
    const other = await anonymous();
    await zed.ask('create-room', 'one');
    for (const roomId of ['two', 'three']) await other.ask('create-room', roomId);

    identify(other.connection, 'zed');
    const owners = ['one', 'two', 'three'].map((roomId) => api.get(roomId)!.owner);
    const more = await zed.refused('create-room', 'four');
    await disconnect(other);

    expect(owners).to.deep.equal(['zed', 'zed', other.id]);
    expect(more).to.equal('TOO_MANY_ROOMS');
    expect(['one', 'two', 'three'].filter((roomId) => api.get(roomId))).to.deep.equal(['one', 'two']);
  });

  it('owns the room that was being created for it', async () => {
    const { api, anonymous, identify, asked } = await undecided();
    const zed = await anonymous();
    const answer = zed.ask('join-room', 'tea');
    await eventually('the question', () => asked.length === 1);

    identify(zed.connection, 'zed');
    asked[0]!(true);

    expect((await answer).content).to.include({ roomId: 'tea', owner: 'zed', role: 'owner' });
    expect(api.members('tea')).to.deep.equal(['zed']);
  });
});

describe('an anonymous member who disconnects', () => {
  it('is forgotten in all rooms, also those that it has left or never joined', async () => {
    const { api, manager, anonymous, disconnect, lobby } = await open();
    const den = await api.create('den');
    const before = manager.inspect()['deadlines'];
    const [leaves, banned, never] = [await anonymous('lobby'), await anonymous('lobby'), await anonymous()];
    for (const { id } of [leaves, banned, never]) {
      await api.warn('lobby', id);
      await api.mute('den', id, 60_000);
      await api.invite('lobby', id);
    }
    await api.setRole('lobby', leaves.id, 'admin');
    await api.leave(leaves.id, 'lobby');
    for (const roomId of ['lobby', 'den']) await api.ban(roomId, banned.id);

    for (const one of [leaves, banned, never]) await disconnect(one);

    for (const { bannedUsers, mutedUsers, userWarnings, invited, roles } of [lobby, den]) {
      expect([bannedUsers.size, mutedUsers.size, userWarnings.size, invited.size, roles.size]).to.deep.equal([
        0, 0, 0, 0, 0,
      ]);
    }
    expect(manager.inspect()['deadlines']).to.equal(before);
  });

  it('is not remembered again by later actions', async () => {
    const { api, lobby, anonymous, disconnect } = await open();
    const gone = await anonymous();
    await disconnect(gone);

    await api.warn('lobby', gone.id);
    await api.mute('lobby', gone.id, 60_000);
    await api.invite('lobby', gone.id);
    await api.ban('lobby', gone.id);

    expect([lobby.bannedUsers.size, lobby.mutedUsers.size, lobby.userWarnings.size, lobby.invited.size]).to.deep.equal([
      0, 0, 0, 0,
    ]);
  });

  it('leaves no room behind that was being created for it', async () => {
    const { api, anonymous, disconnect, errors, events, asked } = await undecided();
    const one = await anonymous();
    void one.client.send({ type: 'join-room', roomId: 'tea' });
    await eventually('the question', () => asked.length === 1);

    await disconnect(one);
    asked[0]!(true);

    await eventually('the room was created and deleted', () => events.includes('deleted tea'));
    expect(api.get('tea')).to.equal(undefined);
    expect(errors).to.deep.equal([]);
  });

  it('leaves nothing behind of rooms that were deleted before', async () => {
    const { api, manager, anonymous, disconnect, identify, errors } = await open();
    const before = manager.inspect()['deadlines'];
    const [zed, other] = [await anonymous('lobby'), await anonymous('lobby')];
    for (const { id } of [zed, other]) await api.mute('lobby', id, 60_000);
    await api.delete('lobby');
    const anew = await api.create('lobby');

    identify(zed.connection, 'zed');
    await disconnect(other);

    expect(anew.mutedUsers.size).to.equal(0);
    expect(manager.inspect()['deadlines']).to.equal(before);
    expect(errors).to.deep.equal([]);
  });
});
