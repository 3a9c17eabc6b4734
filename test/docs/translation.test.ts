import { expect } from 'chai';
import { read } from '../support/sources.ts';
import { blocks, rows } from '../support/documents.ts';

const [original, translation] = ['README.md', 'README.zh-CN.md'] as const;
/** A document without its code. */
const prose = (file: string) => read(file).replace(/^```[^]*?^```$/gm, '');

describe(translation, () => {
  it(`has the headings of ${original}, as many and of the same levels`, () => {
    const levels = (file: string) => [...prose(file).matchAll(/^(#+) /gm)].map(([, level]) => level);

    expect(levels(translation)).to.deep.equal(levels(original));
  });

  it(`has the code of ${original}, but for comments`, () => {
    const code = (file: string) => blocks(file).map((block) => [block.language, block.info, block.code.replace(/^ *(\/\/|#) .*$/gm, '')]);

    expect(code(translation)).to.deep.equal(code(original));
  });

  it(`has the tables of ${original}: as many rows, the same names and figures`, () => {
    const shape = (file: string) => [...prose(file).matchAll(/^\|(.*)\|$/gm)].map(([, row = '']) => row.split('|').length);

    expect(shape(translation)).to.deep.equal(shape(original));
    expect(rows(translation, '名称').map(([name]) => name).slice(1)).to.deep.equal(rows(original, 'name').map(([name]) => name).slice(1));
    expect(rows(translation, 'median of five rounds')).to.deep.equal(rows(original, 'median of five rounds'));
  });

  it(`links to what ${original} links to, but for each other`, () => {
    const links = (file: string) => [...prose(file).matchAll(/\]\(([^)]+)\)/g)].map(([, link]) => link).filter((link) => link !== original && link !== translation);

    expect(links(translation)).to.have.members(links(original));
  });
});
