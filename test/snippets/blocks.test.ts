import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { files, read, root } from '../support/sources.ts';
import { snippet } from '../support/snippets.ts';
import { FINGERPRINTS, NOT_RUNNING_YET, RUNNING } from './blocks.ts';

const folder = 'test/snippets';
const isTest = (file: string) => file.endsWith('.test.ts');
const copies = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.txt')).map((file) => basename(file, '.txt'));

/** The copies of a block: one, or several parts in the order of their letters. */
const copiesOf = (block: string): string[] => copies.filter((name) => name.startsWith(block)).sort();

/** Modules whose place this package takes, and its own. The others are part of the text. */
const REPLACED = /^(\.{1,2}\/|@\/|@sker\/|socket\.io(-client)?$|@socket\.io\/redis-adapter$|websocket-module(\/|$))/;
const SPECIFIER = /((?:\bfrom|\brequire\(|\bimport\(|\bimport)\s*)(['"])([^'"\n]+)\2/g;

/**
 * Neither white space nor characters outside ASCII count: those reached this project damaged, and are repaired in the
 * copies.
 */
function fingerprint(text: string): string {
  const bare = text.replace(
    SPECIFIER, (whole, before: string, _quote, name: string) => (REPLACED.test(name) ? before : whole),
  );
  return createHash('sha256').update(bare.replace(/[^\x21-\x7e]+/g, '')).digest('hex').slice(0, 12);
}

describe('the blocks of the specification', () => {
  it('each run, or are listed with what is missing', () => {
    expect([...RUNNING, ...Object.keys(NOT_RUNNING_YET)].sort()).to.deep.equal(Object.keys(FINGERPRINTS).sort());
  });

  it('are copied word for word', () => {
    const blocks = [...new Set(copies.map((name) => name.slice(0, '1-02'.length)))];

    const changed = blocks.filter(
      (block) => fingerprint(copiesOf(block).map((name) => snippet(name)).join('\n')) !== FINGERPRINTS[block],
    );

    expect(changed).to.deep.equal([]);
    expect(blocks).to.include.members([...RUNNING]);
  });

  it('are read by a test, each part of those that run', () => {
    const tests = files(folder).filter((file) => isTest(file) || file.endsWith('/around.ts')).map(read).join('\n');

    expect(RUNNING.flatMap(copiesOf).filter((name) => !tests.includes(`'${name}'`))).to.deep.equal([]);
  });
});
