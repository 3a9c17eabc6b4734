import { expect } from 'chai';
import sinon from 'sinon';
import { definePlugin } from '../../../src/contracts.ts';
import { connectionAges } from '../../../src/kit/connection-ages.ts';
import { setUp, stubConnection } from '../../support/stub-context.ts';
import { cleanup } from '../../support/cleanup.ts';

describe('connectionAges', () => {
  it('tells how long a connection has been open, whatever the system time does', () => {
    const time = sinon.useFakeTimers({ toFake: ['performance', 'Date'], now: 1_000_000 });
    cleanup(() => { time.restore(); });
    let ageOf!: ReturnType<typeof connectionAges>;
    const earlier = stubConnection({ id: 'earlier', connectedAt: 990_000 });
    const later = stubConnection({ id: 'later', connectedAt: 1_000_000 });
    const plugin = definePlugin({ name: 'ages', setup: (context) => { ageOf = connectionAges(context); } });
    const stub = setUp(plugin, [earlier]);

    stub.tell('connection:added', later);
    time.tick(500);
    // The system time jumps an hour ahead.
    time.setSystemTime(5_000_000);

    expect([ageOf(earlier), ageOf(later)]).to.deep.equal([10_500, 500]);
    expect(ageOf(stubConnection({ id: 'unknown' }))).to.equal(0);
  });
});
