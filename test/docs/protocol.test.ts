import { EventEmitter, once } from 'node:events';
import { compileFunction } from 'node:vm';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { closeCodes, reconnectPolicy } from '../../index.ts';
import { extensions } from '../structure/import-rules.ts';
import { files, read } from '../support/sources.ts';
import { cleanup } from '../support/cleanup.ts';
import { blocks, rows } from '../support/documents.ts';
import { start } from '../support/start.ts';

const page = 'docs/PROTOCOL.md';
const messages = rows(page, 'message');
const typesOf = (direction: string) => messages
  .filter(([, given = '']) => given === direction || given === 'both')
  .flatMap(([types = '']) => types.split(', '));

/** Every built-in, after those that it requires. */
function builtins(): string[] {
  const [, table = ''] = /^const builtins.*\n([^]*?)^\};/m.exec(read('index.ts')) ?? [];
  const names = [...table.matchAll(/^ {2}'?([\w-]+)'?:/gm)].map(([, name = '']) => name);
  return [...new Set(['permissions', 'namespaces', 'rooms', ...names])];
}

describe(page, () => {
  it('lists every message that the kernel and the built-ins handle', async () => {
    const loaded = builtins().filter((name) => !['init', 'text', 'ping', 'system'].includes(name));
    const { manager } = await start({ use: loaded, builtins: { auth: { jwtSecret: 'x'.repeat(32) } } });

    const added = manager.inspect({ detail: true }) as readonly { readonly label: string }[];

    const handled = added.flatMap(({ label }) => (label.startsWith('handler ') && label !== 'handler *' ? [label.slice('handler '.length)] : []));
    const sentByServer = ['system'];
    expect(handled).to.include('auth:refresh').and.to.include('create-room');
    expect(handled.filter((type) => ![...typesOf('to server'), ...sentByServer].includes(type))).to.deep.equal([]);
    // Handled without a handler of that type: acknowledgements, errors, bytes, and what an application adds.
    const others = ['ack', 'error', 'binary', 'any other type'];
    expect(typesOf('to server').filter((type) => !handled.includes(type) && !others.includes(type))).to.deep.equal([]);
  });

  it('lists every message that the built-ins send by a name of the application\'s choice', () => {
    const told = messages.flatMap((row) => [row[0]!, row[3]!]).flatMap((cell) => cell.split(/[,:]? /));
    const sent = files(...extensions).flatMap((file) => [...read(file).matchAll(/\bnamed\('([\w-]+)'\)/g)].map(([, type = '']) => type));

    expect([...new Set(sent)].filter((type) => !told.includes(type))).to.deep.equal([]);
  });

  it('lists every message that the pages of the plugins say the server sends', () => {
    const tables = [['docs/rooms.md', 'the server sends'], ['docs/presence.md', 'server sends'], ['docs/admin.md', 'what clients receive']] as const;
    const sent = tables.flatMap(([file, title]) => rows(file, title)).flatMap(([cell = '']) => /type: '([\w-]+)'/.exec(cell)?.[1] ?? cell.split(', '));

    expect(sent).to.include('user-joined').and.to.include('user-online').and.to.include('admin-message');
    expect(sent.filter((type) => !typesOf('to client').includes(type))).to.deep.equal([]);
  });

  it('gives each message a direction, and names only codes that the source has', () => {
    const source = files('src', ...extensions).map(read).join('\n');
    const codes = messages.flatMap(([, , , , errors = '']) => errors.match(/\b[A-Z]+_?[A-Z_]+\b/g) ?? []);

    expect(messages.filter(([, direction = '']) => !['to server', 'to client', 'both'].includes(direction))).to.deep.equal([]);
    expect([...new Set(codes)].filter((code) => !new RegExp(`'${code}'|\\b${code}: `).test(source))).to.deep.equal([]);
  });

  it('lists every close code, and how a client reconnects', () => {
    const documented = rows(page, 'name').map(([name, code, reconnect]) => [name, Number(code), reconnect]);

    expect(documented).to.deep.equal(Object.entries(closeCodes).map(([name, code]) => [name, code, reconnectPolicy(code)]));
  });
});

describe(`the client in ${page}`, () => {
  interface Reply { readonly type: string; readonly content: Readonly<Record<string, unknown>> }
  interface Sample { request(message: object): Promise<Reply>; close(): void }
  type Callbacks = Readonly<Record<string, (...args: any[]) => unknown>>;

  /** A client whose random delays are 0, and the sockets that it opened. */
  function createClient(url: string, callbacks: Callbacks): { client: Sample; sockets: WebSocket[] } {
    const { code } = blocks(page).find(({ heading }) => heading === 'A complete client')!;
    const sockets: WebSocket[] = [];
    class Recorded extends WebSocket {
      constructor(address: string | URL) {
        super(address);
        sockets.push(this);
      }
    }
    const make = compileFunction(`${code.replace('export ', '')}\nreturn createClient;`, ['WebSocket', 'Math']) as
      (socket: typeof Recorded, math: object) => (address: string, callbacks: Callbacks) => Sample;
    const client = make(Recorded, Object.assign(Object.create(Math) as object, { random: () => 0 }))(url, callbacks);
    cleanup(() => client.close());
    return { client, sockets };
  }

  it('gets replies and errors, and answers requests of the server', async () => {
    const { url, manager } = await start();
    const events = new EventEmitter();
    const opened = once(events, 'open');
    const { client } = createClient(url, { onOpen: () => events.emit('open'), onRequest: ({ content }: Reply) => ({ seen: content }) });
    await opened;
    const [connection] = [...manager.connections.values()];

    const pong = await client.request({ type: 'ping' });
    const error = await client.request({ type: 'nope' }).catch((thrown: unknown) => thrown);
    const answer = await connection!.request({ type: 'question', content: 'ready?' });

    expect(pong.type).to.equal('pong');
    expect(error).to.include({ code: 'UNKNOWN_TYPE', type: 'nope' });
    expect(answer.content).to.deep.equal({ seen: 'ready?' });
  });

  for (const [code, reason] of [[4200, 'retry=0'], [4200, ''], [4108, 'slow consumer'], [1011, '']] as const) {
    it(`reconnects after ${code} ${reason}`, async () => {
      const { url, manager } = await start();
      const events = new EventEmitter();
      const opened = once(events, 'open');
      const { client } = createClient(url, { onOpen: () => events.emit('open') });
      await opened;
      const [connection] = [...manager.connections.values()];

      const reopened = once(events, 'open');
      connection!.close(code, reason);
      await reopened;

      expect((await client.request({ type: 'ping' })).type).to.equal('pong');
    });
  }

  for (const code of [1000, 1008, 4001, 4010]) {
    it(`does not reconnect after ${code}`, async () => {
      const { url, manager } = await start();
      const events = new EventEmitter();
      const [opened, gaveUp] = [once(events, 'open'), once(events, 'give-up')];
      const { sockets } = createClient(url, { onOpen: () => events.emit('open'), onGiveUp: (given: number) => events.emit('give-up', given) });
      await opened;
      const [connection] = [...manager.connections.values()];

      connection!.close(code);

      expect(await gaveUp).to.deep.equal([code]);
      expect(sockets).to.have.lengthOf(1);
    });
  }
});
