import { expect } from 'chai';
import { displayName, publicProfile } from '../../../src/kit/display-name.ts';

describe('displayName', () => {
  it('is the username if that is a string', () => {
    expect(displayName({ id: 'ann', username: 'Ann' })).to.equal('Ann');
    for (const username of [undefined, '', 17, { toString: () => 'x' }, null]) expect(displayName({ id: 'ann', username })).to.be.undefined;
    expect(displayName(undefined)).to.be.undefined;
  });
});

describe('publicProfile', () => {
  it('contains the name only, and no other claim', () => {
    expect(publicProfile({ id: 'ann', username: 'Ann', email: 'ann@example.com' })).to.deep.equal({ username: 'Ann' });
    expect(publicProfile({ id: 'ann', username: 17 })).to.deep.equal({});
    expect(publicProfile(undefined)).to.deep.equal({});
  });
});
