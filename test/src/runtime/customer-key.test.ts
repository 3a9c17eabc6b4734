import { expect } from 'chai';
import fc from 'fast-check';
import { customerKey } from '../../../src/runtime/customer-key.ts';

describe('customerKey', () => {
  it('is an IPv4 address itself', () => {
    fc.assert(fc.property(fc.ipV4(), (address) => { expect(customerKey(address)).to.equal(address); }));
  });

  it('is the /64 of an IPv6 address in any spelling', () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    const eight = fc.array(fc.oneof(group, fc.constant(0)), { minLength: 8, maxLength: 8 });
    fc.assert(fc.property(eight, fc.array(group, { minLength: 4, maxLength: 4 }), (groups, other) => {
      const plain = groups.map((one) => one.toString(16)).join(':');
      const padded = groups.map((one) => one.toString(16).padStart(4, '0').toUpperCase()).join(':');
      const short = plain.replace(/(^|:)0(:0)+(:|$)/, '::');
      const neighbour = [...groups.slice(0, 4), ...other].map((one) => one.toString(16)).join(':');
      expect(new Set([plain, padded, short, neighbour].map(customerKey)).size, short).to.equal(1);
    }));
  });

  it('distinguishes two /64 networks', () => {
    expect(customerKey('2001:db8:0:1::1')).to.not.equal(customerKey('2001:db8:0:2::1'));
    expect(customerKey('::1')).to.not.equal(customerKey('1::'));
  });
});
