import { expect } from 'chai';
import { type SinonFakeTimers, useFakeTimers } from 'sinon';
import { Revocations } from '../../handlers/auth-handler/revocations.ts';
import { cleanup } from '../support/cleanup.ts';

const HOUR = 3_600_000;

/** The date and the monotonic clock, both in our hands. */
function clock(): SinonFakeTimers {
  const fake = useFakeTimers({ now: Date.now(), toFake: ['Date', 'performance'] });
  cleanup(() => fake.restore());
  return fake;
}

const issued = () => Math.floor(Date.now() / 1_000);

describe('revocations', () => {
  it('refuse a user\'s earlier tokens, and accept a later one', () => {
    const fake = clock();
    const revocations = new Revocations(10, HOUR);
    const before = { id: 'u1', iat: issued() };

    revocations.add('u1', []);
    fake.tick(1_000);

    expect(revocations.has(before)).to.equal(true);
    expect(revocations.has({ id: 'u1', iat: issued() })).to.equal(false);
    expect(revocations.has({ id: 'u1' }), 'without iat its age is unknown').to.equal(true);
    expect(revocations.has({ id: 'u1', iat: String(issued()) }), 'nor with a text').to.equal(true);
    expect(revocations.has({ id: 'u2', iat: before.iat })).to.equal(false);
  });

  it('refuse a token by its jti, however late its iat is', () => {
    clock();
    const revocations = new Revocations(10, HOUR);

    revocations.add('j1', []);

    expect(revocations.has({ id: 'u1', jti: 'j1', iat: issued() + 60 })).to.equal(true);
    expect(revocations.has({ id: 'u1', jti: 'j2', iat: issued() })).to.equal(false);
  });

  it('refuse a token in use whose issuer\'s clock is ahead of ours', () => {
    clock();
    const revocations = new Revocations(10, HOUR);
    const ahead = { id: 'u1', iat: issued() + 5 };

    revocations.add('u1', [ahead]);
    expect(revocations.has(ahead)).to.equal(true);

    revocations.add('u1', []);
    expect(revocations.has(ahead), 'also when it is revoked again').to.equal(true);
    expect(revocations.has({ id: 'u1', iat: issued() + 6 })).to.equal(false);
  });

  it('are forgotten after the longest life of a token, and not before', () => {
    const fake = clock();
    const revocations = new Revocations(10, HOUR);
    const user = { id: 'u1', iat: issued() };
    revocations.add('u1', []);

    fake.tick(HOUR - 1);
    expect(revocations.has(user)).to.equal(true);
    expect(revocations.size).to.equal(1);

    fake.tick(2);
    expect(revocations.has(user)).to.equal(false);
    expect(revocations.size).to.equal(0);
  });

  it('learn the longest life of tokens from the tokens', () => {
    const fake = clock();
    const revocations = new Revocations(10, HOUR);
    const user = { id: 'u1', iat: issued(), exp: issued() + 5 * 3_600 };
    revocations.updateLifetime(user, 0);
    revocations.add('u1', []);

    fake.tick(5 * HOUR - 1);
    expect(revocations.has(user)).to.equal(true);

    fake.tick(2);
    expect(revocations.has(user)).to.equal(false);
  });

  it('last as long as the process when a token never expires', () => {
    const fake = clock();
    const revocations = new Revocations(10, HOUR);
    revocations.updateLifetime({ id: 'u1' }, 0);
    revocations.add('u1', []);

    fake.tick(1_000 * 24 * HOUR);

    expect(revocations.has({ id: 'u1', iat: 1 })).to.equal(true);
  });

  it('are bounded: a full table refuses another one, and forgets none', () => {
    const fake = clock();
    const revocations = new Revocations(3, HOUR);

    const isRemembered = ['a', 'b', 'c', 'a', 'd', 'e'].map((id) => revocations.add(id, []));

    expect(isRemembered).to.deep.equal([true, true, true, true, false, false]);
    expect(['a', 'b', 'c', 'd', 'e'].filter((id) => revocations.has({ id }))).to.deep.equal(['a', 'b', 'c']);
    fake.tick(HOUR + 1);
    expect(revocations.add('d', []), 'once the others have expired').to.equal(true);
  });

  it('accept any number of tokens in use', () => {
    clock();
    const revocations = new Revocations(10, HOUR);
    const tokens = Array.from({ length: 200_000 }, (_, index) => ({ id: 'u1', iat: issued() + index % 100 }));

    revocations.add('u1', tokens);

    expect(revocations.has({ id: 'u1', iat: issued() + 99 })).to.equal(true);
    expect(revocations.has({ id: 'u1', iat: issued() + 100 })).to.equal(false);
  });

  it('refuse a token whose iat cannot be right, as one without', () => {
    clock();
    const revocations = new Revocations(10, HOUR);
    revocations.add('u1', [{ id: 'u1', iat: Infinity }]);

    for (const iat of [Date.now(), Infinity, NaN]) expect(revocations.has({ id: 'u1', iat }), String(iat)).to.equal(true);
    expect(revocations.has({ id: 'u1', iat: issued() + 1 })).to.equal(false);
  });

  it('HOSTILE 26: are undone by no change of the date, forward or back', () => {
    const fake = clock();
    const revocations = new Revocations(10, HOUR);
    const honest = issued();
    revocations.add('before', []);

    fake.setSystemTime(Date.now() + 2 * HOUR);
    expect(revocations.has({ id: 'before', iat: honest }), 'two hours later, says the date').to.equal(true);

    fake.setSystemTime(Date.now() - 4 * HOUR);
    revocations.add('after', []);
    expect(revocations.has({ id: 'before', iat: honest }), 'two hours earlier, says the date').to.equal(true);
    expect(revocations.has({ id: 'after', iat: honest }), 'revoked while the date was wrong').to.equal(true);
  });
});
