import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { read, root } from '../support/sources.ts';

/** What no file may say: it would be true on one machine only. Written so that this file does not say it either. */
const forbidden: Readonly<Record<string, RegExp>> = {
  'the host of a package registry': /registry\.(npm[j]s|yarn[p]kg)|deb\.deb[i]an\.org|py[p]i\.org/,
  'where a package was downloaded from': /"resol[v]ed": "http/,
  'an absolute path of a machine': /(^|[\s'"`(=:,>])\/(work|root|home|Users)\//m,
};

describe('the words of the repository', () => {
  it('contain no path, host or name of one machine', function () {
    const listed = list(['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate', '-z']);
    if (listed === undefined) return this.skip();
    const found = listed.flatMap((file) => {
      const text = textOf(file);
      return Object.entries(forbidden).filter(([, pattern]) => pattern.test(text)).map(([what]) => `${file}: ${what}`);
    });

    expect(found).to.deep.equal([]);
  });

  it('are searched correctly', () => {
    const bad = [...['work', 'root'].map((folder) => `see ${['', folder, 'x'].join('/')}`), ['registry', 'npmjs', 'org'].join('.')];

    for (const text of bad) expect(Object.values(forbidden).some((pattern) => pattern.test(text)), text).to.be.true;
    for (const text of ['src/work/x', 'https://a/home/', 'the root / of']) {
      expect(Object.values(forbidden).some((pattern) => pattern.test(text)), text).to.be.false;
    }
  });
});

/** Nothing where there is no git or no repository: an unpacked archive has nothing tracked. */
function list(parameters: string[]): string[] | undefined {
  try {
    return execFileSync('git', parameters, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\0').filter(Boolean);
  } catch {
    return undefined;
  }
}

function textOf(file: string): string {
  try {
    const text = read(file);
    return text.includes('\0') ? '' : text;
  } catch {
    // Deleted and not yet committed so, or a link to a folder.
    return '';
  }
}
