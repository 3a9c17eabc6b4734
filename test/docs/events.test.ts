import { expect } from 'chai';
import { read } from '../structure/sources.ts';
import { members, rows } from '../support/documents.ts';

const page = 'docs/events.md';

describe('the page docs/events.md', () => {
  it('lists every option with its default, and no other', () => {
    const source = read('plugins/events.ts');
    const defaults = members('plugins/events.ts', 'EventsOptions').map((option) => {
      const [, given] = new RegExp(`@default ([^*\\n]+?)(?: \\*/)?\\n(?: +\\*/\\n)? +readonly ${option}\\?:`).exec(source)!;
      return [option, given!.trim()];
    });

    expect(rows(page, 'option').map(([option, given]) => [option, given])).to.have.deep.members(defaults);
  });

  it('tells of every member of a server, a namespace and a socket', () => {
    const contracts = 'plugins/events/contracts.ts';
    const all = ['Broadcaster', 'Entrance', 'EventNamespace', 'Server', 'Socket', 'TimedEmitter'].flatMap((type) => members(contracts, type));
    const text = read(page);

    expect([...new Set(all)].filter((name) => !new RegExp(`[\`.]${name}\\b`).test(text) && !['name', 'disconnected'].includes(name))).to.deep.equal([]);
  });

  it('lists every code that the plugin raises', () => {
    const files = ['arguments', 'broadcast', 'host', 'layers', 'local-server', 'main-door', 'members', 'membership', 'named-door', 'names'];
    const raised = files.flatMap((file) => [...read(`plugins/events/${file}.ts`).matchAll(/(?:new ModuleError(?:<string>)?\(|super\(|code: )'([A-Z_]+)'/g)].map(([, code]) => code!));
    // Told by the kernel's own pages.
    const elsewhere = ['CONNECTION_CLOSED', 'DUPLICATE', 'INTERNAL_ERROR', 'NAMESPACE_NAME_INVALID', 'OPTION_INVALID'];

    expect(rows(page, 'code').map(([code]) => code)).to.have.members([...new Set(raised)].filter((code) => !elsewhere.includes(code)));
  });

  it('lists every reason to disconnect', () => {
    const [, type = ''] = /export type DisconnectReason =([^;]+);/.exec(read('plugins/events/disconnect-reason.ts'))!;

    expect(rows(page, 'reason').map(([reason]) => reason)).to.have.members([...type.matchAll(/'([^']+)'/g)].map(([, reason]) => reason));
  });
});
