import { expect } from 'chai';
import { presence } from '../../plugins/presence.ts';
import { privateMessages } from '../../plugins/private-messages.ts';
import { rooms } from '../../plugins/rooms.ts';
import { files, read } from '../support/sources.ts';
import { members, rows } from '../support/documents.ts';
import { start } from '../support/start.ts';

const pages = [
  { name: 'private-messages', options: 'PrivateMessagesOptions', use: [privateMessages()] },
  { name: 'presence', options: 'PresenceOptions', use: [rooms(), presence()] },
];

for (const { name, options, use } of pages) {
  const page = `docs/${name}.md`;
  const source = `plugins/${name}.ts`;

  describe(`the page ${page}`, () => {
    it('lists every option with the default that the source gives, and no other', () => {
      const documented = rows(page, 'option');

      expect(documented.map(([option]) => option)).to.have.members(members(source, options));
      for (const [option, value = ''] of documented) {
        const [, given = ''] = new RegExp(`@default ([^*]+?)\\s*\\*/\\n  readonly ${option}\\?:`).exec(read(source)) ?? [];
        expect(value, option).to.equal(given.replaceAll('`', ''));
      }
    });

    it('lists every metric, and no other', async () => {
      const { manager } = await start({ use });

      expect(rows(page, 'metric').map(([metric]) => metric)).to.have.members(Object.keys(manager.getMetrics().plugins[name]!));
    });

    it('lists every event, and every code of its own', () => {
      const events = [...read(source).matchAll(/^ {4}'([\w:-]+)': \(event/gm)].map(([, event]) => event);
      const codes = [source, ...files(`plugins/${name}`)].flatMap((file) => [...read(file).matchAll(/new ModuleError\('(\w+)'|(validationError)\(/g)]
        .map(([, code, helper]) => (helper ? 'VALIDATION_FAILED' : code)));

      expect(rows(page, 'event').map(([event]) => event)).to.have.members(events);
      expect(rows(page, 'code').map(([code]) => code)).to.have.members([...new Set(codes)]);
    });
  });
}
