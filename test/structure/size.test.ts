import { expect } from 'chai';
import { extensions } from './import-rules.ts';
import { files, linesOfCode, read } from './sources.ts';

describe('the size of things', () => {
  // The aim is 2,000. What is there now is held, so that it can only shrink: docs/DESIGN.md says where the rest is.
  it('keeps the kernel from growing', () => {
    const lines = files('src').reduce((sum, file) => sum + linesOfCode(read(file)), 0);

    expect(lines).to.be.below(2_860);
  });

  it('keeps every file within 250 lines', () => {
    const sources = files('index.ts', 'src', ...extensions, 'client');
    const long = sources.map((file) => ({ file, lines: read(file).trimEnd().split('\n').length })).filter(({ lines }) => lines > 250);

    expect(long).to.deep.equal([]);
  });

  it('counts neither comments nor blank lines', () => {
    const text = '/** A word. */\n\nexport const a = 1; // why\n// alone\n/* two\n   lines */\nexport const b = `\n\n`;\n';

    expect(linesOfCode(text)).to.equal(4);
  });
});
