import { expect } from 'chai';
import fc from 'fast-check';
import { ModuleError } from '../../../src/errors.ts';
import { decodePacket, encodePacket, type Body, type Envelope } from '../../../src/cluster/packet.ts';

const envelope: Envelope = { from: 'a', run: 'r', n: 7, prev: 3 };
const encoded = (packet: object) => Buffer.from(JSON.stringify(packet));
const reasonOf = (bytes: Uint8Array) => {
  try {
    decodePacket(bytes);
    return undefined;
  } catch (error) {
    expect(error).to.be.instanceOf(ModuleError).with.property('code', 'PACKET_INVALID');
    return (error as ModuleError).details['reason'];
  }
};

describe('a packet between nodes', () => {
  it('is read as it was written', () => {
    const bodies: Body[] = [
      { message: { type: 'news', content: { n: 1 } }, except: ['a.1'] }, { message: { type: 'news' }, to: 'a.1' },
      { peer: 'hello' }, { channel: 'rooms:x', payload: [1], ask: 4 }, { channel: 'rooms:x', payload: null },
      { answer: 4, payload: 'yes' }, { answer: 4, error: { code: 'NO', message: 'no' } },
    ];

    for (const body of bodies) expect(decodePacket(encodePacket(envelope, body))).to.deep.equal({ v: 1, ...envelope, ...body });
  });

  it('of the next version is read, with fields that are unknown', () => {
    expect(decodePacket(encoded({ v: 2, ...envelope, peer: 'here', later: true }))).to.include({ peer: 'here' });
  });

  it('of a later version is refused by its number', () => {
    expect(reasonOf(encoded({ v: 3, ...envelope, peer: 'here' }))).to.equal('it has version 3, and this node reads up to version 2');
  });

  for (const [what, packet, reason] of [
    ['without a version', { ...envelope, peer: 'here' }, 'it has no version'],
    ['without a sender', { v: 1, ...envelope, from: '', peer: 'here' }, 'it does not name its sender'],
    ['without a number', { v: 1, ...envelope, n: -1, peer: 'here' }, 'it has no number'],
    ['without a body', { v: 1, ...envelope }, 'it has no content'],
    ['with an unknown sign of life', { v: 1, ...envelope, peer: 'maybe' }, 'its "peer" is unknown'],
    ['with a list of exceptions that is none', { v: 1, ...envelope, message: { type: 'a' }, except: [1] }, 'its "except" is no list of connections'],
    ['with an error without a code', { v: 1, ...envelope, answer: 1, error: {} }, 'its "error" has no code'],
  ] as const) {
    it(`${what} is refused`, () => {
      expect(reasonOf(encoded(packet))).to.equal(reason);
    });
  }

  it('is refused with a code, whatever the bytes are', () => {
    const mutated = fc.record({
      v: fc.oneof(fc.constant(1), fc.jsonValue()), from: fc.oneof(fc.constant('a'), fc.jsonValue()), run: fc.oneof(fc.constant('r'), fc.jsonValue()),
      n: fc.oneof(fc.nat(), fc.jsonValue()), prev: fc.oneof(fc.nat(), fc.jsonValue()),
      message: fc.jsonValue(), channel: fc.jsonValue(), answer: fc.jsonValue(), peer: fc.jsonValue(),
    }, { requiredKeys: [] }).map(encoded);

    fc.assert(fc.property(fc.oneof(fc.uint8Array(), fc.json().map((text) => Buffer.from(text)), mutated), (bytes) => {
      reasonOf(bytes);
    }));
  });

  it('cut short anywhere is refused', () => {
    const whole = encodePacket(envelope, { message: { type: 'news', content: 'ü' } });

    for (let length = 0; length < whole.length; length++) expect(reasonOf(whole.subarray(0, length))).to.equal('it is not JSON');
  });
});
