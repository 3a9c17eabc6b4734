import { expect } from 'chai';
import { useFakeTimers } from 'sinon';
import type { RoomsOptions } from '../../../plugins/rooms.ts';
import { cleanup } from '../../support/cleanup.ts';
import { eventually } from '../../support/timing.ts';
import { serve, type Guest } from './serving.ts';

/** A full room with two users, and what disconnects them. */
async function full(options: RoomsOptions = {}) {
  const serving = await serve(options);
  await serving.api.create('small', { maxUsers: 2 });
  const [alice, bob] = await serving.members('small', 'alice', 'bob');
  const lose = async ({ client, id }: Guest, close: () => unknown = () => client.terminate()): Promise<void> => {
    await close();
    await eventually('the connection is closed', () => !serving.manager.connections.has(id));
  };
  return { ...serving, alice, bob, carol: await serving.guest('carol'), lose };
}

describe('the seat of a user whose connection broke', () => {
  it('is kept for seatGrace in a full room', async () => {
    const { api, bob, carol, guest, lose } = await full();
    const clock = useFakeTimers({ toFake: ['performance'] });
    cleanup(() => clock.restore());
    await lose(bob);

    clock.tick(14_000);
    expect(await carol.refused('join-room', 'small')).to.equal('ROOM_FULL');
    const back = await guest('bob');
    expect((await back.ask('join-room', 'small')).type).to.equal('room-joined');
    await lose(back);
    clock.tick(15_001);

    expect((await carol.ask('join-room', 'small')).type).to.equal('room-joined');
    expect(api.members('small')).to.deep.equal(['alice', 'carol']);
  });

  it('is kept for users only, and each user has one', async () => {
    const { alice, bob, carol, api, guest, lose } = await full();
    const second = await guest('bob');
    await api.join(second.id, 'small');
    for (const one of [alice, bob, second]) await lose(one);

    expect(await carol.refused('join-room', 'small')).to.equal('ROOM_FULL');
    const back = await guest('alice');
    await back.ask('join-room', 'small');
    expect(await carol.refused('join-room', 'small')).to.equal('ROOM_FULL');
    await back.ask('leave-room', 'small');

    expect((await carol.ask('join-room', 'small')).type).to.equal('room-joined');
  });

  it('is not kept for a member who left, closed with 1000, is banned, or is anonymous', async () => {
    const { api, alice, bob, carol, guest, lose } = await full();
    const join = async () => (await carol.ask('join-room', 'small')).type;
    const anonymous = await guest();

    await api.leave(bob.id, 'small');
    expect(await join()).to.equal('room-joined');
    await api.leave(carol.id, 'small');
    await api.join(bob.id, 'small');
    await lose(bob, () => bob.client.ws.close(1000));
    expect(await join()).to.equal('room-joined');
    await api.leave(carol.id, 'small');
    await lose(alice);
    await api.ban('small', 'alice');
    await api.join(anonymous.id, 'small');
    await lose(anonymous);

    expect(await join()).to.equal('room-joined');
    expect((await (await guest('dave')).ask('join-room', 'small')).type).to.equal('room-joined');
  });

  it('is not kept with seatGrace 0', async () => {
    const { bob, carol, lose } = await full({ seatGrace: 0 });

    await lose(bob);

    expect((await carol.ask('join-room', 'small')).type).to.equal('room-joined');
  });

  it('is deleted with the room', async () => {
    const { api, bob, carol, lose } = await full();
    await lose(bob);

    await api.delete('small');
    await api.create('small', { maxUsers: 1 });

    expect((await carol.ask('join-room', 'small')).type).to.equal('room-joined');
  });
});
