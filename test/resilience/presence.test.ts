import { expect } from 'chai';
import { knowEachOther } from '../support/nodes.ts';
import { eventually } from '../support/timing.ts';
import { eventsOf, heard, idsIn, withPresence } from '../plugins/presence/nodes-lab.ts';
import { sharing } from '../plugins/rooms/sharing.ts';

describe('presence when a node is lost', () => {
  it('announces its users once within 15 s, and again when the node is back', async () => {
    const { start } = sharing();
    const [here, there, lost] = [
      await start({}, withPresence()), await start({}, withPresence()), await start({}, withPresence()),
    ];
    await knowEachOther(here, there, lost);
    const [ben, zoe, both] = [await here.guest('ben'), await lost.guest('zoe'), await lost.guest('both')];
    await there.guest('both');
    await eventually('ben knows zoe', async () => (await heard(ben)).includes('+zoe'));
    const events = eventsOf(here, there);
    const begin = performance.now();

    await lost.store.lapse();
    expect(await zoe.refused('get-online-users')).to.equal('STORE_UNAVAILABLE');
    await eventually('zoe is gone', async () => (await heard(ben)).includes('-zoe'), 15_000);
    const took = performance.now() - begin;
    const listed = await idsIn(ben);
    lost.store.open();
    await eventually('zoe is back', async () => (await heard(ben)).filter((change) => change === '+zoe').length === 2, 15_000);

    expect(took).to.be.below(15_000);
    expect(listed[0]).to.deep.equal(['ben', 'both']);
    expect((await heard(ben)).filter((change) => /zoe|both/.test(change))).to.deep.equal(['+zoe', '+both', '-zoe', '+zoe']);
    expect(events).to.deep.equal(['-zoe']);
    expect(await idsIn(both)).to.deep.equal([['ben', 'both', 'zoe'], 3, 0]);
    expect([...here.errors, ...there.errors, ...lost.errors]).to.deep.equal([]);
  });

  it('enters its users again after a loss of data, and announces nothing', async () => {
    const { start, data } = sharing();
    const [here, there] = [await start({}, withPresence()), await start({}, withPresence())];
    await knowEachOther(here, there);
    const [ben] = [await here.guest('ben'), await there.guest('zoe')];
    await eventually('ben knows zoe', async () => (await heard(ben)).includes('+zoe'));
    const before = await heard(ben);

    data.forget();

    await eventually('all are listed', async () => (await idsIn(ben))[1] === 2, 15_000);
    expect(await heard(ben)).to.deep.equal(before);
  });
});
