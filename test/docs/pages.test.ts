import { expect } from 'chai';
import { monitoring } from '../../plugins/monitoring.ts';
import { read } from '../support/sources.ts';
import { blocks, members, rows } from '../support/documents.ts';
import { packed } from '../support/packed.ts';
import { start } from '../support/start.ts';

/** What a page's first example needs to be a program of its own, on any free port. */
function program(page: string): string {
  const [example] = blocks(page).filter(({ language }) => language === 'js');
  const code = example!.code.replace(/\b300\d\b/g, '0');
  return `import { once } from 'node:events';\n${code}\nif (typeof server === 'object') await once(server, 'listening');\nprocess.exit(0);\n`;
}

/** The default that the source gives for an option: in its comment, and there alone. */
function defaultOf(file: string, option: string): string | undefined {
  const field = option.split('.').at(-1)!;
  return new RegExp(`@default ([^*]+?) \\*/\\n  readonly ${field}\\?:|@default ([^*\\n]+)\\n +\\*/\\n  readonly ${field}\\?:`).exec(read(file))?.slice(1).find(Boolean);
}

describe('the page', () => {
  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  const layers = ['validation', 'rate-limit', 'connection-limits', 'logging', 'error-handler', 'compression', 'permissions', 'admin', 'moderation', 'batching', 'cluster'].map((name) => `docs/${name}.md`);

  for (const page of ['docs/monitoring.md', 'docs/endpoints.md', 'docs/adapters.md', 'docs/rooms.md', 'docs/history.md', 'docs/recovery.md', 'docs/namespaces.md', 'docs/events.md', 'docs/presence.md', 'docs/private-messages.md', ...layers]) {
    it(`${page} begins with an example that runs`, async () => {
      const { run } = await packed();

      const { code, stderr } = await run(program(page));

      expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
    });
  }

  it('docs/monitoring.md lists every option, and no other', () => {
    const file = 'plugins/monitoring.ts';
    const expected = [...members(file, 'MonitoringOptions'), ...members(file, 'AlertThresholds').map((name) => `alertThresholds.${name}`)];

    expect(rows('docs/monitoring.md', 'option').map(([name]) => name)).to.have.members(expected);
  });

  it('docs/endpoints.md lists every option, and no other', () => {
    const file = 'plugins/endpoints.ts';
    const expected = ['token', ...members(file, 'EndpointsOptions'), ...members(file, 'EndpointPaths').map((name) => `paths.${name}`)];

    expect(rows('docs/endpoints.md', 'option').map(([name]) => name)).to.have.members(expected);
  });

  it('docs/admin.md lists every option, and no other', () => {
    expect(rows('docs/admin.md', 'option').map(([name]) => name)).to.have.members(members('handlers/admin.ts', 'AdminOptions'));
  });

  it('docs/moderation.md lists every option, and no other', () => {
    const expected = [...members('plugins/moderation.ts', 'ModerationOptions'), ...members('plugins/moderation/word-list.ts', 'WordListOptions')];

    expect(rows('docs/moderation.md', 'option').map(([name]) => name)).to.have.members(expected);
  });

  it('docs/batching.md lists every option, and no other', () => {
    expect(rows('docs/batching.md', 'option').map(([name]) => name)).to.have.members(members('plugins/batching.ts', 'BatchingOptions'));
  });

  it('docs/history.md lists every option, and no other, and the members of its API', () => {
    expect(rows('docs/history.md', 'option').map(([name]) => name)).to.have.members(members('plugins/history/history-options.ts', 'HistoryOptions'));
    expect(rows('docs/history.md', 'function').map(([name = '']) => name.replace(/\(.*/, ''))).to.have.members(members('plugins/history/history-api.ts', 'HistoryApi'));
  });

  it('docs/recovery.md lists every option, and no other', () => {
    expect(rows('docs/recovery.md', 'option').map(([name]) => name)).to.have.members(members('plugins/recovery/recovery-options.ts', 'RecoveryOptions'));
  });

  for (const [page, file] of [['docs/history.md', 'plugins/history/history-options.ts'], ['docs/recovery.md', 'plugins/recovery/recovery-options.ts'], ['docs/admin.md', 'handlers/admin.ts'], ['docs/batching.md', 'plugins/batching.ts'], ['docs/monitoring.md', 'plugins/monitoring.ts'], ['docs/endpoints.md', 'plugins/endpoints.ts']] as const) {
    it(`${page} gives the options the defaults that their source does`, () => {
      for (const [option = '', documented = ''] of rows(page, 'option')) {
        if (documented === '' || documented === 'see below') continue;
        expect(documented, option).to.equal(defaultOf(file, option)?.trim());
      }
    });
  }

  it('docs/monitoring.md lists every metric with its type, and no other', async () => {
    const { manager } = await start({ use: [monitoring()] });
    const source = read('plugins/monitoring.ts');

    const documented = rows('docs/monitoring.md', 'metric');

    expect(documented.map(([name]) => name)).to.have.members(Object.keys(manager.getMetrics().plugins['monitoring']!));
    for (const [name, type] of documented) expect(source).to.match(new RegExp(`${name}: (${type}\\(|\\{ type: '${type}')`));
  });
});
