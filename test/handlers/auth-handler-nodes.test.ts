import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { auth, type AuthOptions } from '../../handlers/auth-handler.ts';
import { UpgradeRefused } from '../support/client.ts';
import { knowEachOther } from '../support/nodes.ts';
import { start, type Started } from '../support/start.ts';
import { eventually } from '../support/timing.ts';
import { now, SECRET, tokenFor } from './signing.ts';

/** Before any revocation, so that no token is of a later second. */
const ISSUED = Math.floor(now());
const bearer = (claims: Record<string, unknown> = {}) =>
  ({ headers: { authorization: `Bearer ${tokenFor({ iat: ISSUED, ...claims })}` } });

/** Nodes of one bus. */
function nodes() {
  const bus = {};
  return (id: string, options: Partial<AuthOptions> = {}): Promise<Started> =>
    start({ adapter: new MemoryAdapter(bus), nodeId: id, use: [auth({ jwtSecret: SECRET, ...options })] });
}

const outcome = (connecting: Promise<unknown>) =>
  connecting.then(() => 'accepted', (error: unknown) => error instanceof UpgradeRefused ? error.status : error);

describe('a revocation on several nodes', () => {
  it('closes the connections of the user on all nodes, and refuses the tokens there', async () => {
    const node = nodes();
    const [a, b] = [await node('a'), await node('b')];
    await knowEachOther(a, b);
    const [here, there, other] = [await a.connect(bearer()), await b.connect(bearer()), await b.connect(bearer({ sub: 'u2' }))];

    const closed = a.manager.api('auth').revoke('u1');
    const ends = await Promise.all([here.closed, there.closed]);

    expect(closed).to.equal(1);
    expect(ends.map(({ code, reason }) => [code, reason])).to.deep.equal(Array(2).fill([4001, 'TOKEN_REVOKED: the token is revoked']));
    expect(other.ws.readyState).to.equal(other.ws.OPEN);
    expect([await outcome(b.connect(bearer())), await outcome(b.connect(bearer({ iat: Math.floor(now()) + 5 })))]).to.deep.equal([401, 'accepted']);
  });

  it('keeps a connection that has a newer token', async () => {
    const node = nodes();
    const [a, b] = [await node('a'), await node('b')];
    await knowEachOther(a, b);
    const [old, renewed] = [await b.connect(bearer()), await b.connect(bearer({ iat: Math.floor(now()) + 5 }))];

    a.manager.api('auth').revoke('u1');
    await old.closed;

    expect(renewed.ws.readyState).to.equal(renewed.ws.OPEN);
  });

  it('is known to a node that starts later', async () => {
    const node = nodes();
    const a = await node('a');
    a.manager.api('auth').revoke('u1');
    for (let number = 0; number < 2_000; number++) a.manager.api('auth').revoke(`jti-${number}`);

    const b = await node('b');

    await eventually('all revocations', () => b.manager.getMetrics().plugins['auth']?.['auth_revocations'] === 2_001);
    expect([await outcome(b.connect(bearer())), await outcome(b.connect(bearer({ sub: 'u3', jti: 'jti-1999' })))]).to.deep.equal([401, 401]);
  });

  it('reaches other nodes even if the table of this node is full, and is reported if theirs is full', async () => {
    const node = nodes();
    const [a, b] = [await node('a', { maxRevocations: 1 }), await node('b', { maxRevocations: 2 })];
    await knowEachOther(a, b);
    const errors: (Error & { code?: string })[] = [];
    b.manager.on('error', (error) => errors.push(error));
    const revoke = (id: string) => a.manager.api('auth').revoke(id);
    const client = await b.connect(bearer({ sub: 'u3' }));

    revoke('u1');
    for (const id of ['u2', 'u3']) expect(() => revoke(id)).to.throw().with.property('code', 'REVOCATIONS_FULL');

    expect((await client.closed).code).to.equal(4001);
    expect(await outcome(b.connect(bearer({ sub: 'u2' })))).to.equal(401);
    expect(errors.map(({ code }) => code)).to.deep.equal(['REVOCATIONS_FULL']);
  });
});
