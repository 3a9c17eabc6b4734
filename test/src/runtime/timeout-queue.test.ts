import { expect } from 'chai';
import sinon from 'sinon';
import { Clock } from '../../../src/runtime/clock.ts';
import { TimeoutQueue } from '../../../src/runtime/timeout-queue.ts';
import { cleanup } from '../../support/cleanup.ts';

interface Item { readonly name: string; readonly startedAt: number }

function queue(late?: (item: Item) => void) {
  const time = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  cleanup(() => { time.restore(); });
  const clock = new Clock();
  const expired: string[] = [];
  const items = new TimeoutQueue<Item>(clock, 100, (item) => {
    expired.push(item.name);
    items.items.delete(item);
    late?.(item);
  });
  const add = (name: string): Item => {
    const item = { name, startedAt: performance.now() };
    items.add(item);
    return item;
  };
  return { time, clock, items, expired, add };
}

describe('TimeoutQueue', () => {
  it('expires each item after the timeout, in order, on one deadline', () => {
    const { time, clock, expired, add } = queue();
    add('a');
    time.tick(60);
    add('b');
    const deadlines = clock.size;

    time.tick(41);
    const first = [...expired];
    time.tick(60);

    expect(deadlines).to.equal(1);
    expect(first).to.deep.equal(['a']);
    expect(expired).to.deep.equal(['a', 'b']);
    expect(clock.size).to.equal(0);
  });

  it('does not expire a removed item', () => {
    const { time, items, expired, add } = queue();
    const item = add('a');
    add('b');

    items.items.delete(item);
    time.tick(200);

    expect(expired).to.deep.equal(['b']);
  });

  it('watches again after it was empty', () => {
    const { time, expired, add } = queue();
    add('a');
    time.tick(150);
    add('b');

    time.tick(150);

    expect(expired).to.deep.equal(['a', 'b']);
  });

  it('expires the others when one of them fails', () => {
    const { time, clock, expired, add } = queue(({ name }) => { if (name === 'a') throw new Error('boom'); });
    add('a');
    add('b');
    time.tick(50);
    add('c');

    expect(() => time.tick(60)).to.throw('boom');
    time.tick(150);
    add('d');
    time.tick(150);

    expect(expired).to.deep.equal(['a', 'b', 'c', 'd']);
    expect(clock.size).to.equal(0);
  });
});
