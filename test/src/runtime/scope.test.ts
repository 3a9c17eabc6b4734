import { expect } from 'chai';
import { Scope } from '../../../src/runtime/scope.ts';

describe('scope', () => {
  it('undoes in reverse order, each after the previous one has finished', async () => {
    const scope = new Scope();
    const order: string[] = [];
    scope.add(() => order.push('first added'), 'it');
    scope.add(async () => {
      await Promise.resolve();
      order.push('last added');
    }, 'it');

    const failures = await scope.close();

    expect(order).to.deep.equal(['last added', 'first added']);
    expect(failures).to.deep.equal([]);
  });

  it('undoes the rest when one fails, and reports every failure', async () => {
    const scope = new Scope();
    let reached = false;
    scope.add(() => { reached = true; }, 'it');
    scope.add(() => { throw new Error('one'); }, 'it');
    scope.add(() => Promise.reject(new Error('two')), 'it');

    const failures = await scope.close();

    expect(reached).to.be.true;
    expect(failures.map((error) => (error as Error).message)).to.deep.equal(['two', 'one']);
  });

  it('runs an undo only once when it is called early', async () => {
    const scope = new Scope();
    let undone = 0;
    const undo = scope.add(() => undone++, 'it');

    undo();
    undo();
    await scope.close();

    expect(undone).to.equal(1);
    expect(scope.size).to.equal(0);
  });

  it('reports that it is closed as soon as closing begins', () => {
    const scope = new Scope();
    scope.add(() => new Promise(() => {}), 'it');

    void scope.close();

    expect(scope.closed).to.be.true;
  });
});
