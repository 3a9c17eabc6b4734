import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { bareProcess, fair, kernelProcess, latencies, probeProcess } from '../support/lab.ts';
import { MB } from '../support/memory.ts';
import { type Address, handshake, raw, type Raw } from '../support/raw.ts';
import { eventually, percentile, withinAllowance } from '../support/timing.ts';

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

/** A flood that is over when this resolves: nobody of it is left. */
async function attack(server: Address, count: () => Promise<number>): Promise<Outcome> {
  const outcome = await flood(server, 100);
  expect(await count()).to.equal(CAP);
  for (const client of outcome.clients) client.reset();
  await eventually('no flood', async () => await count() === PROBES);
  return outcome;
}

describe('HOSTILE 8: connection floods', () => {
  it('HOSTILE 8: accepts exactly its limit of 2,000 connections in a second, and other clients are hardly slowed down', async () => {
    const bare = await bareProcess({ cap: CAP });
    const kernel = await kernelProcess({ maxConnections: CAP });
    const bareProbe = await probeProcess(bare.port, PROBES);
    const probe = await probeProcess(kernel.port, PROBES);
    const attackBare = () => attack(bare, () => bare.call('count'));
    const attackKernel = () => attack(kernel, () => kernel.call('count'));
    // The first flood compiles the code that the others run.
    await attackBare();
    await attackKernel();

    await withinAllowance(4, async () => {
      let [refusals, bareRefusals] = [0, 0];
      const bareLatency = await latencies(bareProbe, async () => { bareRefusals = (await attackBare()).late; });
      const latency = await latencies(probe, async () => {
        const { accepted, refused, late } = await attackKernel();
        refusals = late;
        expect(accepted).to.equal(CAP - PROBES);
        expect(refused).to.deep.equal({ 503: FLOOD - CAP + PROBES });
      });
      console.log(`      p99 idle ${latency.idle.toFixed(1)}, attacked ${latency.attacked.toFixed(1)} ms; bare ws ${bareLatency.idle.toFixed(1)}, `
        + `${bareLatency.attacked.toFixed(1)} ms; refusals p99 ${refusals.toFixed(1)} ms, bare ${bareRefusals.toFixed(1)} ms`);
      return {
        'refusals, p99 in ms': { value: refusals, allowed: Math.max(100, 1.5 * bareRefusals) },
        'round trips, p99 in ms': { value: latency.attacked, allowed: fair(latency, bareLatency) },
      };
    });

    expect(await probe.call('open')).to.equal(PROBES);
    expect(await kernel.call('failures')).to.deep.equal([]);
  });

  it('HOSTILE 8: uses at most 15 MB more 10 s after the flood, and accepts its limit again', async () => {
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

  it('HOSTILE 8: accepts exactly 50 connections of one address at that limit, and still accepts other addresses', async () => {
    const kernel = await kernelProcess({}, [['middleware/connection-limits.ts', { maxPerIP: 50 }]]);

    const { accepted, refused } = await flood(kernel, 10);

    expect(accepted).to.equal(500);
    expect(refused).to.deep.equal({ 429: FLOOD - 500 });
    expect(await kernel.call('count')).to.equal(500);
  });
});
