import { expect } from 'chai';
import door from '../../index.ts';
import { closeCodes, DEFAULTS, errorCodes, reconnectPolicy, type ErrorTraits } from '../../index.ts';
import testing from '../../testing/index.ts';
import { members, paths, rows } from '../support/documents.ts';
import { read } from '../support/sources.ts';

const file = 'docs/API.md';
/** The first cells of a table, which name what its rows are about; of a method its name alone. */
const named = (table: readonly string[][]) => table.map(([cell = '']) => cell.replace(/\(.*$/, ''));

describe('docs/API.md', () => {
  it('lists every option, and no other', () => {
    expect(named(rows(file, 'option'))).to.have.members(paths('src/runtime/options.ts', 'Options'));
  });

  it('gives the options their defaults', () => {
    const defaults: Record<string, unknown> = { ...DEFAULTS, handlers: ['init', 'text', 'ping', 'system'] };

    for (const [option = '', , given = ''] of rows(file, 'option')) {
      const [name = '', field] = option.split('.');
      const value = field === undefined ? defaults[name] : (defaults[name] as Record<string, unknown> | undefined)?.[field];
      const isGroup = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
      const expected = isGroup || option === 'production' ? '' : value === undefined ? '–' : JSON.stringify(value).replaceAll('"', '\'').replaceAll(',', ', ');
      expect(given, option).to.equal(expected);
    }
  });

  it('lists every error, with its traits', () => {
    const documented = rows(file, 'code');
    const cell = (value: number | undefined) => value === undefined ? '–' : String(value);

    const shared = Object.entries(errorCodes).filter(([, { owner }]) => owner === 'kernel' || owner === 'kit').map(([code]) => code);
    expect(named(documented)).to.have.members(shared);
    for (const [code = '', peer, status, close, meaning] of documented) {
      const traits = (errorCodes as Record<string, ErrorTraits>)[code]!;
      expect([peer, status, close], code).to.deep.equal([traits.expose ? 'yes' : '–', cell(traits.status), cell(traits.closeCode)]);
      expect(meaning, code).to.not.be.empty;
    }
  });

  it('lists every close code, and whether to reconnect', () => {
    const documented = rows(file, 'name').map(([name, code, back]) => [name, Number(code), back]);

    expect(documented).to.deep.equal(Object.entries(closeCodes).map(([name, code]) => [name, code, reconnectPolicy(code)]));
  });

  const lists: readonly (readonly [title: string, source: string, type: string])[] = [
    ['manager', 'src/manager.ts', 'WebSocketManager'],
    ['event', 'src/contracts.ts', 'Hooks'],
    ['connection', 'src/contracts.ts', 'Connection'],
    ['context', 'src/contracts.ts', 'PluginContext'],
    ['node', 'src/contracts.ts', 'Node'],
    ['adapter', 'src/ports.ts', 'Adapter'],
    ['client', 'testing/client.ts', 'Client'],
  ];

  for (const [title, source, type] of lists) {
    it(`lists every member of ${type}, and no other`, () => {
      expect(named(rows(file, title))).to.have.members(members(source, type));
    });
  }

  it('names every export of the package', () => {
    const named = new Set(read(file).match(/`[^`\n]+`/g)!.flatMap((code) => code.match(/\w+/g) ?? []));

    expect(Object.keys(door).filter((name) => name !== 'WebSocketModule' && !named.has(name))).to.deep.equal([]);
  });

  it('lists every export of the testing door, and no other', () => {
    expect(named(rows(file, 'testing'))).to.have.members(Object.keys(testing));
  });
});
