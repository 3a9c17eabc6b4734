import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { bareProcess, fair, kernelProcess, latencies, probeProcess } from '../support/lab.ts';
import { MB } from '../support/memory.ts';
import { type Address, handshake, raw, type Raw } from '../support/raw.ts';
import { eventually, percentile } from '../support/timing.ts';

const CAP = 500;
const PROBES = 10;
const FLOOD = 2_000;

interface Outcome {
  readonly accepted: number;
  /** How many got each answer. */
  readonly refused: Readonly<Record<string, number>>;
  /** The 99th percentile of the milliseconds to a refusal. */
  readonly late: number;
  readonly clients: Raw[];
}

/** 2,000 handshakes within a second, from so many addresses of this machine. */
async function flood(address: Address, addresses: number): Promise<Outcome> {
  const clients: Raw[] = [];
  const refused: Record<string, number> = {};
  const times: number[] = [];
  let accepted = 0;
  const start = performance.now();
  await Promise.all(Array.from({ length: FLOOD }, async (_, index) => {
    await delay(Math.max(0, start + index / 2 - performance.now()));
    const client = await raw(address, { localAddress: `127.0.1.${1 + index % addresses}` });
    clients.push(client);
    const sent = performance.now();
    await client.write(handshake(address));
    const answer = await client.answer(10_000);
    if (answer?.status === 101) accepted++;
    else {
      times.push(performance.now() - sent);
      refused[answer?.status ?? 'dropped'] = (refused[answer?.status ?? 'dropped'] ?? 0) + 1;
    }
  }));
  return { accepted, refused, late: percentile(times, 0.99), clients };
}

describe('HOSTILE 8: connection floods', () => {
  it('HOSTILE 8: accepts exactly its cap of 2,000 connections in a second, and honest clients feel no more than they must', async () => {
    const bare = await bareProcess({ cap: CAP });
    const bareProbe = await probeProcess(bare.port, PROBES);
    let bareOutcome!: Outcome;
    const control = await latencies(bareProbe, async () => { bareOutcome = await flood(bare, 100); });
    for (const client of bareOutcome.clients) client.reset();
    const kernel = await kernelProcess({ maxConnections: CAP });
    const probe = await probeProcess(kernel.port, PROBES);
    let outcome!: Outcome;

    const measured = await latencies(probe, async () => { outcome = await flood(kernel, 100); });

    console.log(`      p99 idle ${measured.idle.toFixed(1)}, attacked ${measured.attacked.toFixed(1)} ms; bare ws ${control.idle.toFixed(1)}, ${control.attacked.toFixed(1)} ms;`
      + ` refusals p99 ${outcome.late.toFixed(1)} ms, bare ${bareOutcome.late.toFixed(1)} ms`);
    expect(outcome.accepted).to.equal(CAP - PROBES);
    expect(outcome.refused).to.deep.equal({ 503: FLOOD - CAP + PROBES });
    expect(outcome.late).to.be.at.most(Math.max(100, 1.5 * bareOutcome.late));
    expect(measured.attacked).to.be.at.most(fair(measured, control));
    expect(await kernel.call('count')).to.equal(CAP);
    expect(await kernel.call('failures')).to.deep.equal([]);
  });

  it('HOSTILE 8: is as small 10 s after the flood as before, within 15 MB, and full again at its cap', async () => {
    const kernel = await kernelProcess({ maxConnections: CAP });
    const probe = await probeProcess(kernel.port, PROBES);
    const warm = await flood(kernel, 100);
    for (const client of warm.clients) client.reset();
    await eventually('no flood', async () => await kernel.call('count') === PROBES);
    const before = (await kernel.call('memory')).rss;

    const { clients } = await flood(kernel, 100);
    for (const client of clients) client.reset();

    await eventually('the memory back', async () => {
      const more = (await kernel.call('memory')).rss - before;
      return more <= 15 * MB || more;
    }, 10_000);
    await eventually('no flood', async () => await kernel.call('count') === PROBES);
    expect((await flood(kernel, 100)).accepted).to.equal(CAP - PROBES);
    expect(await probe.call('open')).to.equal(PROBES);
  });

  it('HOSTILE 8: accepts exactly 50 from one address where that is its limit, and leaves room for others', async () => {
    const kernel = await kernelProcess({}, [['middleware/connection-limits.ts', { maxPerIP: 50 }]]);

    const { accepted, refused, late } = await flood(kernel, 10);

    expect(accepted).to.equal(500);
    expect(refused).to.deep.equal({ 429: FLOOD - 500 });
    expect(late).to.be.at.most(1_000);
    expect(await kernel.call('count')).to.equal(500);
  });
});
