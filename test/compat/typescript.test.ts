import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { packed } from '../support/packed.ts';
import { publicPaths } from '../support/public-paths.ts';
import { compile, compilerOf, compileSamples, RESOLUTIONS } from '../support/samples.ts';

/** From the oldest version that is supported. `npm test` uses the one that is installed. */
const versions = ['5.6.3', '5.9.3'];

for (const version of versions) {
  describe(`with TypeScript ${version}`, () => {
    let compiler: string;

    before(async function () {
      this.timeout(180_000);
      [compiler] = await Promise.all([compilerOf(version), packed()]);
    });

    it('the declarations of every public path are valid', async () => {
      const pack = await packed();
      const folder = mkdtempSync(join(pack.dir, 'declarations-'));
      const imports = publicPaths(pack).map((path) => `import '${path}';\n`);
      writeFileSync(join(folder, 'all.mts'), imports.join(''));

      expect(await compile(folder, { module: 'nodenext', skipLibCheck: false }, compiler)).to.equal('');
      expect(imports).to.not.be.empty;
    });

    for (const resolution of Object.keys(RESOLUTIONS) as (keyof typeof RESOLUTIONS)[]) {
      it(`the samples of the documents compile (${resolution})`, async () => {
        const errors = await compileSamples({ resolution, compiler, commonjs: version !== '5.6.3' });

        expect(errors.join('\n')).to.equal('');
      });
    }
  });
}
