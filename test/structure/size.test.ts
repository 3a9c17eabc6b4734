import { expect } from 'chai';
import { extensions } from './import-rules.ts';
import { files, linesOfCode, read } from '../support/sources.ts';

describe('the size of things', () => {
  it('keeps the kernel without its kit under 6,600 lines of code', () => {
    const lines = files('src').filter((file) => !file.startsWith('src/kit/')).reduce((sum, file) => sum + linesOfCode(read(file)), 0);

    expect(lines).to.be.below(6_600);
  });

  it('keeps every file within 350 lines', () => {
    const sources = files('index.ts', 'src', ...extensions, 'client', 'testing');
    const long = sources.map((file) => ({ file, lines: read(file).trimEnd().split('\n').length })).filter(({ lines }) => lines > 350);

    expect(long).to.deep.equal([]);
  });

  it('counts neither comments nor blank lines', () => {
    const text = '/** A word. */\n\nexport const a = 1; // why\n// alone\n/* two\n   lines */\nexport const b = `\n\n`;\n';

    expect(linesOfCode(text)).to.equal(4);
  });
});
