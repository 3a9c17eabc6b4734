import { expect } from 'chai';
import { errorCodes } from '../../../index.ts';
import { files, read } from '../../support/sources.ts';
import { members, rows } from '../../support/documents.ts';
import { entered, serve } from './entering.ts';

const page = 'docs/namespaces.md';
const contracts = 'plugins/namespaces/namespace-contracts.ts';
const first = (title: string) => rows(page, title).map(([name]) => name);

describe('the page about namespaces', () => {
  it('lists every option, and no other', () => {
    const nested = ['auth', 'rateLimit'];
    const groups = { auth: 'NamespaceAuth', rateLimit: 'NamespaceRateLimit' };
    const expected = Object.entries(groups).flatMap(([group, type]) => members(contracts, type).map((name) => `${group}.${name}`));

    expect(first('option')).to.have.members(members('plugins/namespaces.ts', 'NamespacesOptions'));
    expect(first('option of a namespace')).to.have.members([...expected, ...members(contracts, 'NamespaceOptions').filter((name) => !nested.includes(name))]);
  });

  it('gives them the defaults that the source does', () => {
    const source = read('plugins/namespaces.ts') + read(contracts);

    for (const [option = '', documented = ''] of [...rows(page, 'option'), ...rows(page, 'option of a namespace')]) {
      const stated = new RegExp(`@default ([^*]+?) \\*/\\n  readonly ${option.split('.').at(-1)}\\?:`).exec(source)?.[1] ?? '';
      expect(documented, option).to.equal(stated);
    }
  });

  it('lists every code that the plugin raises', () => {
    const owned = Object.entries(errorCodes).filter(([, { owner }]) => owner === 'namespaces').map(([code]) => code);
    const source = files('plugins/namespaces.ts', 'plugins/namespaces').map(read).join('\n');
    const raised = [...source.matchAll(/ModuleError\('([A-Z_]+)'/g)].map(([, code]) => code!);
    // Told by the kernel's own pages.
    const elsewhere = ['DUPLICATE', 'HANDLER_INVALID', 'ITEM_INVALID', 'OPTION_INVALID'];
    const listed = first('code').flatMap((cell) => cell!.split(', '));

    expect(listed).to.have.members([...new Set([...owned, ...raised])].filter((code) => !elsewhere.includes(code)));
  });

  it('names the metric of the plugin', async () => {
    const { manager, connect } = await serve({ namespaces: { '/chat': {}, '/game': {} } });
    await entered(await connect(), '/chat');

    const metric = manager.describeMetrics().get('namespace_connections');

    expect(read(page)).to.include('`namespace_connections`');
    expect(metric?.value).to.deep.equal([{ labels: { namespace: '/chat' }, value: 1 }, { labels: { namespace: '/game' }, value: 0 }]);
  });
});
