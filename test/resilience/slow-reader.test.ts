import { expect } from 'chai';
import { kernelProcess, probeProcess } from '../support/lab.ts';
import { MB } from '../support/memory.ts';
import { rawWebSocket } from '../support/raw.ts';
import { eventually } from '../support/timing.ts';

const SIZE = 16_384;
/** Messages between two looks at who has got them: less than an outbox holds. */
const WINDOW = 16;
const TOTAL = 100 * MB / SIZE;

describe('HOSTILE 9: slow readers', () => {
  it('HOSTILE 9: disconnects one of 100 clients that stops reading, at 1 MB, and the 99 others get all 100 MB in order', async () => {
    const kernel = await kernelProcess({ outbox: { limit: MB } });
    const probe = await probeProcess(kernel.port, 99);
    await probe.call('countNumbered');
    let sent = 0;
    let deepest = 0;
    let peak = 0;
    const window = async () => {
      deepest = await kernel.call('broadcast', sent, WINDOW, SIZE);
      sent += WINDOW;
      expect(await probe.call('numbered', sent), 'clients that got one out of order').to.equal(0);
    };
    for (let warm = 0; warm < 40; warm++) await window();
    const before = (await kernel.call('memory')).rss;
    const slow = await rawWebSocket({ port: kernel.port });
    slow.socket.pause();
    const from = sent;

    while (sent - from < TOTAL) {
      await window();
      if (sent % (WINDOW * 20) === 0) peak = Math.max(peak, (await kernel.call('memory')).rss);
    }

    await eventually('the slow one gone', async () => await kernel.call('count') === 99);
    const [removal, ...others] = await kernel.call('removals');
    console.log(`      at most ${deepest} bytes queued, cut ${removal!.after.toFixed(0)} ms after the limit, RSS ${((peak - before) / MB).toFixed(1)} MB more at most`);
    expect(others).to.deep.equal([]);
    expect(removal!.code).to.equal(4108);
    expect(removal!.after).to.be.at.most(2_000);
    expect(deepest).to.be.at.most(MB + SIZE + 300);
    expect(peak - before).to.be.at.most(30 * MB);
    expect(await probe.call('progress')).to.deep.equal([sent, sent]);
    expect(await kernel.call('failures')).to.deep.equal([]);
  });

  it('HOSTILE 9: drops the oldest messages of a slow reader with drop-oldest, and keeps the connection', async () => {
    const kernel = await kernelProcess({ outbox: { limit: MB, policy: 'drop-oldest' } });
    const slow = await rawWebSocket({ port: kernel.port });
    slow.socket.pause();

    let deepest = 0;
    for (let sent = 0; sent < 1_600; sent += WINDOW) deepest = await kernel.call('broadcast', sent, WINDOW, SIZE);
    slow.socket.resume();

    const last = () => slow.frames.at(-1)?.payload.toString('latin1').includes('"n":1599') ?? false;
    await slow.until('the last message', last, 10_000);
    const numbers = slow.frames.map(({ payload }) => (JSON.parse(payload.toString()) as { content: { n: number } }).content.n);
    expect(numbers, 'in order').to.deep.equal([...numbers].sort((a, b) => a - b));
    expect(numbers.length, 'some were dropped').to.be.below(1_600);
    expect(deepest).to.be.at.most(MB + SIZE + 300);
    expect(slow.ended).to.equal(false);
  });

  it('HOSTILE 9: drops the newest messages of a slow reader with drop-newest, and keeps the connection', async () => {
    const kernel = await kernelProcess({ outbox: { limit: MB, policy: 'drop-newest' } });
    const slow = await rawWebSocket({ port: kernel.port });
    slow.socket.pause();

    let deepest = 0;
    for (let sent = 0; sent < 1_600; sent += WINDOW) deepest = await kernel.call('broadcast', sent, WINDOW, SIZE);
    slow.socket.resume();
    await slow.until('what was kept', () => slow.received > MB);
    await eventually('an empty queue', async () => await kernel.call('queued') === 0);
    await kernel.call('broadcast', 1_600, 1, SIZE);

    await slow.until('one more', () => slow.frames.at(-1)?.payload.toString('latin1').includes('"n":1600') ?? false, 10_000);
    const numbers = slow.frames.map(({ payload }) => (JSON.parse(payload.toString()) as { content: { n: number } }).content.n);
    expect(numbers.slice(0, -1), 'the first ones, without a gap').to.deep.equal(numbers.slice(0, -1).map((_, index) => index));
    expect(numbers.length).to.be.below(1_600);
    expect(deepest).to.be.at.most(MB + SIZE + 300);
  });
});
