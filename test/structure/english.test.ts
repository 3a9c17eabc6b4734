import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { read, root } from '../support/sources.ts';

/** Words that make a sentence hard to read for non-native speakers. Write "they" for people, and "it" for connections. */
const WORDS = ['his', 'he', 'him', 'nobody', 'somebody', 'whom', 'whoever'];
const PLACES = ['src', 'client', 'plugins', 'middleware', 'handlers', 'adapters', 'testing', 'scripts', 'examples', 'bench', 'docs', '*.md', 'index.ts'];
const EXEMPT = ['CHANGELOG.md', 'README.zh-CN.md'];

/** Code that is one of the words: the value of an option. */
const CODE = /'nobody'/g;

const found = (text: string) => [...text.replace(CODE, '').matchAll(new RegExp(`\\b(${WORDS.join('|')})\\b`, 'gi'))].map(([word]) => word);

describe('the English of the repository', () => {
  it('contains none of the listed words', function () {
    const list = tracked();
    if (list === undefined) return this.skip();
    const checked = list.filter((file) => !EXEMPT.includes(file) && !/\.(png|svg|json|ico)$/.test(file));

    const places = checked.flatMap((file) => read(file).split('\n').flatMap((line, index) => found(line).map((word) => `${file}:${index + 1}: ${word}`)));

    expect(checked).to.include.members(['README.md', 'docs/PROTOCOL.md', 'src/manager.ts', 'examples/express.js']);
    expect(places).to.deep.equal([]);
  });

  it('is checked by whole words', () => {
    expect(found('Nobody is here; the history of this chat, with the audience \'nobody\', has him.')).to.deep.equal(['Nobody', 'him']);
  });
});

/** Nothing where there is no git or no repository. */
function tracked(): string[] | undefined {
  try {
    // `:(glob)` keeps `*.md` at the root.
    const pathspecs = PLACES.map((place) => (place.includes('*') ? `:(glob)${place}` : place));
    const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate', '-z', '--', ...pathspecs], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const deleted = new Set(execFileSync('git', ['ls-files', '--deleted', '-z'], { cwd: root, encoding: 'utf8' }).split('\0'));
    return files.split('\0').filter((file) => file !== '' && !deleted.has(file));
  } catch {
    return undefined;
  }
}
