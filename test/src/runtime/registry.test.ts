import { expect } from 'chai';
import { Registry } from '../../../src/runtime/registry.ts';

describe('registry', () => {
  it('returns an entry until it is undone', () => {
    const registry = new Registry<number>('metric');
    const undo = registry.add('one', 1, 'me');

    const before = [registry.get('one'), registry.size, registry.names()];
    undo();

    expect(before).to.deep.equal([1, 1, ['one']]);
    expect([registry.get('one'), registry.size, registry.names()]).to.deep.equal([undefined, 0, []]);
  });

  it('rejects a second entry of the same name, and names the owner of the first', () => {
    const registry = new Registry<number>('metric');
    registry.add('one', 1, 'the first');

    expect(() => registry.add('one', 2, 'me')).to.throw('metric "one" is already provided by "the first"').with.property('code', 'DUPLICATE');
    expect(registry.get('one')).to.equal(1);
  });

  it('finds names of Object.prototype only if they were added', () => {
    const registry = new Registry<number>('metric');

    const before = ['constructor', '__proto__', 'toString'].map((name) => registry.get(name));
    registry.add('__proto__', 1, 'me');

    expect(before).to.deep.equal([undefined, undefined, undefined]);
    expect(registry.get('__proto__')).to.equal(1);
  });

  it('removes no entry of another owner when an undo is called twice', () => {
    const registry = new Registry<number>('metric');
    const undo = registry.add('one', 1, 'me');
    undo();
    registry.add('one', 2, 'another');

    undo();

    expect(registry.get('one')).to.equal(2);
  });
});
