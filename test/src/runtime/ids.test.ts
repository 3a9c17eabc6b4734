import { expect } from 'chai';
import fc from 'fast-check';
import sinon from 'sinon';
import { validate, version } from 'uuid';
import { newConnectionId, newId, newNodeId, newSessionId, nodeOf, timestamp } from '../../../src/runtime/ids.ts';
import { cleanup } from '../../support/cleanup.ts';

describe('ids', () => {
  it('are UUIDs of version 7, unique and sorting in the order of creation', () => {
    const ids = Array.from({ length: 50_000 }, newId);

    expect(ids.filter((id) => !validate(id) || version(id) !== 7)).to.deep.equal([]);
    expect(new Set(ids).size).to.equal(ids.length);
    expect(ids).to.deep.equal([...ids].sort());
  });

  it('sort in the order of creation, whatever the system clock does', () => {
    const time = sinon.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    cleanup(() => { time.restore(); });
    let last = newId();
    fc.assert(fc.property(fc.integer({ min: -3_600_000, max: 1_000 }), fc.integer({ min: 1, max: 50 }), (leap, count) => {
      time.setSystemTime(Date.now() + leap);
      for (let each = 0; each < count; each++) {
        const id = newId();
        expect(validate(id) && version(id) === 7 && id > last, `${id} after ${last}`).to.be.true;
        last = id;
      }
    }), { numRuns: 200 });
  });

  it('sort in the order of creation when more than 4,096 are made in a millisecond', () => {
    const time = sinon.useFakeTimers({ toFake: ['Date'], now: Date.now() + 7_200_000 });
    cleanup(() => { time.restore(); });

    const ids = Array.from({ length: 20_000 }, newId);

    expect(ids).to.deep.equal([...ids].sort());
    expect(new Set(ids).size).to.equal(ids.length);
    expect(ids.every((id) => validate(id))).to.be.true;
  });

  it('contain the time of their creation', () => {
    const time = sinon.useFakeTimers({ toFake: ['Date'], now: new Date('2040-01-01T00:00:00Z') });
    cleanup(() => { time.restore(); });

    const id = newId();

    expect(parseInt(id.replaceAll('-', '').slice(0, 12), 16)).to.equal(Date.parse('2040-01-01T00:00:00Z'));
  });

  it('of connections contain their node', () => {
    const node = newNodeId();

    expect(nodeOf(newConnectionId(node))).to.equal(node);
    expect(nodeOf('no-node')).to.equal('');
    expect(nodeOf('')).to.equal('');
  });

  it('of sessions have 128 random bits, and never repeat', () => {
    const ids = Array.from({ length: 1_000 }, newSessionId);

    expect(ids.every((id) => /^[\w-]{22}$/.test(id))).to.be.true;
    expect(new Set(ids).size).to.equal(1_000);
  });
});

describe('timestamp', () => {
  it('is the time in ISO 8601, and follows the clock', () => {
    const time = sinon.useFakeTimers({ toFake: ['Date'], now: new Date('2030-06-01T12:00:00.000Z') });
    cleanup(() => { time.restore(); });

    const first = timestamp();
    time.tick(1);

    expect([first, timestamp()]).to.deep.equal(['2030-06-01T12:00:00.000Z', '2030-06-01T12:00:00.001Z']);
  });
});
