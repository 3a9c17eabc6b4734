import { expect } from 'chai';
import { files, read } from '../support/sources.ts';

describe('the tree in docs/DESIGN.md', () => {
  it('has one line for each file of src/, and for no other file', () => {
    const [, tree = ''] = /^src\/ .*\n((?: {2}.*\n)+)/m.exec(read('docs/DESIGN.md')) ?? [];
    const listed = tree.trimEnd().split('\n').map((line) => /^ {2}(\S+\.ts) +\S/.exec(line)?.[1]);

    expect(listed).to.have.members(files('src').map((file) => file.slice('src/'.length)));
  });
});
