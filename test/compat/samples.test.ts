import { expect } from 'chai';
import { compileSamples, RESOLUTIONS } from '../support/samples.ts';
import { packed } from '../support/packed.ts';

describe('the samples of the documents', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  for (const resolution of Object.keys(RESOLUTIONS) as (keyof typeof RESOLUTIONS)[]) {
    it(`compile as strict TypeScript (${resolution})`, async () => {
      expect((await compileSamples({ resolution })).join('\n')).to.equal('');
    });
  }
});
