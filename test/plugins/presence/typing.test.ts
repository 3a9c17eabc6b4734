import { expect } from 'chai';
import fc from 'fast-check';
import { useFakeTimers } from 'sinon';
import type { Connection } from '../../../index.ts';
import { Typing } from '../../../plugins/presence/typing.ts';
import { cleanup } from '../../support/cleanup.ts';

const INTERVAL = 300;
const TIMEOUT = 600;

describe('typing, in any order of events', () => {
  const connection = fc.nat({ max: 3 });
  const room = fc.constantFrom('x', 'y');
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ act: fc.constantFrom('start' as const, 'stop' as const), connection, room }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('left' as const), connection }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('forget' as const), room }) },
    { weight: 3, arbitrary: fc.record({ act: fc.constant('wait' as const), time: fc.integer({ min: 1, max: 400 }) }) },
  );

  it('is sent at most once in an interval, and ends once', () => {
    const clock = useFakeTimers({ toFake: ['performance'] });
    cleanup(() => clock.restore());

    fc.assert(fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      // Two users of two connections each.
      const connections = [0, 1, 2, 3].map((id) => ({ id: String(id), ip: '' }) as Connection);
      const userOf = (index: number) => `user-${index % 2}`;
      const toldAt = new Map<string, number>();
      const typing = new Set<string>();
      const wrong: string[] = [];
      const typists = new Typing({
        interval: INTERVAL,
        timeout: TIMEOUT,
        max: 1_000,
        tell(roomId, userId, isTyping) {
          const key = `${roomId} ${userId}`;
          const now = performance.now();
          if (isTyping && now - (toldAt.get(key) ?? -Infinity) < INTERVAL) wrong.push(`${key} again after ${now - toldAt.get(key)!}`);
          if (!isTyping && !typing.delete(key)) wrong.push(`${key} ended, and never began`);
          if (!isTyping) return;
          typing.add(key);
          toldAt.set(key, now);
        },
      });

      for (const one of steps) {
        if (one.act === 'wait') {
          clock.tick(one.time);
          typists.sweep();
        } else if (one.act === 'left') typists.closed(connections[one.connection]!);
        else if (one.act === 'forget') {
          typists.deleteRoom(one.room);
          // A room of the same name is a new one.
          for (const key of [...toldAt.keys()].filter((text) => text.startsWith(one.room))) {
            toldAt.delete(key);
            typing.delete(key);
          }
        } else if (one.act === 'start') typists.start(connections[one.connection]!, one.room, userOf(one.connection));
        else typists.stop(one.room, userOf(one.connection));
      }
      for (let time = 0; time <= TIMEOUT + INTERVAL; time += 100) {
        clock.tick(100);
        typists.sweep();
      }

      expect(wrong).to.deep.equal([]);
      expect([...typing]).to.deep.equal([]);
      expect(typists.size).to.equal(0);
    }), { numRuns: 100 });
  });

  it('keeps nothing of closed connections', () => {
    const typists = new Typing({ interval: 0, timeout: TIMEOUT, max: 1_000, tell() {} });

    for (let index = 0; index < 1_000; index++) {
      const one = { id: String(index), ip: '' } as Connection;
      typists.start(one, `room-${index % 7}`, `user-${index}`);
      typists.closed(one);
    }
    typists.sweep();

    expect(typists.size).to.equal(0);
  });
});
