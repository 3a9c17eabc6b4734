import { expect } from 'chai';
import sinon from 'sinon';
import { Peers } from '../../../src/cluster/peers.ts';
import { cleanup } from '../../support/cleanup.ts';

function bench() {
  const time = sinon.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
  cleanup(() => { time.restore(); });
  const log: string[] = [];
  const peers = new Peers({
    id: 'me',
    run: '1',
    announce: (state, to) => void log.push(`announce ${state}${to === undefined ? '' : ` to ${to}`}`),
    joined: (node) => void log.push(`joined ${node}`),
    left: (node) => void log.push(`left ${node}`),
    entered: (generation) => void log.push(`entered ${generation}`),
    idTaken: () => void log.push('id taken'),
  });
  cleanup(() => { peers.stop(); });
  return { time, peers, log };
}

describe('Peers', () => {
  it('says hello at the start, that it is there every three seconds, and goodbye', () => {
    const { time, peers, log } = bench();

    peers.start();
    time.tick(6_500);
    peers.stop();
    time.tick(10_000);
    peers.stop();

    expect(log).to.deep.equal(['announce hello', 'announce here', 'announce here', 'announce bye']);
  });

  it('answers a hello, so that a new node knows the others at once', () => {
    const { peers, log } = bench();

    peers.receive('b', '1', { peer: 'hello' });
    peers.receive('c', '1', { peer: 'here' });

    expect(log).to.deep.equal(['joined b', 'announce here to b', 'joined c']);
    expect(peers.ids).to.deep.equal(['b', 'c']);
  });

  it('takes a node for dead that was silent for ten seconds, and not one that was heard', () => {
    const { time, peers, log } = bench();
    peers.start();
    for (const node of ['silent', 'here', 'talking']) peers.receive(node, '1', { peer: 'here' });

    for (let second = 0; second < 12; second++) {
      time.tick(1_000);
      peers.receive('here', '1', { peer: 'here' });
      peers.markAlive('talking');
    }

    expect(log.filter((line) => line.startsWith('left'))).to.deep.equal(['left silent']);
    expect(peers.ids).to.deep.equal(['here', 'talking']);
  });

  it('takes no node for dead because it stood still itself', () => {
    const { time, peers, log } = bench();
    peers.start();
    peers.receive('b', '1', { peer: 'here' });

    // As for a stopped process, the clock goes on, and timers fire once, late.
    time.jump(20_000);

    expect(log).to.not.include('left b');
  });

  it('forgets a node that says goodbye, and ignores the late word of an earlier run', () => {
    const { peers, log } = bench();
    peers.receive('b', '1', { peer: 'here' });

    peers.receive('b', '2', { peer: 'here' });
    peers.receive('b', '1', { peer: 'bye' });
    peers.receive('b', '2', { peer: 'bye' });
    peers.receive('b', '2', { peer: 'bye' });

    expect(log).to.deep.equal(['joined b', 'left b', 'joined b', 'left b']);
  });

  it('notices another living node of its own id, and tells it', () => {
    const { peers, log } = bench();

    peers.receive('me', '1', { peer: 'hello' });
    peers.receive('me', '2', { peer: 'hello' });
    peers.receive('me', '2', { peer: 'bye' });

    expect(log).to.deep.equal(['id taken', 'announce here to me']);
    expect(peers.ids).to.deep.equal([]);
  });

  it('refuses more nodes than a cluster can have', () => {
    const { peers } = bench();
    for (let node = 0; node < 10_000; node++) peers.receive(`n${node}`, '1', { peer: 'here' });

    expect(() => peers.receive('one more', '1', { peer: 'here' })).to.throw('there are too many nodes').with.property('code', 'PACKET_INVALID');
    expect(peers.size).to.equal(10_000);
  });
});
