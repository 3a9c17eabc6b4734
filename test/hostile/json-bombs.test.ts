import { expect } from 'chai';
import { type EchoServer, echoServer } from '../support/echo-server.ts';
import { frame, PING, TEXT } from '../support/frames.ts';
import { type Raw, rawWebSocket } from '../support/raw.ts';
import { fastest, type Measured, withinAllowance } from '../support/timing.ts';
import { type Bomb, crooked, heavy, huge } from './json-bombs.ts';

/** Sends one bomb and a ping behind it. Resolves to what the bomb was answered, once the ping has been, too. */
async function blow(client: Raw, text: string): Promise<string> {
  const from = client.frames.length;
  await client.write(frame(TEXT, text));
  await client.until('an answer', () => client.frames.length > from || client.ended);
  const answer = client.frames[from];
  if (answer?.opcode !== TEXT) return `closed with ${answer?.payload.toString('hex') ?? 'nothing'}`;
  await client.write(frame(PING));
  await client.until('a pong', () => client.frames.length > from + 1 || client.ended);
  if (client.ended) return 'answered, and closed';
  const message = JSON.parse(answer.payload.toString()) as { type: string; content: any };
  return message.type === 'error' ? String(message.content.code) : message.type;
}

async function blowAll(server: EchoServer, bombs: readonly Bomb[]): Promise<string[]> {
  const failures: string[] = [];
  for (const { name, text, answer } of bombs) {
    const client = await rawWebSocket(server);
    const heard = await blow(client, text).catch((error: unknown) => (error as Error).message);
    if (!answer.split('|').includes(heard)) failures.push(`${name}: ${heard}, expected ${answer}`);
    client.reset();
  }
  return failures;
}

describe('HOSTILE 12: JSON bombs', () => {
  it('HOSTILE 12: answers every malformed message with its code, and keeps the connection', async () => {
    const server = await echoServer();

    expect(await blowAll(server, crooked)).to.deep.equal([]);
    expect(server.errors).to.deep.equal([]);
  });

  it('HOSTILE 12: answers every bomb of 64 KB with its code, and keeps the connection', async () => {
    const server = await echoServer();

    expect(await blowAll(server, heavy)).to.deep.equal([]);
    expect(server.errors).to.deep.equal([]);
  });

  it('HOSTILE 12: answers bombs of megabytes if maxPayload allows them', async () => {
    const server = await echoServer({ maxPayload: 8_388_608 });

    expect(await blowAll(server, huge)).to.deep.equal([]);
    expect(server.errors).to.deep.equal([]);
  });

  it('HOSTILE 12: rejects a bomb of 64 KB within 2 ms of the time of JSON.parse', async () => {
    const server = await echoServer();
    const client = await rawWebSocket(server);
    const honest = `{"type":"missing","content":"${'x'.repeat(60_000)}"}`;
    await fastest(5, () => blow(client, honest));
    const bombs = heavy.filter((bomb) => bomb.answer !== 'echo');
    const good = new Set<string>();

    // Each bomb has to be in time in one round. The control is measured again in each round.
    await withinAllowance(6, async () => {
      const base = await fastest(10, () => blow(client, honest));
      const figures: Record<string, Measured> = {};
      for (const { name, text } of bombs.filter((bomb) => !good.has(bomb.name))) {
        const parse = await fastest(5, () => { try { JSON.parse(text); } catch { /* the time is what counts */ } });
        const value = await fastest(10, () => blow(client, text));
        const allowed = base + parse + 2;
        if (value <= allowed) good.add(name);
        figures[`${name}, ms`] = { value, allowed };
        // An honest message in between, so that no row of invalid ones closes the connection.
        await blow(client, '{"type":"echo","content":1}');
      }
      return figures;
    });
  });

  it('HOSTILE 12: closes with 1008 after maxInvalid invalid messages in a row', async () => {
    const server = await echoServer({ message: { maxInvalid: 5 } });
    const client = await rawWebSocket(server);

    for (let index = 0; index < 4; index++) expect(await blow(client, '{')).to.equal('INVALID_JSON');
    await client.write(frame(TEXT, '{'));

    await client.end();
    expect(client.frames.at(-1)!.payload.readUInt16BE(0)).to.equal(1008);
  });

  it('HOSTILE 12: resets the counter after a valid message', async () => {
    const server = await echoServer({ message: { maxInvalid: 5 } });
    const client = await rawWebSocket(server);

    for (let index = 0; index < 12; index++) {
      expect(await blow(client, index % 4 === 3 ? '{"type":"echo","content":1}' : '{')).to.equal(index % 4 === 3 ? 'echo' : 'INVALID_JSON');
    }
  });
});
