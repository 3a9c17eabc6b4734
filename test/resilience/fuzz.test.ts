import { expect } from 'chai';
import { runFrameCase } from '../support/conformance.ts';
import { echoServer } from '../support/echo-server.ts';
import { fuzz } from '../support/fuzz.ts';
import { heapUsed, MB } from '../support/memory.ts';
import { allLayers } from '../hostile/all-layers.ts';
import { closing } from '../hostile/frames/closing.ts';

describe('HOSTILE 2: fuzzing at length', () => {
  it('HOSTILE 2: survives 20,000 random streams with every layer on, without using more memory', async () => {
    const server = await echoServer({ use: await allLayers() });
    await fuzz(server, { streams: 1_000, count: server.count });
    const before = heapUsed();

    await fuzz(server, { streams: 20_000, count: server.count });

    expect(heapUsed() - before).to.be.below(2 * MB);
    expect(await runFrameCase(server, closing[0]!), 'an honest client afterwards').to.equal(undefined);
  });
});
