import { expect } from 'chai';
import '../../handlers/admin.ts';
import '../../handlers/auth-handler.ts';
import { errorCodes } from '../../index.ts';
import { read } from '../support/sources.ts';
import { members, rows } from '../support/documents.ts';

const ownCodes = (owner: string) => Object.entries(errorCodes).filter(([, traits]) => traits.owner === owner).map(([code]) => code);

describe('the pages of handlers', () => {
  for (const [page, owner] of [['docs/auth.md', 'auth'], ['docs/admin.md', 'admin']] as const) {
    it(`${page} lists every code of its own`, () => {
      expect(rows(page, 'code').map(([code]) => code)).to.include.members(ownCodes(owner));
    });
  }

  it('docs/permissions.md lists every option, and no other', () => {
    expect(rows('docs/permissions.md', 'option').map(([name]) => name)).to.have.members(members('middleware/permissions.ts', 'PermissionsOptions'));
  });

  it('docs/API.md lists every option of a shutdown with its default', () => {
    const documented = rows('docs/API.md', 'shutdown');

    expect(documented.map(([name]) => name)).to.have.members(members('src/kit/graceful-shutdown.ts', 'ShutdownOptions'));
    for (const [name = '', value] of documented) {
      const [, given = 'none'] = new RegExp(`@default ([^*]+?)\\s*\\*/\\n  readonly ${name}\\?:`).exec(read('src/kit/graceful-shutdown.ts')) ?? [];
      expect(value, name).to.equal(given);
    }
  });

  it('docs/API.md names every option of init', () => {
    const [, answer = ''] = rows('docs/API.md', 'type').find(([type]) => type === 'init')!;

    for (const option of members('handlers/init.ts', 'InitOptions')) expect(answer).to.include(option);
  });
});
