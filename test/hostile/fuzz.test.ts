import { expect } from 'chai';
import { echoServer } from '../support/echo-server.ts';
import { fuzz } from '../support/fuzz.ts';
import { heapUsed, MB } from '../support/memory.ts';
import { runFrameCase } from '../support/conformance.ts';
import { closing } from './frames/closing.ts';

describe('HOSTILE 2: fuzzing', () => {
  it('HOSTILE 2: survives 1,000 random streams, none longer than 2 s, without using more memory', async () => {
    const server = await echoServer();
    await fuzz(server, { streams: 200, count: server.count });
    const before = heapUsed();

    await fuzz(server, { streams: 1_000, count: server.count });

    expect(heapUsed() - before).to.be.below(2 * MB);
    expect(await runFrameCase(server, closing[0]!), 'an honest client afterwards').to.equal(undefined);
  }).timeout(60_000);
});
