import { expect } from 'chai';
import { files, read } from '../support/sources.ts';
import { extensions } from './import-rules.ts';

describe('the names of events', () => {
  it('are declared by each plugin that adds some', () => {
    const undeclared = files(...extensions).flatMap((file) => {
      const source = read(file);
      const [, block = ''] = /interface Hooks \{([\s\S]*?)\n? {0,2}\}\n/.exec(source) ?? [];
      const [, declared = ''] = /^ +events: \[([^\]]*)\]/m.exec(source) ?? [];
      const names = [...block.matchAll(/'([\w:-]+)': \(/g)].map(([, name]) => name!);
      return names.filter((name) => !declared.includes(`'${name}'`)).map((name) => `${file}: ${name}`);
    });

    expect(undeclared).to.deep.equal([]);
  });
});
