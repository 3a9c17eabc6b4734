import { expect } from 'chai';
import { cleanup, undoAll } from './cleanup.ts';

describe('cleanup', () => {
  it('runs the steps in reverse order', async () => {
    const order: number[] = [];
    cleanup(() => order.push(1));
    cleanup(async () => order.push(2));

    await undoAll();

    expect(order).to.deep.equal([2, 1]);
  });

  it('runs the other steps when one fails, and then fails', async () => {
    let reached = false;
    cleanup(() => (reached = true));
    cleanup(() => { throw new Error('stuck'); });

    const failure = await undoAll().catch((error: unknown) => error);

    expect(reached).to.be.true;
    expect(failure).to.have.property('message', 'stuck');
  });
});
