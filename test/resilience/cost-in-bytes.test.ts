import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { constants, deflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import { frame, TEXT } from '../support/frames.ts';
import { kernelProcess } from '../support/lab.ts';
import { rawWebSocket } from '../support/raw.ts';
import { withinAllowance } from '../support/timing.ts';

const RSV1 = 4;
const MAX_PAYLOAD = 65_536;
const deflated = (text: string) => frame(TEXT, deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4), { rsv: RSV1 });

/** Content that makes 64 KB of JSON, and much work of them. */
const contents: Readonly<Record<string, unknown>> = {
  'markup to escape': '<&\'>'.repeat(16_000),
  'text that does not compress': randomBytes(48_000).toString('base64').slice(0, 64_000),
  'many small values': Array.from({ length: 6_000 }, (_, n) => [`<${n}>`]),
};

const layers = [
  ['middleware/rate-limit.ts'],
  ['middleware/validation.ts', { enableSanitization: true }],
  ['middleware/compression.ts'],
] as const;

describe('HOSTILE 41: the cost of bytes', () => {
  for (const [what, content] of Object.entries(contents)) {
    it(`HOSTILE 41: uses at most a tenth of a core for a connection that sends ${what} at its limits`, async () => {
      const kernel = await kernelProcess({ maxPayload: MAX_PAYLOAD }, layers);
      const client = await rawWebSocket({ port: kernel.port }, { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } });
      const message = deflated(JSON.stringify({ type: 'echo', content }));
      // The burst, which is regained while nothing is sent, is used up first; the program is warm by then, too.
      for (let n = 0; n < 16; n++) await client.write(message);
      await delay(500);

      await withinAllowance(3, async () => {
        const before = await kernel.call('cpu');
        const from = performance.now();
        for (let sent = 0; sent < 16; sent++) {
          await client.write(message);
          await delay(250);
        }

        const share = (await kernel.call('cpu') - before) / (performance.now() - from);
        expect(client.ended, 'still connected').to.equal(false);
        return {
          'share of a core': { value: share, allowed: 0.1 },
          'ms for one': { value: (await kernel.call('metrics')).messages.avgResponseTime, allowed: 20 },
        };
      });
    }).timeout(60_000);
  }
});
