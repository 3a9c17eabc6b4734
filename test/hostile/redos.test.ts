import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { canonical, clean, customerKey, describe as describeValue, plainAddress } from '../../src/index.ts';
import { validation } from '../../middleware/validation.ts';
import { echoServer } from '../support/echo-server.ts';
import { regexLiterals } from '../support/regex-literals.ts';
import { frame, TEXT } from '../support/frames.ts';
import { handshake, raw, rawWebSocket } from '../support/raw.ts';
import { fastest } from '../support/timing.ts';
import { allLayers } from './all-layers.ts';

/** What sends a backtracking matcher astray: long runs of what it looks for, and at the end what it does not expect. */
const SEEDS = ['a', '0', ' ', '.', '-', '_', '/', '\\', ':', ',', ';', '=', '%', '&', '@', '#', '<', '"', '\'', '\t', '\n', '::', 'a.', 'a-', 'a ', 'a,', '%a',
  'bearer ', '?token=', '&jwt=', 'a=b;', '<a', '..', '.0', ' ,', 'é', '\ud800', 'http://', '::ffff:', '1.1.', '__', '{"a":', '\u0000', '\u001b['];
const ENDINGS = ['', '!', '\n', '\u0000', '&', '$'];
const SIZE = 65_536;

/** The seed over and over, so many characters of it, and an ending that makes a match fail late. */
const evil = (seed: string, ending: string, size: number) => seed.repeat(Math.ceil(size / seed.length)).slice(0, size) + ending;

/** Milliseconds for each doubling of the input, until one takes too long. */
async function growth(work: (text: string) => unknown, seed: string, ending: string, limit: number): Promise<number[]> {
  const times: number[] = [];
  for (let size = 256; size <= SIZE && (times.at(-1) ?? 0) <= limit; size *= 2) {
    const text = evil(seed, ending, size);
    times.push(await fastest(2, () => work(text)));
  }
  return times;
}

/** Over the limit, or for four times the text more than 2.5 times 2.5 as long. */
function isSlow(times: readonly number[], limit: number): boolean {
  const last = times.at(-1)!;
  return last > limit || (last > 2 && last / times.at(-3)! > 6.25);
}

/** Work that takes more than so many milliseconds for 64 KB, or more than 2.5 times as long for twice the text. */
async function slow(name: string, work: (text: string) => unknown, limit = 10): Promise<string[]> {
  const found: string[] = [];
  for (const seed of SEEDS) {
    for (const ending of ENDINGS) {
      // What takes a twentieth of the limit for a sixteenth of the text takes no more than the limit, or grows so that 4 KB show it.
      const screened = evil(seed, ending, SIZE / 16);
      if (await fastest(2, () => work(screened)) < limit / 20) continue;
      // A pause of the machine is no property of a pattern: only what is slow each time is.
      let times = await growth(work, seed, ending, limit);
      for (let again = 0; again < 6 && isSlow(times, limit); again++) {
        await delay(50 * 2 ** again);
        times = await growth(work, seed, ending, limit);
      }
      if (isSlow(times, limit)) found.push(`${name} on ${JSON.stringify(seed)} and ${JSON.stringify(ending)}: ${times.map((time) => time.toFixed(2)).join(', ')} ms`);
    }
  }
  return found;
}

/** The milliseconds of work, measured again with pauses while they are more than allowed. */
async function inTime(work: () => unknown, runs: number, allowed: number): Promise<number> {
  let took = await fastest(runs, work);
  for (let again = 0; again < 5 && took > allowed; again++) {
    await delay(100 * 2 ** again);
    took = await fastest(runs, work);
  }
  return took;
}

/** What reads text of a client's, whatever it is made of. */
const readers: Readonly<Record<string, (text: string) => unknown>> = {
  plainAddress, customerKey, canonical, clean, describe: describeValue,
};

describe('HOSTILE 14: regular expressions', () => {
  const literals = regexLiterals(['src', 'plugins', 'middleware', 'handlers', 'adapters', 'client', 'testing']);

  it('HOSTILE 14: finds the regular expressions of this package', () => {
    expect(literals).to.have.lengthOf.at.least(5);
  });

  for (const { where, source, flags } of literals) {
    it(`HOSTILE 14: ${where} needs no more than 10 ms for 64 KB, and no more than twice as long for twice the text`, async () => {
      const pattern = new RegExp(source, flags);

      // As `replace` it is tried at every position, which is how a linear pattern becomes a quadratic one.
      expect(await slow(where, (text) => text.replace(pattern, ''))).to.deep.equal([]);
    }).timeout(60_000);
  }

  for (const [name, work] of Object.entries(readers)) {
    it(`HOSTILE 14: ${name}(), which writes as it reads, needs no more than 30 ms for 64 KB, and no more than twice as long for twice the text`, async () => {
      expect(await slow(name, work, 30)).to.deep.equal([]);
    }).timeout(60_000);
  }

  it('HOSTILE 14: needs at most 10 ms more for any message of 64 KB than for an ordinary one', async () => {
    const others = (await allLayers()).filter((layer) => (layer as { name?: string }).name !== 'validation');
    const server = await echoServer({ maxPayload: 1_000_000, use: [...others, validation({ enableSanitization: true, maxMessageLength: 1_000_000 })] });
    const client = await rawWebSocket(server);
    const ask = async (message: object) => {
      const from = client.frames.length;
      await client.write(frame(TEXT, JSON.stringify(message)));
      await client.until('an answer', () => client.frames.length > from);
    };
    const honest = await fastest(10, () => ask({ type: 'echo', content: 'x'.repeat(60_000) }));
    const late: string[] = [];

    for (const seed of SEEDS) {
      // As many as make 64 KB of JSON, three times over.
      const text = evil(seed, '!', Math.floor(20_000 * seed.length / (JSON.stringify(seed).length - 2)));
      const slow = () => ask({ type: 'echo', content: { text, list: [text], [text]: 1 } });
      const took = await inTime(slow, 8, 3 * honest + 10);
      if (took > 3 * honest + 10) late.push(`${JSON.stringify(seed)}: ${took.toFixed(1)} ms, honest ${honest.toFixed(1)}`);
    }

    expect(late).to.deep.equal([]);
  });

  it('HOSTILE 14: needs no more time for headers of 12 KB than for a hundred ordinary handshakes', async () => {
    const server = await echoServer({ trustProxy: ['127.0.0.0/8'], keepHeaders: ['user-agent'] });
    const ask = async (headers: Record<string, string>) => {
      const client = await raw(server);
      await client.write(handshake(server, { headers }));
      await client.answer();
      client.reset();
    };
    const honest = await fastest(10, () => ask({}));
    const late: string[] = [];

    for (const name of ['X-Forwarded-For', 'Origin', 'Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions', 'Cookie', 'Authorization', 'User-Agent', 'Host']) {
      for (const seed of [' ', ',', ' ,', '1.1.', '::', '%', 'a.', 'bearer ', ';', 'a=b;', '@', '/', '\t', '"']) {
        const allowed = Math.max(10, 100 * honest);
        const took = await inTime(() => ask({ [name]: evil(seed, '!', 12_000) }), 4, allowed);
        if (took > allowed) late.push(`${name} of ${JSON.stringify(seed)}: ${took.toFixed(1)} ms`);
      }
    }

    expect(late).to.deep.equal([]);
  });
});
