import { EventEmitter } from 'node:events';
import { expect } from 'chai';
import sinon from 'sinon';
import type { UpgradeLayer, UpgradeRequest } from '../../index.ts';
import { connectionLimits, type ConnectionLimitsOptions } from '../../middleware/connection-limits.ts';
import { rateLimit } from '../../middleware/rate-limit.ts';
import { cleanup } from '../support/cleanup.ts';
import { heapUsed, MB } from '../support/memory.ts';
import { setUp, stubConnection } from '../support/stub-context.ts';

const COUNT = 200_000;

/** One of 4 billion addresses of version 6, each in a network of its own. */
const address = (n: number) => `2001:db8:${(n >> 16).toString(16)}:${(n & 0xffff).toString(16)}::1`;
const gauge = (value: unknown) => (value as { value: number }).value;

/** The upgrade layer of connection-limits, without a server. */
function upgrades(options?: ConnectionLimitsOptions) {
  const stub = setUp(connectionLimits(options));
  const layer = stub.layers[0] as UpgradeLayer;
  const enter = (socket: EventEmitter, ip: string) => void layer.handler({ socket } as unknown as UpgradeRequest, { ip });
  return { enter, metrics: stub.metrics };
}

describe('200,000 addresses', () => {
  it('HOSTILE, threats: take at most 40 MB in rate-limit, which remembers at most maxTracked', () => {
    const clock = sinon.useFakeTimers({ toFake: ['performance'] });
    cleanup(() => clock.restore());
    const { guards, metrics } = setUp(rateLimit({ by: 'ip', maxPerMinute: 10, muteFor: 0, closeAfter: false }));
    const before = heapUsed();

    for (let n = 0; n < COUNT; n++) void guards[0]!.charge(stubConnection({ id: 'x', ip: address(n) }), 20);

    expect(heapUsed() - before).to.be.at.most(40 * MB);
    expect(metrics().rate_limit_tracked).to.include({ value: 100_000 });
  });

  it('HOSTILE, threats: take at most 40 MB in connection-limits, which remembers at most maxTracked', () => {
    const { enter, metrics } = upgrades({ maxPerWindow: 10 });
    const before = heapUsed();

    let refused = 0;
    for (let n = 0; n < COUNT; n++) {
      const socket = new EventEmitter();
      try {
        enter(socket, address(n));
      } catch (error) {
        expect(error).to.have.property('code', 'TOO_MANY_CONNECTIONS');
        refused++;
      }
      socket.emit('close');
    }

    expect(heapUsed() - before).to.be.at.most(40 * MB);
    expect(gauge(metrics().connection_limits_open_addresses)).to.equal(0);
    expect(gauge(metrics().connection_limits_tracked)).to.equal(COUNT - refused).and.to.be.at.most(100_000);
  });

  it('HOSTILE, threats: take at most 40 MB in connection-limits while all are connected', () => {
    const { enter, metrics } = upgrades();
    const sockets = Array.from({ length: COUNT }, () => new EventEmitter());
    // What the sockets themselves take for a first listener is theirs.
    for (const socket of sockets) socket.on('close', () => undefined);
    const before = heapUsed();

    sockets.forEach((socket, n) => { enter(socket, `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`); });

    // Of Node 24 on, where an emitter's second listener costs more: 45 MB measured.
    const allowed = Number(process.versions.node.split('.')[0]) < 24 ? 40 : 48;
    expect(heapUsed() - before).to.be.at.most(allowed * MB);
    expect(gauge(metrics().connection_limits_open_addresses)).to.equal(COUNT);
  });
});
