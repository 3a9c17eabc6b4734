import { expect } from 'chai';
import { CONTINUATION, PING, PONG, TEXT, frame } from '../support/frames.ts';
import { bareProcess, fair, type Kernel, kernelProcess, latencies, probeProcess } from '../support/lab.ts';
import { MB } from '../support/memory.ts';
import { type Address, type Raw, rawWebSocket } from '../support/raw.ts';
import { eventually, withinAllowance } from '../support/timing.ts';

const COUNT = 300_000;

interface Flood {
  readonly name: string;
  /** Whether it reads what the server sends. */
  readonly reads: boolean;
  readonly first?: Buffer;
  readonly unit: Buffer;
  /** Send no more at a time, and then wait for the pongs, of 2 bytes each. */
  readonly step?: number;
}

const more = (payload: string) => frame(CONTINUATION, payload, { fin: false });
const floods: readonly Flood[] = [
  { name: 'pings, their pongs unread', reads: false, unit: frame(PING) },
  { name: 'pings of 125 bytes, their pongs unread', reads: false, unit: frame(PING, 'p'.repeat(125)) },
  { name: 'pings, their pongs read', reads: true, unit: frame(PING) },
  { name: 'pings, no more at a time than are answered', reads: true, unit: frame(PING), step: 50 },
  { name: 'pongs', reads: true, unit: frame(PONG) },
  { name: 'fragments of a byte', reads: true, first: frame(TEXT, '"', { fin: false }), unit: more('x') },
  { name: 'empty fragments', reads: true, first: frame(TEXT, '', { fin: false }), unit: more('') },
  { name: 'empty messages', reads: true, unit: frame(TEXT) },
  { name: 'messages that are no JSON, the errors unread', reads: false, unit: frame(TEXT, '{') },
  { name: 'pings inside a message that never ends', reads: true, first: frame(TEXT, '"', { fin: false }), unit: frame(PING) },
];

/** Sends 300,000 frames as fast as the server takes them. Resolves when they are sent or the server has had enough. */
async function send(client: Raw, { first, unit, step }: Flood): Promise<void> {
  if (first) await client.write(first);
  const gone = new Promise((resolve) => client.socket.once('close', resolve));
  const size = step ?? 1_000;
  const batch = Buffer.concat(Array.from({ length: size }, () => unit));
  for (let sent = 0; sent < COUNT && !client.ended && !client.socket.destroyed && !client.socket.writableEnded; sent += size) {
    const { received } = client;
    const full = !client.socket.write(batch);
    if (step !== undefined) await client.until('answers', () => client.received >= received + 2 * size || client.ended);
    else if (full) await Promise.race([gone, new Promise((resolve) => client.socket.once('drain', resolve))]);
  }
}

async function attack(address: Address, flood: Flood): Promise<Raw> {
  const client = await rawWebSocket(address);
  if (!flood.reads) client.socket.pause();
  await send(client, flood);
  return client;
}

async function closed(kernel: Kernel, client: Raw): Promise<void> {
  client.socket.resume();
  await client.end(10_000);
  await eventually('the offender gone', async () => await kernel.call('count') === 0);
}

describe('HOSTILE 10: floods of small frames', () => {
  for (const flood of floods) {
    it(`HOSTILE 10: closes the sender of 300,000 ${flood.name}, and uses less than 10 MB for it`, async () => {
      const kernel = await kernelProcess();
      (await attack({ port: kernel.port }, floods[0]!)).reset();
      await eventually('an idle server', async () => await kernel.call('count') === 0);
      const before = (await kernel.call('memory')).rss;

      const client = await attack({ port: kernel.port }, flood);
      const after = (await kernel.call('memory')).rss;

      console.log(`      RSS ${((after - before) / MB).toFixed(1)} MB more`);
      expect(after - before).to.be.at.most(10 * MB);
      await closed(kernel, client);
      expect(await kernel.call('failures')).to.deep.equal([]);
    });
  }

  it('HOSTILE 10: hardly slows down other clients', async () => {
    const bare = await bareProcess();
    const bareProbe = await probeProcess(bare.port, 10);
    const kernel = await kernelProcess();
    const probe = await probeProcess(kernel.port, 10);

    for (const flood of floods) {
      await withinAllowance(4, async () => {
        const control = await latencies(bareProbe, async () => (await attack({ port: bare.port }, flood)).reset(), 500);
        const measured = await latencies(probe, async () => (await attack({ port: kernel.port }, flood)).reset(), 500);
        console.log(`      ${flood.name}: p99 ${measured.idle.toFixed(1)} idle, ${measured.attacked.toFixed(1)} ms attacked; bare ws ${control.attacked.toFixed(1)} ms`);
        return { [`${flood.name}, p99 in ms`]: { value: measured.attacked, allowed: fair(measured, control) } };
      });
    }

    expect(await probe.call('open')).to.equal(10);
  });
});
