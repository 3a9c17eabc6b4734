import { expect } from 'chai';
import { inTurns } from '../../../src/kit/in-turns.ts';

describe('inTurns()', () => {
  it('runs work for each item, so many at once', async () => {
    const done: number[] = [];
    let running = 0;
    let most = 0;

    await inTurns([1, 2, 3, 4, 5], 2, async (item) => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      done.push(item);
    });

    expect([done, most]).to.deep.equal([[1, 2, 3, 4, 5], 2]);
  });

  it('rejects with the first failure, after which no more work begins', async () => {
    const begun: number[] = [];
    const work = async (item: number): Promise<void> => {
      begun.push(item);
      if (item === 2) throw new Error('two');
    };

    const failure = await inTurns([1, 2, 3], 2, work).catch((error: unknown) => error);

    expect(failure).to.be.an('error').with.property('message', 'two');
    expect(begun).to.deep.equal([1, 2]);
  });
});
