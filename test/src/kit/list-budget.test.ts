import { expect } from 'chai';
import sinon from 'sinon';
import { ListBudget, ModuleError, type Connection } from '../../../src/index.ts';
import { cleanup } from '../../support/cleanup.ts';
import { stubConnection } from '../../support/stub-context.ts';

/** How many lists of so many items pass, of a thousand. */
function passed(budget: ListBudget, connection: Connection, items: number): number {
  let count = 0;
  try {
    for (; count < 1_000; count++) budget.charge(connection, items);
  } catch (error) {
    expect(error).to.be.instanceOf(ModuleError).with.property('code', 'RATE_LIMITED');
    expect((error as ModuleError).details).to.deep.include({ scope: 'list' });
  }
  return count;
}

const ann = stubConnection({ id: 'ann' });
const bob = stubConnection({ id: 'bob' });

describe('a budget for lists', () => {
  it('gives a connection ten of the longest lists at once, and five more in each second', () => {
    const clock = sinon.useFakeTimers({ toFake: ['performance'] });
    cleanup(() => clock.restore());
    const budget = new ListBudget(1_000);

    expect(passed(budget, ann, 1_000)).to.equal(10);
    clock.tick(1_000);
    expect(passed(budget, ann, 1_000)).to.equal(5);
    expect(passed(budget, bob, 1_000), 'another connection').to.equal(10);
  });

  it('takes a token for each item, and one for an empty list', () => {
    const clock = sinon.useFakeTimers({ toFake: ['performance'] });
    cleanup(() => clock.restore());
    const budget = new ListBudget(10);

    expect(passed(budget, ann, 0)).to.equal(100);
    expect(passed(budget, bob, 2)).to.equal(50);
  });
});
