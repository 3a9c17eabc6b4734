import { expect } from 'chai';
import { runFrameCase } from '../support/conformance.ts';
import { echoServer } from '../support/echo-server.ts';
import { fuzz, fuzzSeed } from '../support/fuzz.ts';
import { heapUsed, MB } from '../support/memory.ts';
import { allLayers } from '../hostile/all-layers.ts';
import { closing } from '../hostile/frames/closing.ts';

describe('HOSTILE 2: fuzzing at length', () => {
  it('HOSTILE 2: survives 20,000 random streams with every layer on, and is as small afterwards', async () => {
    const server = await echoServer({ use: await allLayers() });
    const settings = { seed: fuzzSeed(), count: server.count };
    await fuzz(server, { ...settings, streams: 1_000 });
    const before = heapUsed();

    await fuzz(server, { ...settings, streams: 20_000 });

    expect(heapUsed() - before).to.be.below(2 * MB);
    expect(await runFrameCase(server, closing[0]!), 'an honest client afterwards').to.equal(undefined);
  });
});
