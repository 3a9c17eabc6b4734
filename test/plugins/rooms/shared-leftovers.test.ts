import { expect } from 'chai';
import { eventually } from '../../support/timing.ts';
import { sharing, twoNodes } from './sharing.ts';

describe('what a node leaves in the store', () => {
  it('is deleted by the next one: an empty room, but no room that is kept', async () => {
    const { start, data } = sharing();
    const options = { defaults: { behavior: { emptyTimeout: 20 } } };
    const first = await start(options);
    await first.api.create('empty', { owner: 'alice' });
    await first.api.create('kept');
    await first.manager.stop();
    await new Promise((resolve) => setTimeout(resolve, 30));
    // The first node has searched in this minute already.
    data.rates.clear();

    const second = await start(options);

    await eventually('the empty room is gone', async () => await second.api.fetchRoom('empty') === undefined);
    expect((await second.api.fetchList()).rooms.map(({ id }) => id)).to.deep.equal(['kept']);
    expect((await second.api.create('Empty', { owner: 'alice' })).name).to.equal('Empty');
  });

  it('is a room with its bans, which the next one finds', async () => {
    const { start } = sharing();
    const first = await start();
    await first.api.create('lobby');
    await first.api.ban('lobby', 'bob');
    await first.manager.stop();

    const second = await start();
    const room = await second.api.ensure('lobby');
    const bob = await second.guest('bob');

    expect(room.memberCount).to.equal(0);
    expect(await bob.refused('join-room', 'lobby')).to.equal('BANNED');
  });

  it('is no seat when the plugin is unloaded, and the plugin can be loaded again', async () => {
    const [here, there] = await twoNodes();
    const [alice] = await here.members('lobby', 'alice');
    const before = here.manager.inspect()['seatParts'];

    await here.manager.unload('rooms');

    expect((await there.api.fetchInfo('lobby')).memberCount).to.equal(0);
    here.manager.use('rooms');
    await here.manager.ready();
    expect((await alice.ask('join-room', 'lobby')).type).to.equal('room-joined');
    expect((await there.api.fetchInfo('lobby')).memberCount).to.equal(1);
    expect(here.manager.inspect()['seatParts']).to.equal(before);
  });

  it('is no topic, timer or seat after clients have come and gone', async () => {
    const [here, there] = await twoNodes({ seatGrace: 0, defaults: { behavior: { emptyTimeout: 1 } } });
    const before = here.manager.inspect();
    for (let round = 0; round < 5; round++) {
      const guests = await Promise.all([here.guest(`a ${round}`), here.guest(), there.guest(`b ${round}`)]);
      await guests[0].ask('create-room', 'lobby');
      for (const guest of guests) await guest.ask('join-room', 'lobby');
      for (const { client } of guests) await client.terminate();
      await eventually('the room is gone', async () => await here.api.fetchRoom('lobby') === undefined);
    }

    await eventually('nothing left', () => {
      const { topics, deadlines } = here.manager.inspect();
      return (topics === before['topics'] && deadlines === before['deadlines']) || { topics, deadlines, before };
    });
    expect([...here.errors, ...there.errors]).to.deep.equal([]);
  });
});
