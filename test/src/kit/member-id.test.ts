import { expect } from 'chai';
import { actorKey } from '../../../src/kit/actor-key.ts';
import { memberId } from '../../../src/kit/member-id.ts';

describe('memberId', () => {
  it('is the user\'s id, and the connection\'s of an anonymous client', () => {
    expect(memberId({ id: 'c', user: { id: 'ann' } })).to.equal('ann');
    expect(memberId({ id: 'c', user: undefined })).to.equal('c');
  });
});

describe('actorKey', () => {
  it('is the user, wherever it connects from', () => {
    expect(actorKey({ id: 'c', ip: '192.0.2.1', user: { id: 'ann' } })).to.equal('user:ann');
  });

  it('is the address of an anonymous client, and the network of an IPv6 one', () => {
    expect(actorKey({ id: 'c', ip: '192.0.2.1', user: undefined })).to.equal('address:192.0.2.1');
    expect(actorKey({ id: 'c', ip: '2001:db8::1', user: undefined })).to.equal(actorKey({ id: 'd', ip: '2001:db8::2', user: undefined }));
  });

  it('is the connection where the address is unknown', () => {
    expect(actorKey({ id: 'c', ip: '', user: undefined })).to.equal('connection:c');
  });

  it('takes no user for an address', () => {
    expect(actorKey({ id: 'c', ip: '', user: { id: '192.0.2.1' } })).to.not.equal(actorKey({ id: 'c', ip: '192.0.2.1', user: undefined }));
  });
});
