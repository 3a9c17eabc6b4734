import { expect } from 'chai';
import type { RoomsOptions } from '../../../plugins/rooms.ts';
import { eventually } from '../../support/timing.ts';
import { received, serve, type Guest } from './serving.ts';

/** A room that olga owns, with the members that are named. */
async function open<const Names extends readonly string[]>(options: RoomsOptions, ...names: Names) {
  const serving = await serve({ ownerTimeout: 20, ...options });
  const olga = await serving.guest('olga');
  await olga.ask('create-room', 'lobby');
  await serving.api.join(olga.id, 'lobby');
  const members = (await serving.members('lobby', ...names)) as { [K in keyof Names]: Guest };
  const ownerIs = (userId: string) =>
    eventually(`${userId} owns the room`, () => serving.api.get('lobby')?.owner === userId);
  return { ...serving, room: serving.api.get('lobby')!, olga, members, ownerIs };
}

describe('a room whose owners have left', () => {
  it('gets the member who joined first as owner, with all permissions and a notice', async () => {
    const { room, olga, members: [mia, max], ownerIs } = await open({}, 'mia', 'max');

    await olga.client.terminate();
    await ownerIs('mia');

    expect((await mia.client.next('role-changed')).content).to.deep.equal({ roomId: 'lobby', role: 'owner' });
    const told = { roomId: 'lobby', userId: 'mia', username: 'MIA' };
    for (const one of [mia, max]) expect((await one.client.next('owner-changed')).content).to.deep.equal(told);
    expect((await mia.ask('room-kick', { roomId: 'lobby', userId: 'max' })).type).to.equal('room-kick');
    expect(room.getUserRole('olga')).to.equal('owner');
  });

  it('gets the member with the highest role as owner', async () => {
    const roles = {
      speaker: { canSendMessage: true, canInviteUsers: true },
      bouncer: { canSendMessage: true, canKickUsers: true },
    };
    const { api, olga, ownerIs } = await open({ defaults: { permissions: { roles } } }, 'mia', 'sam', 'ben', 'bob');
    await api.setRole('lobby', 'sam', 'speaker');
    for (const userId of ['ben', 'bob']) await api.setRole('lobby', userId, 'bouncer');

    await olga.ask('leave-room', 'lobby');

    await ownerIs('ben');
  });

  it('skips members who may not send messages, or own too many rooms', async () => {
    const { api, olga, guest, room, ownerIs } = await open({ maxRoomsPerOwner: 1 }, 'gus', 'mia', 'max');
    await api.setRole('lobby', 'gus', 'guest');
    await (await guest('mia')).ask('create-room', 'hers');

    await olga.client.terminate();
    await ownerIs('max');

    expect([...room.roles]).to.deep.equal([['olga', 'owner'], ['gus', 'guest'], ['max', 'owner']]);
  });

  it('waits for a candidate', async () => {
    const { api, olga, members, ownerIs } = await open({}, 'gus');
    await api.setRole('lobby', 'gus', 'guest');
    await olga.client.terminate();
    await eventually('olga has left', () => !api.members('lobby').includes('olga'));

    await members[0].ask('who');
    expect(api.get('lobby')!.owner).to.equal('olga');
    await api.setRole('lobby', 'gus', 'member');

    await ownerIs('gus');
  });

  it('keeps its owner while one of them is in it, or comes back in time', async () => {
    const { api, manager, olga, guest, members: [mia] } = await open({ ownerTimeout: 60_000 }, 'mia');
    const before = manager.inspect()['deadlines']!;
    await olga.ask('leave-room', 'lobby');
    const waiting = manager.inspect()['deadlines'];
    await olga.ask('join-room', 'lobby');
    const back = manager.inspect()['deadlines'];
    await api.setRole('lobby', 'mia', 'owner');
    await olga.ask('leave-room', 'lobby');
    const other = await guest('olga');
    await api.join(other.id, 'lobby');

    expect([waiting, back, manager.inspect()['deadlines']]).to.deep.equal([before + 1, before, before]);
    expect(await received(mia, 'owner-changed')).to.deep.equal([]);
  });

  it('keeps its owner when it is persistent, or with ownerTimeout false', async () => {
    for (const options of [{ defaults: { persistent: true } }, { ownerTimeout: false as const }]) {
      const { api, manager, olga, members: [mia] } = await open(options, 'mia');
      const before = manager.inspect()['deadlines'];

      await olga.ask('leave-room', 'lobby');
      await mia.ask('who');

      expect(manager.inspect()['deadlines']).to.equal(before);
      expect(api.get('lobby')!.owner).to.equal('olga');
    }
  });

  it('gets the owner that nextOwner chooses', async () => {
    const choices: (string | undefined)[] = [undefined, 'max'];
    const { olga, ownerIs } = await open({ nextOwner: () => choices.shift() }, 'mia', 'max');

    await olga.client.terminate();
    await ownerIs('max');

    expect(choices).to.deep.equal([]);
  });

  it('reports a nextOwner that fails', async () => {
    const { olga, errors } = await open({ nextOwner: () => { throw new Error('not today'); } }, 'mia');

    await olga.client.terminate();
    await eventually('the error', () => errors.length > 0);

    expect(errors[0]).to.have.property('message', 'not today');
  });
});

describe('a room of an anonymous owner', () => {
  it('is handed over when the connection closes', async () => {
    const { api, guest } = await serve();
    const [owner, mate] = [await guest(), await guest()];
    await owner.ask('create-room', 'tea');
    for (const one of [owner, mate]) await one.ask('join-room', 'tea');

    await owner.client.terminate();
    await eventually('the other one owns it', () => api.get('tea')?.owner === mate.id);

    expect([...api.get('tea')!.roles]).to.deep.equal([[mate.id, 'owner']]);
    expect((await mate.ask('delete-room', 'tea')).type).to.equal('room-deleted');
  });

  it('is handed over later when there is no candidate yet', async () => {
    const { api, guest, members } = await serve({ ownerTimeout: 20 });
    const owner = await guest();
    await owner.ask('create-room', 'tea');
    await members('tea', 'gus');
    await api.setRole('tea', 'gus', 'guest');

    await owner.client.terminate();
    await eventually('it is gone', () => !api.get('tea')!.users.has(owner.id));
    await members('tea', 'mia');

    await eventually('mia owns it', () => api.get('tea')?.owner === 'mia');
  });

  it('counts for its address until another member owns it', async () => {
    const { api, guest, manager, members } = await serve({ maxRoomsPerOwner: 1 });
    const owner = await guest();
    await owner.ask('create-room', 'tea');
    await members('tea', 'gus');
    await api.setRole('tea', 'gus', 'guest');
    const close = async ({ client, id }: Guest) => {
      await client.terminate();
      await eventually('the connection is closed', () => !manager.connections.has(id));
    };

    await close(owner);
    const refused = await (await guest()).refused('create-room', 'coffee');
    await api.setRole('tea', 'gus', 'owner');

    expect(refused).to.equal('TOO_MANY_ROOMS');
  });
});
