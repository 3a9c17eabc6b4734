import { expect } from 'chai';
import fc from 'fast-check';
import { Sequences } from '../../../src/cluster/sequences.ts';

const from = { from: 'a', run: 'r' };

describe('Sequences', () => {
  it('sees no gap in what arrives in order, whichever topics a node subscribes to', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom('x', 'y', 'z')), fc.subarray(['x', 'y', 'z']), (topics, subscribed) => {
      const [sender, receiver] = [new Sequences(), new Sequences()];

      const places = topics.map((topic) => ({ topic, ...sender.next(topic) }))
        .filter(({ topic }) => subscribed.includes(topic))
        .map(({ topic, ...numbers }) => receiver.record(topic, { ...from, ...numbers }));

      expect(places.every((place) => place === 'next')).to.equal(true);
    }));
  });

  it('notices each lost packet that another one follows, and each repeated one', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom('arrives', 'lost', 'twice')), (fates) => {
      const [sender, receiver] = [new Sequences(), new Sequences()];
      receiver.record('x', { ...from, ...sender.next('x') });
      let isMissing = false;
      for (const fate of [...fates, 'arrives']) {
        const packet = { ...from, ...sender.next('x') };
        if (fate === 'lost') {
          isMissing = true;
          continue;
        }

        expect(receiver.record('x', packet)).to.equal(isMissing ? 'after a gap' : 'next');
        isMissing = false;
        if (fate === 'twice') expect(receiver.record('x', packet)).to.equal('repeated');
      }
    }));
  });

  it('drops a packet that arrives after a later one', () => {
    const [sender, receiver] = [new Sequences(), new Sequences()];
    const [first, second, third] = [sender.next('x'), sender.next('x'), sender.next('x')];

    const places = [first, third, second].map((numbers) => receiver.record('x', { ...from, ...numbers }));

    expect(places).to.deep.equal(['next', 'after a gap', 'repeated']);
  });

  it('begins anew with each run of a node, each subscription, and after a node left', () => {
    const receiver = new Sequences();
    receiver.record('x', { ...from, n: 90, prev: 80 });

    expect(receiver.record('x', { from: 'a', run: 'later', n: 1, prev: 0 })).to.equal('next');
    receiver.forgetTopic('x');
    expect(receiver.record('x', { from: 'a', run: 'later', n: 50, prev: 40 })).to.equal('next');
    receiver.forgetNode('a');
    expect(receiver.record('x', { from: 'a', run: 'later', n: 99, prev: 98 })).to.equal('next');
  });

  it('says that it does not know the previous packet once it has forgotten the topic', () => {
    const sender = new Sequences();
    sender.next('first');
    for (let topic = 0; topic < 100_000; topic++) sender.next(`topic ${topic}`);

    expect(sender.next('first').prev).to.equal(0);
    expect(sender.next('topic 99999').prev).to.be.above(0);
  });
});
