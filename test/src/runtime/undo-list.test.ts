import { expect } from 'chai';
import { UndoList } from '../../../src/runtime/scope.ts';

describe('an undo list', () => {
  it('keeps items in the order of insertion', () => {
    const list = new UndoList<string>();
    for (const item of ['a', 'b', 'c']) list.add(item);

    expect([...list]).to.deep.equal(['a', 'b', 'c']);
    expect(list.size).to.equal(3);
  });

  it('accepts the same item twice, and each undo removes one of them, once', () => {
    const list = new UndoList<string>();
    list.add('a');
    list.add('b');
    const undo = list.add('a');

    undo();
    undo();

    expect([...list]).to.deep.equal(['a', 'b']);
  });

  it('notifies of each change, and of nothing else', () => {
    let changes = 0;
    const list = new UndoList<string>(() => changes++);

    const undo = list.add('a');
    undo();
    undo();

    expect(changes).to.equal(2);
  });

  it('may change during iteration', () => {
    const list = new UndoList<string>();
    const undo = list.add('a');
    list.add('b');
    const seen: string[] = [];

    for (const item of list) {
      seen.push(item);
      undo();
    }

    expect(seen).to.deep.equal(['a', 'b']);
  });
});
