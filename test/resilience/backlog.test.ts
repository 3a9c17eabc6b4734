import { constants, deflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import { bareProcess, fair, kernelProcess, latencies, probeProcess } from '../support/lab.ts';
import { frame, TEXT } from '../support/frames.ts';
import { rawWebSocket } from '../support/raw.ts';
import { eventually } from '../support/timing.ts';

const RSV1 = 4;
const deflated = (text: string) => frame(TEXT, deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4), { rsv: RSV1 });

/** What makes most of little: text, and lists that parse to many times their size. */
const attacks: Readonly<Record<string, string>> = {
  'long texts': JSON.stringify({ type: 'slow', content: 'x'.repeat(1_048_000) }),
  'nested lists': `{"type":"slow","content":[${Array<string>(45_000).fill('[[]]').join(',')}]}`,
};

describe('HOSTILE 35: amplified input in a small heap', () => {
  for (const [what, text] of Object.entries(attacks)) {
    it(`HOSTILE 35: survives 50 connections that each send 40 compressed messages of ${what} in one write`, async () => {
      const kernel = await kernelProcess({}, [['middleware/compression.ts']], false, { NODE_OPTIONS: '--max-old-space-size=256' });
      const bare = await bareProcess();
      const attack = Buffer.concat(Array<Buffer>(40).fill(deflated(text)));
      const strike = (port: number) => async () => {
        for (let count = 0; count < 50; count++) {
          const client = await rawWebSocket({ port }, { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } });
          // Closed meanwhile: that is the point.
          await client.write(attack).catch(() => undefined);
        }
      };
      const probe = await probeProcess(kernel.port, 5);
      const control = await probeProcess(bare.port, 5);

      const seen = await latencies(probe, strike(kernel.port));
      const allowed = fair(seen, await latencies(control, () => new Promise((resolve) => setTimeout(resolve, 500))));
      await eventually('nobody but the honest clients is left', async () => await kernel.call('count') <= 5 + 50, 20_000);
      const { heapUsed, external } = await kernel.call('memory');

      expect(kernel.exit(), kernel.output()).to.equal(undefined);
      expect(await kernel.call('failures')).to.deep.equal([]);
      expect((heapUsed + external) / 1_048_576, 'MiB').to.be.below(256);
      expect(seen.attacked, `honest clients wait ${seen.attacked} ms; control ${allowed} ms`).to.be.below(Math.max(allowed, 50));
    });
  }
});
