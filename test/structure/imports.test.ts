import { expect } from 'chai';
import { complaint, cycle, extensions } from './import-rules.ts';
import { files, importsOf } from '../support/sources.ts';

const sources = () => files('index.ts', 'src', ...extensions, 'client', 'react', 'testing');

const complaintAbout = (file: string, text: string) => importsOf(file, text).map((imported) => complaint(file, imported));

describe('the imports of every file', function () {
  // Every file is parsed.
  this.timeout(60_000);

  it('follow the import rules', () => {
    const complaints = [...sources(), ...files('examples')].flatMap((file) =>
      importsOf(file).flatMap((imported) => {
        const wrong = complaint(file, imported);
        return wrong ? [`${file} imports ${imported.specifier}: ${wrong}`] : [];
      }));

    expect(complaints).to.deep.equal([]);
  });

  it('have no circle, types included', () => {
    const graph = new Map(sources().map((file) => [file, importsOf(file).flatMap((imported) => imported.file ?? [])]));

    expect(cycle(graph)?.join(' → ')).to.equal(undefined);
  });

  it('have the extension .ts if they are relative', () => {
    const wrong = sources().flatMap((file) => importsOf(file)
      .filter((imported) => imported.file !== undefined && !/\.tsx?$/.test(imported.file))
      .map((imported) => `${file}: ${imported.specifier}`));

    expect(wrong).to.deep.equal([]);
  });
});

describe('the import rules', () => {
  const rules: readonly (readonly [file: string, text: string, refused: boolean])[] = [
    ['src/errors.ts', `import type { Message } from './protocol.ts'`, false],
    ['src/errors.ts', `import { decode } from './protocol.ts'`, true],
    ['src/errors.ts', `import { type Message } from './protocol.ts'`, true],
    ['src/messages/compose.ts', `import { ModuleError } from '../errors.ts'`, false],
    ['src/messages/compose.ts', `import type { Manager } from '../manager.ts'`, true],
    ['src/messages/compose.ts', `import { Acceptor } from '../upgrade/acceptor.ts'`, true],
    ['src/messages/compose.ts', `import { memberId } from '../kit/member-id.ts'`, true],
    ['src/kit/by-type.ts', `import { canonical } from '../protocol.ts'`, false],
    ['src/connection/connection.ts', `import { Outbox } from './outbox.ts'`, false],
    ['src/connection/connection.ts', `import { WebSocket } from 'ws'`, true],
    ['src/connection/transport.ts', `import { WebSocket } from 'ws'`, false],
    ['src/protocol.ts', `import { Buffer } from 'node:buffer'`, true],
    ['src/manager.ts', `import { rooms } from '../plugins/rooms.ts'`, true],
    ['src/newcomer.ts', `import { ModuleError } from './errors.ts'`, true],
    ['index.ts', `export * from './src/index.ts'`, false],
    ['index.ts', `const load = () => import('./plugins/rooms.ts')`, false],
    ['index.ts', `import { rooms } from './plugins/rooms.ts'`, true],
    ['plugins/presence.ts', `import { definePlugin } from '../src/index.ts'`, false],
    ['plugins/presence.ts', `import { definePlugin } from '../src/plugins/plugin-host.ts'`, true],
    ['plugins/presence.ts', `import type { RoomsApi } from './rooms.ts'`, false],
    ['plugins/presence.ts', `import { rooms } from './rooms.ts'`, true],
    ['plugins/presence.ts', `declare module '../src/index.ts' { interface PluginApis { presence: 1 } }`, false],
    ['plugins/presence.ts', `import { grace } from './presence/grace.ts'`, false],
    ['plugins/presence/grace.ts', `import { definePlugin } from '../../src/index.ts'; import { members } from './members.ts'`, false],
    ['plugins/rooms.ts', `import { grace } from './presence/grace.ts'`, true],
    ['handlers/init.ts', `import { Redis } from 'ioredis'`, false],
    ['client/client.ts', `import { decode } from '../src/protocol.ts'`, false],
    ['client/client.ts', `import { once } from 'node:events'`, true],
    ['testing/start.ts', `import { WebSocketModule } from '../index.ts'; import { connect } from './client.ts'`, false],
    ['testing/start.ts', `import { once } from 'node:events'; import { WebSocket } from 'ws'`, false],
    ['testing/start.ts', `import { Kernel } from '../src/kernel.ts'`, true],
    ['testing/start.ts', `import type { Rooms } from '../plugins/rooms.ts'`, true],
    ['testing/start.ts', `import { expect } from 'chai'`, true],
    ['testing/start.ts', `import { undoAll } from '../test/support/cleanup.ts'`, true],
    ['plugins/presence.ts', `import { start } from '../testing/start.ts'`, true],
    ['examples/basic-usage.js', `import { WebSocketModule } from 'websocket-module'`, false],
    ['examples/basic-usage.js', `import { WebSocketModule } from '../index.ts'`, true],
  ];

  for (const [file, text, refused] of rules) {
    it(`${refused ? 'refuse' : 'allow'} ${text} in ${file}`, () => {
      expect(complaintAbout(file, text).some(Boolean)).to.equal(refused);
    });
  }

  it('find a circle', () => {
    const graph = new Map([['a', ['b']], ['b', ['c', 'd']], ['c', []], ['d', ['b']]]);

    expect(cycle(graph)).to.deep.equal(['b', 'd', 'b']);
  });
});
