import { expect } from 'chai';
import { files, read } from '../support/sources.ts';

describe('the page of each plugin', () => {
  it('says in the section "Across nodes" what nodes share', () => {
    const names = files('plugins').flatMap((file) => /^plugins\/([^/]+)\.ts$/.exec(file)?.[1] ?? []);
    const lacking = names.filter((name) => !/^## Across nodes\n\n\S/m.test(read(`docs/${name}.md`)));

    expect(names).to.include('rooms');
    expect(lacking).to.deep.equal([]);
  });
});
