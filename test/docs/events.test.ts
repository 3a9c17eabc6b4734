import { expect } from 'chai';
import '../../plugins/events.ts';
import { errorCodes } from '../../index.ts';
import { files, read } from '../support/sources.ts';
import { members, rows } from '../support/documents.ts';

const page = 'docs/events.md';

describe('the page docs/events.md', () => {
  it('lists every option with its default, and no other', () => {
    const source = read('plugins/events.ts');
    const defaults = members('plugins/events.ts', 'EventsOptions').map((option) => {
      const stated = new RegExp(`@default ([^*\\n]+?)(?: \\*/)?\\n(?: +\\*/\\n)? +readonly ${option}\\?:`);
      const [, given] = stated.exec(source)!;
      return [option, given!.trim()];
    });

    expect(rows(page, 'option').map(([option, given]) => [option, given])).to.have.deep.members(defaults);
  });

  it('lists every member of a server, a namespace and a socket', () => {
    const contracts = 'plugins/events/event-contracts.ts';
    const types = ['Broadcaster', 'BaseNamespace', 'EventNamespace', 'Server', 'Socket', 'TimedEmitter'];
    const all = new Set(types.flatMap((type) => members(contracts, type)));
    const text = read(page);

    const untold = [...all].filter((name) => !new RegExp(`[\`.]${name}\\b`).test(text));
    expect(untold.filter((name) => !['name', 'disconnected'].includes(name))).to.deep.equal([]);
  });

  it('lists every code that the plugin raises', () => {
    const source = files('plugins/events.ts', 'plugins/events').map(read).join('\n');
    const owned = Object.entries(errorCodes).filter(([, { owner }]) => owner === 'events').map(([code]) => code);
    const calls = /(?:new ModuleError(?:<string>)?\(|super\(|code: )'([A-Z_]+)'/g;
    const raised = [...source.matchAll(calls)].map(([, code]) => code!);
    // Told by the kernel's own pages.
    const elsewhere = ['CONNECTION_CLOSED', 'DUPLICATE', 'INTERNAL_ERROR', 'NAMESPACE_NAME_INVALID', 'OPTION_INVALID'];

    expect(rows(page, 'code').map(([code]) => code))
      .to.have.members([...new Set([...owned, ...raised])].filter((code) => !elsewhere.includes(code)));
  });

  it('lists every reason to disconnect', () => {
    const [, type = ''] = /export type DisconnectReason =([^;]+);/.exec(read('plugins/events/typed-events.ts'))!;

    const reasons = [...type.matchAll(/'([^']+)'/g)].map(([, reason]) => reason);
    expect(rows(page, 'reason').map(([reason]) => reason)).to.have.members(reasons);
  });
});
