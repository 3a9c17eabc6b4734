import { connect } from 'node:net';
import { expect } from 'chai';
import { longPolling } from '../../plugins/long-polling.ts';
import { start } from '../support/start.ts';
import { frame, TEXT } from '../support/frames.ts';
import { eventually } from '../support/timing.ts';

const TYPE = { 'Content-Type': 'application/octet-stream' };

async function attack(options = {}, more = {}) {
  const started = await start({ drainTimeout: 100, ...more, use: [longPolling(options)] });
  const url = started.url.replace('ws:', 'http:');
  const send = (method: string, headers: Record<string, string> = {}, body?: Buffer) =>
    fetch(url, { method, headers, ...(body && { body: new Uint8Array(body) }) });
  const open = async (headers = {}): Promise<string> =>
    ((await (await send('POST', { ...TYPE, ...headers })).json()) as { session: string }).session;
  const codeOf = async (answer: Promise<Response>): Promise<string> => {
    const response = await answer;
    return `${response.status} ${((await response.json()) as { code: string }).code}`;
  };
  return { ...started, send, open, codeOf };
}

describe('HOSTILE 33: attacks on long polling', () => {
  it('HOSTILE 33: refuses guessed ids, all in one way, and gives ids of 128 random bits', async () => {
    const { open, send, codeOf } = await attack();
    const sessions = await Promise.all(Array.from({ length: 50 }, () => open()));
    const [node] = sessions[0]!.split('.');

    const guesses = [`${node}.${'A'.repeat(22)}`, 'x', '__proto__', 'constructor', `other.${'A'.repeat(22)}`, '.'.repeat(5_000)];
    const codes = await Promise.all(guesses.flatMap((guess) => [
      codeOf(send('GET', { 'Polling-Session': guess })), codeOf(send('POST', { ...TYPE, 'Polling-Session': guess }, Buffer.of(1))),
    ]));

    expect(new Set(codes)).to.deep.equal(new Set(['404 POLLING_SESSION_UNKNOWN']));
    expect(new Set(sessions).size).to.equal(50);
    for (const session of sessions) expect(Buffer.from(session.split('.')[1]!, 'base64url')).to.have.lengthOf(16);
  });

  it('HOSTILE 33: refuses wrong methods, types of content, positions and bodies over the limit', async () => {
    const { open, send, codeOf, manager } = await attack({ maxBody: 2_000 });
    const session = await open();
    const own = { ...TYPE, 'Polling-Session': session };

    const codes = await Promise.all([
      codeOf(send('DELETE')), codeOf(send('GET')), codeOf(send('POST', { 'Content-Type': 'text/plain' })),
      codeOf(send('POST', { 'Polling-Session': session, 'Content-Type': 'application/x-www-form-urlencoded' }, Buffer.of(1))),
      codeOf(send('POST', TYPE, Buffer.of(1))), codeOf(send('GET', { 'Polling-Session': session, 'Polling-Received': '9' })),
      codeOf(send('GET', { 'Polling-Session': session, 'Polling-Received': '-1' })),
      codeOf(send('POST', { ...own, 'Polling-Position': '7' }, Buffer.of(1))), codeOf(send('POST', own, Buffer.alloc(2_001))),
    ]);

    expect(codes).to.deep.equal([
      '400 POLLING_INVALID', '400 POLLING_INVALID', '415 POLLING_TYPE_INVALID', '415 POLLING_TYPE_INVALID', '400 POLLING_INVALID',
      '400 POLLING_INVALID', '400 POLLING_INVALID', '400 POLLING_INVALID', '413 POLLING_BODY_TOO_LONG',
    ]);
    expect(manager.connections.size).to.equal(1);
  });

  it('HOSTILE 33: answers the first of two polls, and repeats what was not confirmed', async () => {
    const { open, send, manager } = await attack();
    const own = { 'Polling-Session': await open() };
    const poll = async (received: number) => {
      const response = await send('GET', { ...own, 'Polling-Received': String(received) });
      return { position: response.headers.get('Polling-Position'), length: (await response.arrayBuffer()).byteLength, cache: response.headers.get('Cache-Control') };
    };

    const first = poll(0);
    await eventually('the poll', () => manager.getMetrics().plugins['long-polling']?.['waiting'] === 1);
    const second = poll(0);
    expect(await first).to.deep.equal({ position: '0', length: 0, cache: 'no-store' });
    manager.broadcast({ type: 'tick' });
    const answer = await second;
    const again = await poll(0);

    expect(answer.length).to.be.above(10);
    expect(again).to.deep.equal(answer);
  });

  it('HOSTILE 33: handles a request that is sent twice once, and refuses one after the close', async () => {
    const { open, send, codeOf, manager } = await attack();
    const seen: unknown[] = [];
    manager.registerHandler('once', ({ content }) => void seen.push(content));
    const own = { ...TYPE, 'Polling-Session': await open() };
    const body = Buffer.concat([1, 2].map((content) => frame(TEXT, JSON.stringify({ type: 'once', content }), { mask: false })));

    await send('POST', { ...own, 'Polling-Position': '0' }, body.subarray(0, 40));
    await send('POST', { ...own, 'Polling-Position': '0' }, body);
    await send('POST', { ...own, 'Polling-Position': '0' }, body);
    expect(seen).to.deep.equal([1, 2]);
    await send('POST', { ...own, 'Polling-Position': String(body.length) }, frame(8, '', { mask: false }));

    expect(await codeOf(send('POST', { ...own, 'Polling-Position': '0' }, body))).to.equal('404 POLLING_SESSION_UNKNOWN');
  });

  it('HOSTILE 33: ends sessions that are not polled, and counts them in maxConnections', async () => {
    const { open, codeOf, send, manager } = await attack({ sessionTimeout: 1_500 }, { maxConnections: 20 });
    await Promise.all(Array.from({ length: 20 }, () => open()));

    expect(await codeOf(send('POST', TYPE))).to.equal('503 SERVER_FULL');
    await eventually('no session', () => manager.connections.size === 0, 5_000);
  });

  it('HOSTILE 33: sends no CORS headers unless configured, and refuses "*" with credentials', async () => {
    const origin = 'https://app.example';
    const closed = await attack();
    const opened = await attack({ cors: { origins: [origin], credentials: true } }, { origins: [origin] });
    const preflight = { Origin: origin, 'Access-Control-Request-Method': 'POST' };

    const none = await closed.send('OPTIONS', preflight);
    const some = await opened.send('OPTIONS', preflight);
    const foreign = await opened.send('OPTIONS', { ...preflight, Origin: 'https://evil.example' });
    const session = await opened.open({ Origin: origin });
    const stolen = await opened.codeOf(opened.send('GET', { Origin: 'https://evil.example', 'Polling-Session': session }));

    const allowed = (response: Response) => response.headers.get('Access-Control-Allow-Origin');
    expect([none, some, foreign].map(allowed)).to.deep.equal([null, origin, null]);
    expect(stolen).to.equal('403 ORIGIN_REFUSED');
    expect(() => longPolling({ cors: { origins: ['*'], credentials: true } })).to.throw('credentials').with.property('code', 'OPTION_INVALID');
  });

  // engine.io CVE-2022-41940 and sockjs CVE-2020-7693: an upgrade on the path of polling, and a reset in the middle of it.
  it('HOSTILE 33: survives upgrades with a session, broken bodies and resets', async () => {
    const { open, send, port, manager } = await attack();
    const session = await open();
    const heads = [
      `GET /ws HTTP/1.1\r\nHost: a\r\nPolling-Session: ${session}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      `POST /ws HTTP/1.1\r\nHost: a\r\nPolling-Session: ${session}\r\nContent-Type: application/octet-stream\r\nContent-Length: 500\r\n\r\nabc`,
      `GET /ws HTTP/1.1\r\nHost: a\r\nPolling-Session: ${session}\r\n\r\n`,
    ];

    for (const head of heads) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      await new Promise<void>((resolve) => socket.write(head, () => resolve()));
      socket.resetAndDestroy();
    }

    expect((await send('POST', TYPE)).status).to.equal(200);
    expect(manager.getMetrics().errors.byCode).to.not.have.property('INTERNAL_ERROR');
  });
});
