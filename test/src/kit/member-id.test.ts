import { expect } from 'chai';
import { actorKey } from '../../../src/runtime/actor-key.ts';
import { memberId } from '../../../src/kit/member-id.ts';

describe('memberId', () => {
  it('is the user id, or the connection id of an anonymous connection', () => {
    expect(memberId({ id: 'c', user: { id: 'ann' } })).to.equal('ann');
    expect(memberId({ id: 'c', user: undefined })).to.equal('c');
  });
});

describe('actorKey', () => {
  it('is the user, whatever the address', () => {
    expect(actorKey({ id: 'c', ip: '192.0.2.1', user: { id: 'ann' } })).to.equal('user:ann');
  });

  it('is the IPv4 address or the IPv6 network of an anonymous connection', () => {
    expect(actorKey({ id: 'c', ip: '192.0.2.1', user: undefined })).to.equal('address:192.0.2.1');
    expect(actorKey({ id: 'c', ip: '2001:db8::1', user: undefined })).to.equal(actorKey({ id: 'd', ip: '2001:db8::2', user: undefined }));
  });

  it('is the connection where the address is unknown', () => {
    expect(actorKey({ id: 'c', ip: '', user: undefined })).to.equal('connection:c');
  });

  it('never confuses a user with an address', () => {
    expect(actorKey({ id: 'c', ip: '', user: { id: '192.0.2.1' } })).to.not.equal(actorKey({ id: 'c', ip: '192.0.2.1', user: undefined }));
  });
});
