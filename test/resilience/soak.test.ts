import { expect } from 'chai';
import { WebSocket } from 'ws';
import { WebSocketModule, type Usable } from '../../src/index.ts';
import { heapUsed, MB } from '../support/memory.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

/** Clients at once: a cycle each, side by side. */
const WIDTH = 20;

/** Everything a connection can leave something of. */
const rooms: Usable = {
  type: 'connection',
  name: 'rooms',
  handler: (_ws, { url }) => ({ user: { id: url.slice(-3) }, joinedAt: Date.now() }),
};

async function cycle(url: string, n: number): Promise<void> {
  const socket = new WebSocket(`${url}?user=${100 + n % 900}`, { perMessageDeflate: false });
  await new Promise((resolve, reject) => { socket.once('open', resolve); socket.once('error', reject); });
  const replied = new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const { type, id } = JSON.parse(data.toString()) as { type: string; id: string };
      if (type === 'sure') socket.send(`{"type":"ack","replyTo":"${id}"}`);
      if (type === 'joined') resolve();
    });
  });
  socket.send(`{"type":"join","id":"${n}","content":{"room":"room ${n % 50}"}}`);
  socket.send('{"type":"unknown"}');
  await replied;
  const closed = new Promise((resolve) => socket.once('close', resolve));
  // One in three says good-bye, one is cut, one is sent away.
  if (n % 3 === 0) socket.close();
  else if (n % 3 === 1) socket.terminate();
  else socket.send('{"type":"leave"}');
  await closed;
}

async function cycles(url: string, from: number, count: number): Promise<void> {
  const queue = Array.from({ length: count }, (_, n) => from + n).values();
  await Promise.all(Array.from({ length: WIDTH }, async () => { for (const n of queue) await cycle(url, n); }));
}

describe('HOSTILE 28: soak', () => {
  it('HOSTILE 28: uses no more memory after 10,000 clients that connected, sent and disconnected than after 1,000', async () => {
    const { manager, url } = await start({ use: [rooms], create: (options) => WebSocketModule.create(options), message: { timeout: 60_000 } });
    manager.registerHandler('join', async (message, connection) => {
      const { room } = message.content as { room: string };
      manager.subscribe(connection.id, room);
      await connection.request({ type: 'sure' });
      manager.publish(room, { type: 'someone-joined' }, { except: connection.id });
      return { type: 'joined' };
    });
    manager.registerHandler('leave', (_message, connection) => { connection.close(4010, 'left'); });
    const quiet = async () => {
      await eventually('nobody there', () => manager.connections.size === 0, 10_000);
      await new Promise(setImmediate);
    };
    await cycles(url, 0, 1_000);
    await quiet();
    const inspected = manager.inspect();
    const resources = process.getActiveResourcesInfo().filter((name) => name !== 'Immediate').length;
    const samples = [heapUsed()];

    for (let round = 0; round < 10; round++) {
      await cycles(url, 1_000 * (round + 1), 1_000);
      await quiet();
      samples.push(heapUsed());
    }

    const growth = samples.at(-1)! - samples[0]!;
    const slope = medianSlope(samples) / 1_000;
    console.log(`      heap ${(growth / MB).toFixed(2)} MB more, ${slope.toFixed(1)} bytes a cycle`);
    expect(growth).to.be.at.most(MB);
    expect(slope).to.be.at.most(50);
    await eventually('every count at its baseline', () => {
      const now = manager.inspect();
      // One deadline may be on watch over handlers.
      const changed = Object.keys(now).filter((name) => name === 'deadlines' ? now[name]! > 1 : now[name] !== inspected[name]);
      return changed.length === 0 || changed;
    });
    expect(process.getActiveResourcesInfo().filter((name) => name !== 'Immediate').length).to.be.at.most(resources);
    expect(manager.getMetrics().connections).to.include({ activeConnections: 0, totalConnections: 11_000 });
    // A leak is there each time; a table that grows late is not.
  }).timeout(300_000).retries(2);
});

/** The median of the slopes between any two samples (Theil and Sen): a table that grows once is a step, and no slope. */
function medianSlope(samples: readonly number[]): number {
  const slopes = samples.flatMap((sample, at) => samples.slice(0, at).map((earlier, then) => (sample - earlier) / (at - then)));
  return slopes.sort((a, b) => a - b)[slopes.length >> 1]!;
}
