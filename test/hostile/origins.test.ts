import { expect } from 'chai';
import { type EchoOptions, type EchoServer, echoServer } from '../support/echo-server.ts';
import { handshake, raw } from '../support/raw.ts';
import { ALLOWED, foreign, lookAlikes } from './origins.ts';

type Headers = Record<string, string | undefined>;

async function status(server: EchoServer, headers: Headers, lines: readonly string[] = []): Promise<number | undefined> {
  const client = await raw(server);
  await client.write(handshake(server, { headers, lines }));
  const answer = await client.answer();
  client.reset();
  return answer?.status;
}

/** The names of those origins that were let in, or answered with anything but a refusal. */
async function letIn(
  options: EchoOptions, origins: (server: EchoServer) => Readonly<Record<string, string>>, more: Headers = {},
): Promise<string[]> {
  const server = await echoServer(options);
  const wrong: string[] = [];
  for (const [name, origin] of Object.entries(origins(server))) {
    const answer = await status(server, { ...more, Origin: origin });
    if (answer !== 403 && answer !== 400) wrong.push(`${name}: ${answer ?? 'no answer'}`);
  }
  expect(server.count()).to.equal(0);
  return wrong;
}

describe('HOSTILE 4: cross-site WebSocket hijacking', () => {
  it('HOSTILE 4: refuses at least 30 origins that are not on the list', async () => {
    expect(Object.keys(foreign)).to.have.lengthOf.at.least(30);

    expect(await letIn({ origins: [ALLOWED] }, () => foreign)).to.deep.equal([]);
  });

  it('HOSTILE 4: refuses every origin that only looks like the host, without a list', async () => {
    expect(await letIn({}, ({ port }) => lookAlikes('127.0.0.1', port))).to.deep.equal([]);
  });

  it('HOSTILE 4: refuses them if the host is a name, or is in X-Forwarded-Host', async () => {
    const more = { 'Host': 'app.example.com', 'X-Forwarded-Host': 'evil.example', 'X-Original-Host': 'evil.example', 'Forwarded': 'host=evil.example' };

    expect(await letIn({}, () => lookAlikes('app.example.com', 80), more)).to.deep.equal([]);
  });

  it('HOSTILE 4: refuses a foreign origin beside an allowed one, whichever comes first', async () => {
    const server = await echoServer({ origins: [ALLOWED] });

    const first = await status(server, { Origin: 'https://evil.example' }, [`Origin: ${ALLOWED}`]);
    const joined = await status(server, { Origin: `${ALLOWED}, https://evil.example` });

    expect(first).to.be.within(400, 403);
    expect(joined).to.be.within(400, 403);
  });

  it('HOSTILE 4: refuses a foreign origin in the header of protocol version 8', async () => {
    const server = await echoServer({ origins: [ALLOWED] });

    const answer = await status(server, { 'Sec-WebSocket-Version': '8', 'Sec-WebSocket-Origin': 'https://evil.example' });

    expect(answer).to.be.within(400, 426);
  });

  it('HOSTILE 4: refuses an empty origin with a list', async () => {
    const server = await echoServer({ origins: [ALLOWED] });

    expect(await status(server, { Origin: '' })).to.be.within(400, 403);
  });

  it('HOSTILE 4: accepts an origin on the list, and a client without an origin', async () => {
    const server = await echoServer({ origins: [ALLOWED] });

    expect(await status(server, { Origin: ALLOWED })).to.equal(101);
    expect(await status(server, {})).to.equal(101);
  });

  it('HOSTILE 4: accepts the same host by default, and a client without an origin', async () => {
    const server = await echoServer();

    expect(await status(server, { Origin: `http://127.0.0.1:${server.port}` })).to.equal(101);
    expect(await status(server, { Host: 'app.example.com', Origin: 'https://app.example.com' })).to.equal(101);
    expect(await status(server, {})).to.equal(101);
  });

  it('HOSTILE 4: accepts every origin only with that option', async () => {
    const server = await echoServer({ origins: '*' });

    expect(await status(server, { Origin: 'https://evil.example' })).to.equal(101);
  });
});
