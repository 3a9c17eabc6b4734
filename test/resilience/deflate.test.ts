import { setTimeout as delay } from 'node:timers/promises';
import { constants, deflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import { BINARY, TEXT, frame } from '../support/frames.ts';
import { kernelProcess } from '../support/lab.ts';
import { MB } from '../support/memory.ts';
import { type Address, type Raw, rawWebSocket } from '../support/raw.ts';
import { eventually } from '../support/timing.ts';

const LINKS = 1_000;
const COMPRESSION = [['middleware/compression.ts']] as const;
const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };

const deflate = (payload: Buffer) => deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);

async function links(address: Address, count: number, compressed = true): Promise<Raw[]> {
  const clients: Raw[] = [];
  for (let index = 0; index < count; index++) {
    clients.push(await rawWebSocket(address, { localAddress: `127.0.2.${1 + index % 100}`, ...compressed && { headers: OFFER } }));
  }
  return clients;
}

/** One message from each, compressed where that was agreed on, and its answer. */
async function talk(clients: readonly Raw[], compressed = true): Promise<void> {
  const text = Buffer.from(JSON.stringify({ type: 'echo', content: 'hello '.repeat(400) }));
  const bytes = compressed ? frame(TEXT, deflate(text), { rsv: 4 }) : frame(TEXT, text);
  await Promise.all(clients.map(async (client) => {
    const from = client.frames.length;
    await client.write(bytes);
    await client.until('an answer', () => client.frames.length > from, 10_000);
  }));
}

describe('HOSTILE 32: compression and memory', () => {
  it('HOSTILE 32: negotiates no compression by default', async () => {
    const kernel = await kernelProcess();
    const [client] = await links({ port: kernel.port }, 1);

    expect(client!.response!.headers).to.not.have.property('sec-websocket-extensions');
  });

  it('HOSTILE 32: closes senders of bombs with 1009, and uses less than 20 MB for them', async () => {
    const kernel = await kernelProcess({ maxConnections: 2 * LINKS }, COMPRESSION);
    const bomb = frame(BINARY, deflate(Buffer.alloc(200 * MB)), { rsv: 4 });
    const address = { port: kernel.port };
    const clients = await links(address, LINKS);
    expect(clients[0]!.response!.headers).to.have.property('sec-websocket-extensions');
    await talk(clients);
    const warm = await links(address, 8);
    for (const client of warm) await client.write(bomb);
    await Promise.all(warm.map((client) => client.end(20_000)));
    const before = (await kernel.call('memory')).rss;

    const bombers = await links(address, 32);
    for (const client of bombers) await client.write(bomb);
    const exploded = Promise.all(bombers.map((client) => client.end(30_000)));
    let peak = 0;
    for (let over = false; !over;) {
      over = await Promise.race([exploded.then(() => true), delay(100, false)]);
      peak = Math.max(peak, (await kernel.call('memory')).rss);
    }

    console.log(`      RSS ${((peak - before) / MB).toFixed(1)} MB more at most, for 32 bombs of 200 MB`);
    expect(bombers.map(({ frames }) => frames.at(-1)!.payload.readUInt16BE(0))).to.deep.equal(Array(32).fill(1009));
    expect(peak - before).to.be.at.most(20 * MB);
    await talk(clients);
    await eventually('the others all there', async () => await kernel.call('count') === LINKS);
    expect(await kernel.call('failures')).to.deep.equal([]);
    // What the allocator keeps of freed memory differs from run to run; memory that is really held is there each time.
  }).retries(2);

  it('HOSTILE 32: prints the memory of an idle compressed connection and a plain one, before and after a message', async () => {
    const costs: Record<string, number> = {};
    for (const compressed of [false, true]) {
      const kernel = await kernelProcess({ maxConnections: 2 * LINKS }, compressed ? COMPRESSION : []);
      (await links({ port: kernel.port }, 100, compressed)).forEach((client) => { client.reset(); });
      await eventually('an idle server', async () => await kernel.call('count') === 0);
      const before = (await kernel.call('memory')).rss;
      const clients = await links({ port: kernel.port }, LINKS, compressed);
      costs[compressed ? 'compressed, silent' : 'plain, silent'] = ((await kernel.call('memory')).rss - before) / LINKS / 1_024;
      await talk(clients, compressed);
      costs[compressed ? 'compressed, used' : 'plain, used'] = ((await kernel.call('memory')).rss - before) / LINKS / 1_024;
      for (const client of clients) client.reset();
    }

    console.log(`      KB a link: ${Object.entries(costs).map(([name, cost]) => `${name} ${cost.toFixed(1)}`).join('; ')}`);
    expect(costs['compressed, silent']! - costs['plain, silent']!, 'an idle link holds no zlib state').to.be.at.most(16);
  });
});
