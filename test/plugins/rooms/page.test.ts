import { expect } from 'chai';
import { refusals } from '../../../plugins/rooms/refusals.ts';
import { ROOM_DEFAULTS } from '../../../plugins/rooms/config.ts';
import { files, read } from '../../structure/sources.ts';
import { members, rows } from '../../support/documents.ts';
import { serve } from './serving.ts';

const page = 'docs/rooms.md';
const names = (title: string) => rows(page, title).flatMap(([cell = '']) => cell.split(', '));

describe('the page about rooms', () => {
  it('lists every option, and no other, with the defaults that the source gives', () => {
    expect(names('option')).to.have.members(members('plugins/rooms.ts', 'RoomsOptions'));
    for (const [option = '', documented] of rows(page, 'option')) {
      const stated = new RegExp(`@default ([^*]+?) \\*/\\n  readonly ${option}\\?:`).exec(read('plugins/rooms.ts'))?.[1];
      expect(documented, option).to.equal(stated?.replaceAll('`', ''));
    }
  });

  it('lists what a room can be, and the defaults', () => {
    const config = 'plugins/rooms/config.ts';
    const sections = { permissions: 'RoomPermissions', message: 'RoomMessages', behavior: 'RoomBehavior' };
    const nested = Object.entries(sections).flatMap(([section, type]) => members(config, type).map((name) => `${section}.${name}`));
    const own = members(config, 'RoomConfig').filter((name) => !Object.hasOwn(sections, name));

    expect(names('of a room')).to.have.members([...members('plugins/rooms/api.ts', 'RoomInit'), ...own, ...nested]);
    const { maxUsers, message, behavior } = ROOM_DEFAULTS;
    const documented = new Map(rows(page, 'of a room').map(([name = '', value = '']) => [name.split('.').at(-1), value.replaceAll('_', '')]));
    for (const [name, value] of Object.entries({ maxUsers, ...message, historySize: 0, emptyTimeout: behavior.emptyTimeout })) {
      if (documented.has(name)) expect(documented.get(name), name).to.equal(String(value));
    }
  });

  it('lists every code of its own, and no other', () => {
    expect(names('code')).to.have.members(Object.keys(refusals));
  });

  it('lists what clients send, and what they get', () => {
    const sources = files('plugins/rooms').map(read).join('\n');
    const found = (pattern: RegExp) => [...new Set([...sources.matchAll(pattern)].map(([, type]) => type!))];
    const answers = rows(page, 'a client sends').map(([, , answer]) => answer).join(' ');

    expect(names('a client sends')).to.have.members(found(/\b(?:handle|act)\('([a-z-]+)'/g));
    expect(names('the server sends')).to.have.members(found(/(?:named\(|#tell\(userId, |#tell\()'([a-z-]+)'/g));
    for (const type of found(/answer\('([a-z-]+)'/g)) expect(answers).to.include(type);
  });

  it('shows the roles as they are', () => {
    const permissions = ['canSendMessage', 'canInviteUsers', 'canKickUsers', 'canManageRoom', 'canDeleteRoom'];

    for (const [role = '', ...cells] of rows(page, 'role')) {
      const held = Object.fromEntries(cells.map((cell, index) => [permissions[index], cell === 'yes']));
      expect(held, role).to.deep.equal(ROOM_DEFAULTS.permissions.roles[role]);
    }
    expect(names('role')).to.deep.equal(Object.keys(ROOM_DEFAULTS.permissions.roles));
  });

  it('names the figures that there are', async () => {
    const { manager } = await serve();

    for (const name of Object.keys(manager.getMetrics().plugins['rooms']!)) expect(read(page)).to.include(`\`${name}\``);
  });
});
