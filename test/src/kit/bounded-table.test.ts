import { expect } from 'chai';
import fc from 'fast-check';
import { BoundedTable } from '../../../src/kit/bounded-table.ts';
import type { TableFull } from '../../../src/runtime/quota.ts';

describe('BoundedTable', () => {
  it('keeps, replaces and deletes', () => {
    const table = new BoundedTable<string, number>({ max: 10 });

    expect(table.set('a', 1)).to.be.undefined;
    expect(table.set('a', 2)).to.be.undefined;
    expect([table.get('a'), table.get('b'), table.has('a'), table.size]).to.deep.equal([2, undefined, true, 1]);
    expect([table.delete('a'), table.delete('a'), table.size]).to.deep.equal([true, false, 0]);
  });

  it('rejects a new entry when it is full, and evicts no entry of another owner', () => {
    const table = new BoundedTable<string, number>({ max: 2 });
    table.set('a', 1, 'ann');
    table.set('b', 2, 'bob');

    expect(table.set('c', 3, 'eve')).to.deep.equal({ of: 'all', limit: 2 });
    expect([...table]).to.deep.equal([['a', 1], ['b', 2]]);
    expect(table.set('a', 4, 'ann')).to.be.undefined;
  });

  it('refuses an owner at the bound per owner', () => {
    const table = new BoundedTable<string, number>({ max: 10, maxPerOwner: 2 });
    table.set('a', 1, 'eve');
    table.set('b', 1, 'eve');

    expect(table.set('c', 1, 'eve')).to.deep.equal({ of: 'owner', limit: 2 });
    expect(table.set('c', 1, 'ann')).to.be.undefined;
    table.delete('a');
    expect(table.set('d', 1, 'eve')).to.be.undefined;
  });

  it('counts a replaced entry under its new owner', () => {
    const table = new BoundedTable<string, number>({ max: 10, maxPerOwner: 1 });
    table.set('a', 1, 'ann');
    table.set('b', 1, 'bob');

    expect(table.set('a', 2, 'bob')).to.deep.equal({ of: 'owner', limit: 1 });
    expect(table.get('a')).to.equal(1);
    table.delete('b');
    expect(table.set('a', 2, 'bob')).to.be.undefined;
    expect(table.set('c', 3, 'ann')).to.be.undefined;
  });

  it('returns no expired entry, and frees its place for a new one', () => {
    let now = 0;
    const table = new BoundedTable<string, number>({ max: 2, maxPerOwner: 1, isExpired: (until) => until <= now });
    table.set('a', 10, 'ann');
    table.set('b', 20, 'bob');
    now = 10;

    expect([table.get('a'), table.has('a'), table.delete('a')]).to.deep.equal([undefined, false, false]);
    expect(table.set('c', 30, 'ann')).to.be.undefined;
    now = 20;
    expect([...table]).to.deep.equal([['c', 30]]);
    expect(table.peek('b')).to.equal(20);
    expect(table.set('d', 30, 'bob')).to.be.undefined;
    expect(table.keysOf('bob')).to.deep.equal(['d']);
  });

  it('removes a few expired entries with each new entry', () => {
    let now = 0;
    const table = new BoundedTable<number, number>({ max: 1_000_000, isExpired: (until) => until <= now });

    for (; now < 50_000; now++) table.set(now, now + 100);

    expect(table.size).to.be.at.most(300);
  });

  it('evicts spare entries only when it is full', () => {
    const table = new BoundedTable<string, 'spare' | 'needed'>({ max: 2, isExpired: () => false, isDisposable: (value) => value === 'spare' });
    table.set('a', 'needed');
    table.set('b', 'spare');

    expect(table.get('b')).to.equal('spare');
    expect(table.set('c', 'needed')).to.be.undefined;
    expect([...table].map(([key]) => key)).to.deep.equal(['a', 'c']);
    expect(table.set('d', 'needed')).to.deep.equal({ of: 'all', limit: 2 });
  });

  it('removes expired entries when it is swept', () => {
    let now = 0;
    const table = new BoundedTable<number, number>({ max: 100, isExpired: (until) => until <= now });
    for (let key = 0; key < 100; key++) table.set(key, key);
    now = 50;

    table.sweep(100);

    expect(table.size).to.equal(49);
  });

  it('keeps values that are undefined', () => {
    const table = new BoundedTable<string, undefined>({ max: 10 });
    table.set('a', undefined);

    expect([table.has('a'), table.has('b')]).to.deep.equal([true, false]);
  });

  it('checks only a few entries for each new one, however many it holds', () => {
    let asked = 0;
    const table = new BoundedTable<number, number>({ max: 10_000, isExpired: () => {
      asked++;
      return false;
    } });
    for (let key = 0; key < 10_000; key++) table.set(key, key);
    expect(asked).to.be.at.most(20_000);
    asked = 0;

    expect(table.set(-1, 0)).to.deep.equal({ of: 'all', limit: 10_000 });
    expect(asked).to.be.at.most(66);
  });

  it('deletes everything of one owner', () => {
    const table = new BoundedTable<string, number>({ max: 10 });
    table.set('a', 1, 'ann');
    table.set('b', 1, 'bob');
    table.set('c', 1, 'ann');

    table.deleteOwner('ann');

    expect([...table]).to.deep.equal([['b', 1]]);
    expect(table.keysOf('ann')).to.deep.equal([]);
  });

  it('behaves like a plain map with both bounds after any operations', () => {
    const key = fc.integer({ min: 0, max: 12 });
    const owner = fc.constantFrom('ann', 'bob', undefined);
    const step = fc.oneof(
      fc.record({ do: fc.constant('set' as const), key, owner, life: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ do: fc.constant('get' as const), key }),
      fc.record({ do: fc.constant('delete' as const), key }),
      fc.record({ do: fc.constant('forget' as const), owner: fc.constantFrom('ann', 'bob') }),
      fc.record({ do: fc.constant('wait' as const), time: fc.integer({ min: 0, max: 10 }) }),
    );
    fc.assert(fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      let now = 0;
      const model = new Map<number, { until: number; owner: string | undefined }>();
      const table = new BoundedTable<number, number>({ max: 6, maxPerOwner: 3, isExpired: (until) => until <= now });
      for (const one of steps) {
        for (const [present, { until }] of model) if (until <= now) model.delete(present);
        if (one.do === 'wait') now += one.time;
        else if (one.do === 'get') expect(table.get(one.key)).to.equal(model.get(one.key)?.until);
        else if (one.do === 'delete') expect(table.delete(one.key)).to.equal(model.delete(one.key));
        else if (one.do === 'forget') {
          table.deleteOwner(one.owner);
          for (const [present, entry] of model) if (entry.owner === one.owner) model.delete(present);
        } else {
          const others = [...model].filter(([present, entry]) => entry.owner === one.owner && present !== one.key);
          const refusal: TableFull | undefined = one.owner !== undefined && others.length >= 3 ? { of: 'owner', limit: 3 }
            : !model.has(one.key) && model.size >= 6 ? { of: 'all', limit: 6 } : undefined;
          expect(table.set(one.key, now + one.life, one.owner)).to.deep.equal(refusal);
          if (!refusal) model.set(one.key, { until: now + one.life, owner: one.owner });
        }
      }
      for (const [present, { until }] of model) if (until <= now) model.delete(present);
      expect(new Map(table)).to.deep.equal(new Map([...model].map(([present, { until }]) => [present, until])));
    }), { numRuns: 500 });
  });

  it('rejects invalid bounds', () => {
    for (const wrong of [{ max: 0 }, { max: Infinity }, { max: 10, maxPerOwner: 0.5 }]) {
      expect(() => new BoundedTable(wrong)).to.throw().with.property('code', 'OPTION_INVALID');
    }
  });
});
