import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path/posix';
import { expect } from 'chai';
import { files, read, root } from '../support/sources.ts';
import { blocks, documents, rows } from '../support/documents.ts';

/** How GitHub names a heading in an address. */
const anchor = (heading: string) => heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-');
const anchors = (file: string) => [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchor(heading));

describe('the documents', () => {
  it('link to files and headings that exist', () => {
    const broken = documents().flatMap((file) => [...read(file).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].flatMap(([link, path = '', heading]) => {
      const target = path === '' ? file : normalize(join(dirname(file), path));
      const exists = existsSync(join(root, target)) && (heading === undefined || anchors(target).includes(heading));
      return exists ? [] : [`${file}: ${link}`];
    }));

    expect(broken).to.deep.equal([]);
  });

  it('list the files of the kernel, each once', () => {
    const [tree] = blocks('docs/DESIGN.md').filter(({ heading }) => heading === 'The tree');
    const kernel = /^src\/.*\n((?: .*\n)+)/m.exec(tree?.code ?? '')?.[1]?.trimEnd().split('\n').map((line) => `src/${line.trim().split(' ')[0]}`);

    expect(kernel).to.have.members(files('src'));
  });

  it('name every built-in in the README', () => {
    const [, table = ''] = /^const builtins.*\n([^]*?)^\};/m.exec(read('index.ts')) ?? [];
    const builtins = [...table.matchAll(/^ {2}'?([\w-]+)'?:/gm)].map(([, name = '']) => name);

    const named = rows('README.md', 'name').flatMap(([cell = '']) => cell.split(', '));

    expect(named).to.include.members(builtins);
  });

  it('are all reached from the README', () => {
    const linked = new Set(['README.md']);
    for (const file of linked) for (const [, path = ''] of read(file).matchAll(/\]\((?!https?:)([^)#]+\.md)/g)) linked.add(normalize(join(dirname(file), path)));

    expect(documents().filter((file) => !linked.has(file))).to.deep.equal([]);
  });
});
