import { expect } from 'chai';
import { ModuleError } from '../../src/errors.ts';
import { child } from '../support/child.ts';
import type { calls } from '../support/processes/kernel.ts';
import { echoServer } from '../support/echo-server.ts';
import { frame, TEXT } from '../support/frames.ts';
import { type Address, handshake, type HandshakeOptions, raw, rawWebSocket } from '../support/raw.ts';
import { eventually } from '../support/timing.ts';
import { isThere, LAYERS } from './all-layers.ts';

/** What would forge a header, a line, or a terminal's command. */
const POISONS = ['\r\nX-Injected: yes', '\nX-Injected: yes', '\rX-Injected: yes', '\r\n\r\n<html>injected', '\u0000injected', '\u001b[31minjected', '\u001b]0;injected\u0007',
  '\u009b31minjected', '\u2028injected', '\u2029injected', '\u0085injected', '%0d%0aX-Injected: yes', '\u560d\u560aX-Injected: yes', '\b\b\binjected', '\u007finjected',
  '\u202einjected', '\u2066injected', '\u200binjected', '\n    at injected (file:1:1)'];

/** Every place of a handshake that a client fills. */
const SLOTS: Readonly<Record<string, (poison: string) => HandshakeOptions & { path?: string }>> = {
  'path': (poison) => ({ path: `/ws${poison}` }),
  'unknown path': (poison) => ({ path: `/nowhere${poison}` }),
  'query': (poison) => ({ path: `/ws?name=${poison}` }),
  'Origin': (poison) => ({ headers: { Origin: `http://evil${poison}` } }),
  'Host': (poison) => ({ headers: { Host: `host${poison}` } }),
  'subprotocol': (poison) => ({ headers: { 'Sec-WebSocket-Protocol': `chat${poison}` } }),
  'extensions': (poison) => ({ headers: { 'Sec-WebSocket-Extensions': `permessage-deflate; a="${poison}"` } }),
  'X-Forwarded-For': (poison) => ({ headers: { 'X-Forwarded-For': `203.0.113.9${poison}, 203.0.113.8` } }),
  'X-Forwarded-For alone': (poison) => ({ headers: { 'X-Forwarded-For': `203.0.113.9${poison}` } }),
  'User-Agent': (poison) => ({ headers: { 'User-Agent': `agent${poison}` } }),
  'key': (poison) => ({ headers: { 'Sec-WebSocket-Key': `dGhlIHNhbXBsZSBub25jZQ==${poison}` } }),
  'cookie': (poison) => ({ headers: { Cookie: `name=${poison}` } }),
  'authorization': (poison) => ({ headers: { Authorization: `Bearer ${poison}` } }),
};

const table = Object.entries(SLOTS).flatMap(([slot, make]) => POISONS.map((poison) => ({ slot, poison, options: make(poison) })));

// eslint-disable-next-line no-control-regex -- these are what must not be there
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u206f]/;

async function head(address: Address, options: HandshakeOptions & { path?: string }): Promise<string> {
  const client = await raw(address);
  await client.write(Buffer.from(handshake({ ...address, ...options.path !== undefined && { path: options.path } }, options), 'utf8'));
  const answer = await client.answer();
  client.reset();
  return answer?.head ?? '';
}

/** Lines of a response's head that no server of ours writes. */
function forged(text: string): string[] {
  return text.split('\r\n').filter((line) => /^X-Injected|[\n\r]|<html>injected/i.test(line) || CONTROL.test(line));
}

describe('HOSTILE 15: injection into headers and logs', () => {
  it('HOSTILE 15: puts no text of a client into response headers', async () => {
    const server = await echoServer({ trustProxy: ['127.0.0.0/8'], protocols: ['chat'], keepHeaders: ['user-agent'] });
    const found: string[] = [];

    for (const { slot, poison, options } of table) {
      const lines = forged(await head(server, options));
      if (lines.length > 0) found.push(`${slot} with ${JSON.stringify(poison)}: ${JSON.stringify(lines)}`);
    }

    expect(found).to.deep.equal([]);
    expect(server.errors).to.deep.equal([]);
  });

  it('HOSTILE 15: lets no reason of an application\'s refusal forge a header', async () => {
    const found: string[] = [];
    for (const poison of POISONS) {
      const refuse = { type: 'upgrade' as const, name: 'refuse', handler: () => { throw new ModuleError('REFUSED', { why: poison }, { status: 403, message: `no${poison}` }); } };
      const server = await echoServer({ use: [refuse] });

      const answer = await head(server, {});

      expect(answer).to.match(/^HTTP\/1\.1 403 /);
      found.push(...forged(answer).map((line) => `${JSON.stringify(poison)}: ${line}`));
    }

    expect(found).to.deep.equal([]);
  });

  it('HOSTILE 15: lets no subprotocol that an application has chosen forge a header', async () => {
    const server = await echoServer({ protocols: ['chat'] });

    const answer = await head(server, { headers: { 'Sec-WebSocket-Protocol': 'bearer.secret, chat' } });

    expect(answer).to.include('Sec-WebSocket-Protocol: chat').and.not.include('secret');
  });

  it('HOSTILE 15: accepts a close reason of any length and content, and cuts it to 123 bytes', async () => {
    const server = await echoServer();
    for (const reason of [...POISONS, 'x'.repeat(1_000), 'é'.repeat(100), '👨‍👩‍👧‍👦'.repeat(20), '\ud800'.repeat(200)]) {
      const undo = server.manager.registerHandler('bye', (_message, connection) => { connection.close(4010, reason); });
      const client = await rawWebSocket(server);
      await client.write(frame(TEXT, '{"type":"bye"}'));
      await client.end();
      const payload = client.frames.at(-1)!.payload;
      expect(payload.readUInt16BE(0)).to.equal(4010);
      expect(payload.length).to.be.at.most(125);
      expect(new TextDecoder('utf-8', { fatal: true }).decode(payload.subarray(2)), 'whole letters').to.be.a('string');
      undo();
    }
  });

  it('HOSTILE 15: logs one line for one event, without control characters, whatever a client sends', async () => {
    const process_ = await child<typeof calls>(
      new URL('../support/processes/kernel.ts', import.meta.url), { DEBUG: 'websocket:*', DEBUG_COLORS: 'no' });
    const layers = LAYERS.filter(isThere);
    const port = await process_.call('start', { trustProxy: ['127.0.0.0/8'], logLevel: 'debug' }, layers);
    for (const { options } of table) await head({ port }, options);

    const client = await rawWebSocket({ port }, { headers: { 'X-Forwarded-For': '203.0.113.1\u009b31m' } });
    for (const poison of POISONS) {
      for (const field of ['type', 'id', 'namespace', 'topic', 'sessionId']) {
        await client.write(frame(TEXT, JSON.stringify({ type: 'echo', content: { name: poison }, [field]: `x${poison}` })));
      }
      await client.write(frame(TEXT, `{"type":"echo${poison}`));
      await client.write(frame(TEXT, JSON.stringify({ type: 'fail', content: poison })));
      await client.write(frame(TEXT, '{"type":"echo"}'));
    }
    await eventually('an output', () => process_.output().length > 0);
    await process_.call('count');
    client.reset();
    await eventually('no connection', async () => await process_.call('count') === 0);

    const lines = process_.output().split('\n').filter((line) => line !== '');
    expect(lines.filter((line) => /injected/i.test(line)), 'what was made harmless').to.not.have.lengthOf(0);
    expect(lines.filter((line) => CONTROL.test(line)), 'with control characters').to.deep.equal([]);
    // Only the stack of an error has lines of its own, and nothing of a client's stands in it.
    const begun = /websocket:|^\{|^\d{4}-/;
    expect(lines.filter((line) => !begun.test(line) && !/^ {4}at (?!injected)/.test(line)), 'not begun by the log').to.deep.equal([]);
    expect(await process_.call('failures')).to.deep.equal([]);
  }).timeout(60_000);

  it('HOSTILE 15: logs at most 64 KB of errors for a client whose 5,000 messages all fail', async () => {
    const process_ = await child<typeof calls>(new URL('../support/processes/kernel.ts', import.meta.url));
    const port = await process_.call('start');
    const client = await rawWebSocket({ port });
    const message = frame(TEXT, JSON.stringify({ type: 'fail', content: 'x'.repeat(10_000) }));

    for (let count = 0; count < 5_000; count++) await client.write(message);
    await client.until('an answer to each', () => client.frames.length >= 5_000);

    expect(process_.output()).to.include('Error: no: xxx').and.include('not written for a minute');
    expect(process_.output().length).to.be.below(65_536);
    client.reset();
  }).timeout(60_000);
});
