import { expect } from 'chai';
import { PERMISSIONS, ROOM_DEFAULTS } from '../../../plugins/rooms/room-config.ts';
import { roomErrors } from '../../../plugins/rooms/room-errors.ts';
import { files, read } from '../../support/sources.ts';
import { members, rows } from '../../support/documents.ts';
import { serve } from './serving.ts';

const page = 'docs/rooms.md';
const options = 'plugins/rooms/rooms-options.ts';
const names = (title: string) => rows(page, title).flatMap(([cell = '']) => cell.split(', '));

describe('docs/rooms.md', () => {
  it('lists every option, and no other, with the defaults that the source gives', () => {
    expect(names('option')).to.have.members(members(options, 'RoomsOptions'));
    for (const [option = '', documented] of rows(page, 'option')) {
      const stated = new RegExp(`@default ([^*]+?) \\*/\\n  readonly ${option}\\?:`).exec(read(options))?.[1];
      expect(documented, option).to.equal(stated?.replaceAll('`', ''));
    }
  });

  it('lists the configuration of a room, with its defaults', () => {
    const config = 'plugins/rooms/room-config.ts';
    const sections = { permissions: 'RoomPermissions', message: 'RoomMessages', behavior: 'RoomBehavior' };
    const nested = Object.entries(sections).flatMap(([section, type]) => {
      return members(config, type).map((name) => `${section}.${name}`);
    });
    const own = members(config, 'RoomConfig').filter((name) => !Object.hasOwn(sections, name));

    const init = members('plugins/rooms/rooms-api.ts', 'RoomInit');
    expect(names('of a room')).to.have.members([...init, ...own, ...nested]);
    const { maxUsers, message, behavior } = ROOM_DEFAULTS;
    const documented = new Map(rows(page, 'of a room').map(([name = '', value = '']) => {
      return [name.split('.').at(-1), value.replaceAll('_', '')];
    }));
    const defaults = { maxUsers, ...message, historySize: 0, emptyTimeout: behavior.emptyTimeout };
    for (const [name, value] of Object.entries(defaults)) {
      if (documented.has(name)) expect(documented.get(name), name).to.equal(String(value));
    }
  });

  it('lists every error of rooms', () => {
    expect(names('code')).to.have.members(Object.keys(roomErrors));
  });

  it('lists the messages of clients', async () => {
    const { manager } = await serve();
    const labels = manager.inspect({ detail: true }).flatMap(({ owner, label }) => (owner === 'rooms' ? label : []));
    const handled = labels.flatMap((label) => /^handler (.+)$/.exec(label)?.[1] ?? []);

    expect(handled).to.include('join-room');
    expect(names('a client sends')).to.have.members(handled);
  });

  it('lists the messages of the server, and the replies', () => {
    const sources = files('plugins/rooms').map(read).join('\n');
    const found = (pattern: RegExp) => [...new Set([...sources.matchAll(pattern)].map(([, type]) => type!))];
    const replies = rows(page, 'a client sends').map(([, , reply]) => reply).join(' ');
    const notices = ['joined', 'left', 'renamed'].flatMap((type) => [`user-${type}`, `users-${type}`]);
    const sent = found(/(?:named\(|(?:tell|#removeMember|#send)\((?:\w+, )+)'([a-z-]+)'/g);

    expect(sent).to.include.members(['room-message', 'kicked', 'warning', 'system-message']);
    expect(names('the server sends')).to.have.members([...sent, ...notices]);
    for (const type of found(/answer\('([a-z-]+)'/g)) expect(replies).to.include(type);
  });

  it('shows the built-in roles', () => {
    for (const [role = '', ...cells] of rows(page, 'role')) {
      const held = Object.fromEntries(cells.map((cell, index) => [PERMISSIONS[index], cell === 'yes']));
      expect(held, role).to.deep.equal(ROOM_DEFAULTS.permissions.roles[role]);
    }
    expect(names('role')).to.deep.equal(Object.keys(ROOM_DEFAULTS.permissions.roles));
  });

  it('names every metric', async () => {
    const { manager } = await serve();

    for (const name of Object.keys(manager.getMetrics().plugins['rooms']!)) {
      expect(read(page)).to.include(`\`${name}\``);
    }
  });
});
