import { expect } from 'chai';
import { Quota } from '../../../src/runtime/quota.ts';

describe('Quota', () => {
  it('rejects more than the bound of one owner, and takes nothing then', () => {
    const quota = new Quota({ max: 100, maxPerOwner: 3 });

    const taken = [quota.take('a', 2), quota.take('a', 2), quota.take('a')];

    expect(taken).to.deep.equal([undefined, { of: 'owner', limit: 3 }, undefined]);
    expect(quota.take('b', 3)).to.equal(undefined);
    expect(quota.size).to.equal(6);
  });

  it('rejects more than the total bound, and takes nothing from other owners', () => {
    const quota = new Quota({ max: 4, maxPerOwner: 3 });
    quota.take('a', 3);

    expect([quota.take('b', 2), quota.take('b')]).to.deep.equal([{ of: 'all', limit: 4 }, undefined]);
  });

  it('frees what is returned, never more than was taken, and removes owners that hold nothing', () => {
    const quota = new Quota({ max: 3 });
    quota.take('a', 3);

    quota.give('a', 2);
    quota.give('a', 5);
    quota.give('b');

    expect([quota.size, quota.owners]).to.deep.equal([0, 0]);
    expect(quota.take('b', 3)).to.equal(undefined);
  });

  it('keeps nothing for an owner that takes nothing', () => {
    const quota = new Quota({ max: 1 });

    expect(quota.take('a', 0)).to.equal(undefined);
    expect(quota.owners).to.equal(0);
  });

  it('rejects invalid bounds', () => {
    for (const options of [{ max: 0 }, { max: Infinity }, { max: 1, maxPerOwner: 0.5 }]) {
      expect(() => new Quota(options)).to.throw().with.property('code', 'OPTION_INVALID');
    }
  });
});
