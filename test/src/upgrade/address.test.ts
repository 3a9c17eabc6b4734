import type { IncomingMessage } from 'node:http';
import { expect } from 'chai';
import fc from 'fast-check';
import { clientAddress, networks, plainAddress } from '../../../src/upgrade/address.ts';

const request = (remoteAddress: string | undefined, forwarded?: string) =>
  ({ socket: { remoteAddress }, headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded } }) as unknown as IncomingMessage;

describe('the client\'s address', () => {
  it('is the address of the socket if no proxy is trusted', () => {
    fc.assert(fc.property(fc.ipV4(), fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), (socket, forwarded) => {
      expect(clientAddress(request(socket, forwarded), networks([]))).to.equal(socket);
      expect(clientAddress(request(`::ffff:${socket}`, forwarded), networks([]))).to.equal(socket);
    }));
  });

  it('is the right-most address that is not a trusted proxy', () => {
    const trusted = networks(['10.0.0.0/8', '2001:db8::/32']);

    expect(clientAddress(request('10.0.0.1', '1.2.3.4, 203.0.113.9, 10.0.0.2'), trusted)).to.equal('203.0.113.9');
    expect(clientAddress(request('::ffff:10.0.0.1', '203.0.113.9'), trusted)).to.equal('203.0.113.9');
    expect(clientAddress(request('2001:db8::1', '::ffff:203.0.113.9'), trusted)).to.equal('203.0.113.9');
    expect(clientAddress(request('10.0.0.1', '10.0.0.3, 10.0.0.2'), trusted)).to.equal('10.0.0.3');
    expect(clientAddress(request('10.0.0.1'), trusted)).to.equal('10.0.0.1');
    expect(clientAddress(request('10.0.0.1', '1.2.3.4, nonsense'), trusted)).to.equal('10.0.0.1');
  });

  it('is an address or empty, and never throws, whatever is forwarded', () => {
    const trusted = networks(['0.0.0.0/0', '::/0']);
    fc.assert(fc.property(fc.option(fc.ipV4(), { nil: undefined }), fc.array(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6())), (socket, hops) => {
      expect(clientAddress(request(socket, hops.join(',')), trusted)).to.match(/^[\da-f.:]*$/);
    }));
  });
});

describe('plainAddress', () => {
  it('unwraps an IPv4 address in IPv6 notation', () => {
    fc.assert(fc.property(fc.ipV4(), (address) => {
      expect(plainAddress(`::ffff:${address}`)).to.equal(address);
      expect(plainAddress(`::FFFF:${address}`)).to.equal(address);
    }));
  });

  it('unwraps one in hexadecimal notation', () => {
    expect(plainAddress('::ffff:a00:1')).to.equal('10.0.0.1');
    expect(plainAddress('0:0:0:0:0:ffff:0a00:0001')).to.equal('10.0.0.1');
  });

  it('removes the zone', () => {
    expect(plainAddress('fe80::1%eth0')).to.equal('fe80::1');
  });
});

describe('networks', () => {
  it('accept addresses and networks of IPv4 and IPv6', () => {
    const block = networks(['192.0.2.1', '10.0.0.0/8', '2001:db8::/32', '::1']);

    expect(block('192.0.2.1') && block('10.255.0.1') && block('2001:db8::5') && block('::1')).to.be.true;
    expect(block('192.0.2.2') || block('11.0.0.1') || block('2001:db9::') || block('') || block('nonsense') || networks([])('10.0.0.1')).to.be.false;
  });
});
