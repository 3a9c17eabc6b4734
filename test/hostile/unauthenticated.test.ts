import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import { auth } from '../../handlers/auth-handler.ts';
import { type EchoServer, echoServer } from '../support/echo-server.ts';
import { CLOSE, frame, PING, TEXT } from '../support/frames.ts';
import { type Raw, rawWebSocket } from '../support/raw.ts';
import { eventually, timed, withinAllowance } from '../support/timing.ts';

const SECRET = 'a secret of more than thirty-two bytes, for tests';
const TIMEOUT = 300;
/** What row 6 grants beyond the timeout. */
const GRACE = 200;

const guarded = (): Promise<EchoServer> => echoServer({
  heartbeat: { interval: 10_000, timeout: 300 },
  use: [auth({ jwtSecret: SECRET, requireAuth: true, allowAnonymous: true, authTimeout: TIMEOUT })],
});

function closeCode(client: Raw): number | undefined {
  return client.frames.find(({ opcode }) => opcode === CLOSE)?.payload.readUInt16BE(0);
}

/** Milliseconds until the server has closed a client that does something again and again. */
async function lasts(server: EchoServer, act?: (client: Raw) => void): Promise<{ milliseconds: number; code: number | undefined; client: Raw }> {
  const client = await rawWebSocket(server);
  const start = performance.now();
  const acting = act && setInterval(() => { act(client); }, 20);
  await client.end().finally(() => { clearInterval(acting); });
  return { milliseconds: performance.now() - start, code: closeCode(client), client };
}

describe('HOSTILE 6: connections that do not authenticate', () => {
  const acts: Readonly<Record<string, ((client: Raw) => void) | undefined>> = {
    'says nothing': undefined,
    'pings all the time': (client) => void client.write(frame(PING)),
    'sends messages all the time': (client) => void client.write(frame(TEXT, '{"type":"echo","content":1}')),
    'sends bad tokens all the time': (client) => void client.write(frame(TEXT, '{"type":"auth","token":"x.y.z"}')),
    'sends no JSON': (client) => void client.write(frame(TEXT, '{')),
  };

  for (const [name, act] of Object.entries(acts)) {
    it(`HOSTILE 6: closes one that ${name}, in time and with a final code`, async () => {
      const server = await guarded();

      await withinAllowance(6, async () => {
        const { milliseconds, code } = await lasts(server, act);

        // 20 invalid messages in a row may end it sooner.
        expect(code).to.be.oneOf(name === 'sends no JSON' ? [1008, 4001] : [4001]);
        await eventually('no connection', () => server.count() === 0 || server.count());
        return { 'ms until it is closed': { value: milliseconds, allowed: TIMEOUT + GRACE } };
      });
    });
  }

  it('HOSTILE 6: rejects its messages with a reason', async () => {
    const server = await guarded();
    let handled = 0;
    server.manager.registerHandler('secret', () => { handled++; return 'secret'; });

    const { client } = await lasts(server, (one) => void one.write(frame(TEXT, '{"type":"secret"}')));

    const replies = client.frames.filter(({ opcode }) => opcode === TEXT).map(({ payload }) => JSON.parse(payload.toString()) as { content: { code: string } });
    expect(handled).to.equal(0);
    expect(replies).to.not.have.lengthOf(0);
    expect(replies.map(({ content }) => content.code).filter((code) => code !== 'AUTH_REQUIRED')).to.deep.equal([]);
  });

  it('HOSTILE 6: terminates one that does not answer the close frame', async () => {
    const server = await guarded();

    await withinAllowance(6, async () => {
      const client = await rawWebSocket(server, { answerClose: false });
      client.socket.pause();
      const elapsed = await timed(() => eventually('no connection', () => server.count() === 0 || server.count()));
      return { 'ms until it is terminated': { value: elapsed, allowed: TIMEOUT + 300 + 2 * GRACE } };
    });
  });

  it('HOSTILE 6: keeps one that authenticates in time', async () => {
    const server = await guarded();
    const client = await rawWebSocket(server);
    await client.write(frame(TEXT, JSON.stringify({ type: 'auth', token: jwt.sign({ sub: 'ann' }, SECRET, { expiresIn: '1h' }) })));
    await client.until('an answer', () => client.frames.length > 0);

    const other = await lasts(server);

    expect(other.code).to.equal(4001);
    expect(client.ended).to.equal(false);
    await eventually('one connection', () => server.count() === 1 || server.count());
  });

  it('HOSTILE 6: closes 200 of them at once, and each in time', async () => {
    const server = await guarded();

    await withinAllowance(6, async () => {
      const all = await Promise.all(Array.from({ length: 200 }, () => lasts(server)));

      expect(all.filter(({ code }) => code !== 4001)).to.deep.equal([]);
      const longest = Math.max(...all.map(({ milliseconds }) => milliseconds));
      return { 'ms until the last one is closed': { value: longest, allowed: TIMEOUT + 2 * GRACE } };
    });
  });
});
