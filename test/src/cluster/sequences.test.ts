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
        .map(({ topic, ...numbers }) => receiver.record(topic, { ...from, ...numbers }, true));

      expect(places.every((place) => place === 'next')).to.equal(true);
    }));
  });

  it('notices each lost packet that another one follows, and each repeated one', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom('arrives', 'lost', 'twice')), (fates) => {
      const [sender, receiver] = [new Sequences(), new Sequences()];
      receiver.record('x', { ...from, ...sender.next('x') }, true);
      let isMissing = false;
      for (const fate of [...fates, 'arrives']) {
        const packet = { ...from, ...sender.next('x') };
        if (fate === 'lost') {
          isMissing = true;
          continue;
        }

        expect(receiver.record('x', packet, true)).to.equal(isMissing ? 'after a gap' : 'next');
        isMissing = false;
        if (fate === 'twice') expect(receiver.record('x', packet, true)).to.equal('repeated');
      }
    }));
  });

  it('drops a packet that arrives after a later one', () => {
    const [sender, receiver] = [new Sequences(), new Sequences()];
    const [first, second, third] = [sender.next('x'), sender.next('x'), sender.next('x')];

    const places = [first, third, second].map((numbers) => receiver.record('x', { ...from, ...numbers }, true));

    expect(places).to.deep.equal(['next', 'after a gap', 'repeated']);
  });

  it('begins anew with each run of a node, and each subscription', () => {
    const receiver = new Sequences();
    receiver.record('x', { ...from, n: 90, prev: 80 }, true);

    expect(receiver.record('x', { from: 'a', run: 'later', n: 1, prev: 0 }, true)).to.equal('next');
    receiver.forgetTopic('x');
    expect(receiver.record('x', { from: 'a', run: 'later', n: 50, prev: 40 }, true)).to.equal('next');
  });

  it('compares the packets of a node also before it is a peer, and after it was silent', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom('joins', 'leaves', 'arrives', 'lost', 'twice')), (fates) => {
      const [sender, receiver] = [new Sequences(), new Sequences()];
      receiver.record('x', { ...from, ...sender.next('x') }, false);
      let [isPeer, isMissing] = [false, false];
      for (const fate of [...fates, 'arrives']) {
        if (fate === 'joins') isPeer = true;
        if (fate === 'leaves') {
          isPeer = false;
          receiver.forgetPeer('a');
        }
        const packet = { ...from, ...sender.next('x') };
        if (fate === 'lost') {
          isMissing = true;
          continue;
        }

        expect(receiver.record('x', packet, isPeer)).to.equal(isMissing ? 'after a gap' : 'next');
        isMissing = false;
        if (fate === 'twice') expect(receiver.record('x', packet, isPeer)).to.equal('repeated');
      }
    }));
  });

  it('forgets the oldest topic of senders that are no peers, and no peer for them', () => {
    const receiver = new Sequences();
    const first = { ...from, n: 5, prev: 0 };
    receiver.record('peers', first, true);
    receiver.record('oldest', { ...first, from: 'b' }, false);

    for (let node = 0; node < 10_000; node++) receiver.record('forged', { from: `node ${node}`, run: 'r', n: 5, prev: 0 }, false);

    expect(receiver.record('oldest', { ...first, from: 'b' }, false)).to.equal('next');
    expect(receiver.record('peers', first, true)).to.equal('repeated');
  });

  it('says that it does not know the previous packet once it has forgotten the topic', () => {
    const sender = new Sequences();
    sender.next('first');
    for (let topic = 0; topic < 100_000; topic++) sender.next(`topic ${topic}`);

    expect(sender.next('first').prev).to.equal(0);
    expect(sender.next('topic 99999').prev).to.be.above(0);
  });
});
