import { expect } from 'chai';
import { auth, type AuthOptions } from '../../handlers/auth-handler.ts';
import { ClientDeadlines } from '../../handlers/auth-handler/client-deadlines.ts';
import { ModuleError } from '../../index.ts';
import type { ConnectOptions } from '../support/client.ts';
import { holdTime } from '../support/held-time.ts';
import { start, type Started } from '../support/start.ts';
import { eventually, timed, withinAllowance } from '../support/timing.ts';
import { now, SECRET, tokenFor } from './signing.ts';

const bearer = (token: string): ConnectOptions => ({ headers: { authorization: `Bearer ${token}` } });

async function serve(options: Partial<AuthOptions> = {}): Promise<Started> {
  const started = await start({ use: [auth({ jwtSecret: SECRET, requireAuth: true, allowAnonymous: true, ...options })] });
  started.manager.registerHandler('who', (_message, { user }) => ({ user: user?.id }));
  return started;
}

/** Holds up the event loop, as a suspended process or a long computation does. */
function freeze(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** The answer of an application that looks a token up somewhere else. */
const slowly = { authenticate: async () => { await new Promise((resolve) => { setTimeout(resolve, 50); }); return {}; } };

/** Milliseconds until a deadline, from the moment at which a client connects. */
const SOON = 500;

describe('HOSTILE 27: a blocked process', () => {
  for (const late of [100, 600]) {
    for (const [how, options] of [['at once', {}], ['slowly', slowly]] as const) {
      it(`HOSTILE 27: until ${late} ms after authTimeout: an auth message from before, verified ${how}, is accepted`, async () => {
        const { connect } = await serve({ authTimeout: SOON, ...options });
        const client = await connect();

        const reply = client.request({ type: 'auth', token: tokenFor() });
        freeze(SOON + late);

        expect((await reply).type).to.equal('auth');
        expect((await client.request({ type: 'who' })).content).to.deep.equal({ user: 'u1' });
      });
    }

    it(`HOSTILE 27: until ${late} ms after exp: a renewal from before is accepted`, async () => {
      const { connect } = await serve();
      const client = await connect(bearer(tokenFor({ exp: now() + SOON / 1_000 })));

      const reply = client.request({ type: 'auth:refresh', token: tokenFor() });
      freeze(SOON + late);

      expect((await reply).type).to.equal('auth:refresh');
      expect((await client.request({ type: 'who' })).content).to.deep.equal({ user: 'u1' });
    });

    it(`HOSTILE 27: until ${late} ms after: silent clients and expired tokens are closed within a second more`, async () => {
      await withinAllowance(6, async () => {
        const { connect } = await serve({ authTimeout: SOON });
        const clients = await Promise.all([connect(), connect(bearer(tokenFor({ exp: now() + SOON / 1_000 })))]);

        freeze(SOON + late);
        const elapsed = await timed(() => Promise.all(clients.map(({ closed }) => closed)));

        const closings = await Promise.all(clients.map(({ closed }) => closed));
        expect(closings.map(({ code, reason }) => [code, reason.split(':')[0]])).to.deep.equal([[4001, 'AUTH_TIMEOUT'], [4001, 'TOKEN_EXPIRED']]);
        return { 'ms until they are closed': { value: elapsed, allowed: 1_500 } };
      });
    });
  }
});

describe('auth, at a deadline', () => {
  it('answers an attempt that fails before it closes', async () => {
    const authenticate = () => new Promise<undefined>((resolve) => { setTimeout(resolve, 150, undefined); });
    const { connect } = await serve({ authTimeout: 100, authenticate });
    const client = await connect();

    const reply = await client.request({ type: 'auth', token: tokenFor() });

    expect(reply.content.code).to.equal('TOKEN_INVALID');
    expect((await client.closed).reason).to.include('AUTH_TIMEOUT');
  });

  it('does not wait for attempts that begin later, nor for one that does not end', async () => {
    const time = holdTime();
    let finish: (() => void) | undefined;
    const authenticate = () => new Promise<undefined>((resolve) => { finish ??= () => { resolve(undefined); }; });
    const { connect } = await serve({ authTimeout: 1_000, authenticate });
    const client = await connect();

    void client.request({ type: 'auth', token: tokenFor() }).catch(() => undefined);
    await eventually('the question', () => finish !== undefined);
    await time.tickAsync(1_900);
    const before = client.ws.readyState;
    await time.tickAsync(500);
    const { reason } = await client.closed;
    finish!();

    expect(before).to.equal(client.ws.OPEN);
    expect(reason).to.include('AUTH_TIMEOUT');
  });

  it('closes no client after it was cancelled or stopped, even during a check', async () => {
    const closed: string[] = [];
    const due: (() => unknown)[] = [];
    const deadlines = new ClientDeadlines((_milliseconds, work) => { due.push(work); return () => {}; }, 100);
    const closeLater = (name: string) => deadlines.closeAfter({ close: () => { closed.push(name); } }, 0, new ModuleError('TOKEN_EXPIRED'));
    const judge = () => Promise.all(due.splice(0).map((work) => work()));

    const cancel = closeLater('cancelled');
    closeLater('closed');
    const judging = judge();
    cancel();
    await judging;
    closeLater('stopped');
    const stopped = judge();
    deadlines.stop();
    await stopped;

    expect(closed).to.deep.equal(['closed']);
  });
});
