import { expect } from 'chai';
import { echoServer } from '../support/echo-server.ts';
import { regexLiterals } from '../support/regex-literals.ts';
import { handshake, raw } from '../support/raw.ts';
import { fastest } from '../support/timing.ts';

/** What sends a backtracking matcher astray: long runs of what it looks for, and at the end what it does not expect. */
const SEEDS = ['a', '0', ' ', '.', '-', '_', '/', '\\', ':', ',', ';', '=', '%', '&', '@', '#', '<', '"', '\'', '\t', '\n', '::', 'a.', 'a-', 'a ', 'a,', '%a',
  'bearer ', '?token=', '&jwt=', 'a=b;', '<a', '..', '.0', ' ,', 'é', '\ud800', 'http://', '::ffff:', '1.1.', '__', '{"a":', '\u0000', '\u001b['];
const ENDINGS = ['', '!', '\n', '\u0000', '&', '$'];
const SIZE = 65_536;

/** The seed over and over, so many characters of it, and an ending that makes a match fail late. */
const evil = (seed: string, ending: string, size: number) => seed.repeat(Math.ceil(size / seed.length)).slice(0, size) + ending;

/** Milliseconds for each doubling of the input, until one takes too long. */
async function growth(work: (text: string) => unknown, seed: string, ending: string): Promise<number[]> {
  const times: number[] = [];
  for (let size = 256; size <= SIZE && (times.at(-1) ?? 0) < 10; size *= 2) {
    const text = evil(seed, ending, size);
    times.push(await fastest(2, () => work(text)));
  }
  return times;
}

/** Over 10 ms, or for four times the text more than 2.5 times 2.5 as long. */
function isSlow(times: readonly number[]): boolean {
  const last = times.at(-1)!;
  return last > 10 || (last > 2 && last / times.at(-3)! > 6.25);
}

/** Work that takes more than 10 ms for 64 KB, or more than 2.5 times as long for twice the text. */
async function slow(name: string, work: (text: string) => unknown): Promise<string[]> {
  const found: string[] = [];
  for (const seed of SEEDS) {
    for (const ending of ENDINGS) {
      const times = await growth(work, seed, ending);
      // One pause of the machine is not a pattern: what looks slow is looked at again.
      if (isSlow(times) && isSlow(await growth(work, seed, ending))) {
        found.push(`${name} on ${JSON.stringify(seed)} and ${JSON.stringify(ending)}: ${times.map((time) => time.toFixed(2)).join(', ')} ms`);
      }
    }
  }
  return found;
}

describe('HOSTILE 14: regular expressions', () => {
  const literals = regexLiterals(['src', 'plugins', 'middleware', 'handlers', 'adapters', 'client']);

  it('HOSTILE 14: finds the literals that this package has', () => {
    expect(literals).to.have.lengthOf.at.least(5);
  });

  for (const { where, source, flags } of literals) {
    it(`HOSTILE 14: ${where} needs no more than 10 ms for 64 KB, and no more than twice as long for twice the text`, async () => {
      const pattern = new RegExp(source, flags);

      // As `replace` it is tried at every position, which is how a linear pattern becomes a quadratic one.
      expect(await slow(where, (text) => text.replace(pattern, ''))).to.deep.equal([]);
    }).timeout(30_000);
  }

  it('HOSTILE 14: takes no longer for headers of 12 KB than a hundred honest handshakes take', async () => {
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
        const took = await fastest(2, () => ask({ [name]: evil(seed, '!', 12_000) }));
        if (took > Math.max(10, 100 * honest)) late.push(`${name} of ${JSON.stringify(seed)}: ${took.toFixed(1)} ms`);
      }
    }

    expect(late).to.deep.equal([]);
  });
});
