import { expect } from 'chai';
import { bareEcho } from '../support/bare-echo.ts';
import { cleanup } from '../support/cleanup.ts';
import { type FrameCase, runFrameCases } from '../support/conformance.ts';
import { echoServer } from '../support/echo-server.ts';
import { MB, residentSize } from '../support/memory.ts';
import { eventually, timed, withinAllowance } from '../support/timing.ts';
import { closing } from './frames/closing.ts';
import { control } from './frames/control.ts';
import { deflated } from './frames/deflate.ts';
import { fragments } from './frames/fragments.ts';
import { lengths } from './frames/lengths.ts';
import { utf8 } from './frames/utf8.ts';
import { allLayers } from './all-layers.ts';

const families: Readonly<Record<string, readonly FrameCase[]>> = {
  'lengths': lengths,
  'pings, reserved bits and opcodes': control,
  'masks and fragments': fragments,
  'UTF-8': utf8,
  'closing': closing,
  'permessage-deflate': deflated,
};
const all = Object.values(families).flat();

describe('HOSTILE 1: frame conformance', () => {
  it('HOSTILE 1: has at least 250 cases, all of which bare ws passes', async () => {
    const bare = await bareEcho({ perMessageDeflate: true });
    cleanup(() => bare.stop());

    const failures = await runFrameCases(bare, all);

    expect(failures).to.deep.equal([]);
    expect(all).to.have.lengthOf.at.least(250);
    await eventually('no clients', () => bare.clients.size === 0 || bare.clients.size);
  });

  for (const [name, cases] of Object.entries(families)) {
    it(`HOSTILE 1: answers every case about ${name} as bare ws does, with every layer on`, async () => {
      const server = await echoServer({ use: await allLayers() });

      const failures = await runFrameCases(server, cases);

      expect(failures).to.deep.equal([]);
      await eventually('no clients', () => server.count() === 0 || server.count());
    });
  }

  it('HOSTILE 1: answers the cases without a layer, too', async () => {
    const server = await echoServer();

    const failures = await runFrameCases(server, all.filter((test) => test.deflate !== true));

    expect(failures).to.deep.equal([]);
  });

  it('HOSTILE 1: runs all cases in less than 3 s with less than 50 MB, and leaves no client', async () => {
    const server = await echoServer({ use: await allLayers() });
    const before = residentSize();

    await withinAllowance(6, async () => ({ milliseconds: { value: await timed(() => runFrameCases(server, all)), allowed: 3_000 } }));

    expect(residentSize() - before).to.be.below(50 * MB);
    await eventually('no clients', () => server.count() === 0 || server.count());
    expect(server.errors.filter((error) => !(error as { code?: string }).code?.startsWith('WS_ERR'))).to.deep.equal([]);
  });
});
