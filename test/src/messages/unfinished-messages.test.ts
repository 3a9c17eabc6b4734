import { expect } from 'chai';
import sinon from 'sinon';
import type { ClientConnection } from '../../../src/connection/connection.ts';
import { UnfinishedMessages } from '../../../src/messages/unfinished-messages.ts';
import { cleanup } from '../../support/cleanup.ts';

/** Connections by name, what is counted for each, and those whose time is over. */
function setUp(count: number, timeout: number) {
  const clock = sinon.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  cleanup(() => clock.restore());
  const made = Array.from({ length: count }, (_, n) => ({
    id: String(n), isOpen: true, isPaused: false, looks: 0, part: undefined as { bytes: number; mark: object } | undefined,
    socket: { get unfinished() { one(n).looks++; return one(n).part; } },
  }));
  function one(n: number) { return made[n]!; }
  const connections = new Map(made.map((connection) => [connection.id, connection as unknown as ClientConnection]));
  const counted = new Map<string, number>();
  const late: string[] = [];
  const messages = new UnfinishedMessages({
    connections,
    count: ({ id }, bytes) => void counted.set(id, bytes),
    timedOut: ({ id }) => void late.push(id),
  }, timeout);
  messages.start();
  cleanup(() => messages.stop());
  return { clock, one, counted, late, connections, messages };
}

describe('unfinished messages', () => {
  it('expire after the timeout', () => {
    const { clock, one, late } = setUp(2, 10_000);
    one(1).part = { bytes: 7, mark: {} };

    clock.tick(10_000);
    expect(late).to.deep.equal([]);
    clock.tick(1_000);

    expect(late).to.deep.equal(['1']);
  });

  it('start their timeout again with each message, and while their connection is paused', () => {
    const { clock, one, late } = setUp(2, 2_000);
    for (let count = 0; count < 20; count++) {
      one(0).part = { bytes: 7, mark: {} };
      one(1).part ??= { bytes: 7, mark: {} };
      one(1).isPaused = true;
      clock.tick(1_000);
    }
    expect(late).to.deep.equal([]);

    one(1).isPaused = false;
    clock.tick(2_500);

    expect(late).to.have.members(['0', '1']);
  });

  it('count until they are complete, or their connection closes', () => {
    const { clock, one, counted, connections } = setUp(3, 60_000);
    for (const n of [0, 1, 2]) one(n).part = { bytes: n + 1, mark: {} };
    clock.tick(500);
    expect([...counted.values()]).to.deep.equal([1, 2, 3]);

    one(0).part = undefined;
    one(1).isOpen = false;
    connections.delete('1');
    clock.tick(500);

    expect([...counted.values()]).to.deep.equal([0, 0, 3]);
  });

  it('are found among many connections, a tenth of which is checked at a time', () => {
    const { clock, one, late } = setUp(20_000, 8_000);
    one(19_999).part = { bytes: 1, mark: {} };
    clock.tick(500);
    expect(Array.from({ length: 20_000 }, (_, n) => one(n).looks).reduce((sum, looks) => sum + looks)).to.equal(2_000);

    clock.tick(20_000);

    expect(late).to.deep.equal(['19999']);
  });

  it('are not checked after the stop', () => {
    const { clock, one, messages } = setUp(1, 1_000);
    messages.stop();

    clock.tick(5_000);

    expect(one(0).looks).to.equal(0);
  });
});
