import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { compile } from '../../support/samples.ts';
import { both, run, snippet } from '../../support/snippets.ts';
import { start } from '../../support/start.ts';
import { greeting, readyPackage, runClient } from '../client-program.ts';

const language = 'typescript';
const message = { type: 'text', action: 'new_message', data: { content: 'hello', conversationId: 'c1' }, sender: { id: 'ada', name: 'Ada' } };

describe('document 5, against a server of this package', function () {
  this.timeout(60_000);

  before(readyPackage);

  it('5-01 shows a message as soon as it comes', async () => both(async (form) => {
    const server = await greeting({ type: 'news', content: 'hello' });

    const lines = await runClient(form, snippet('5-01-polling'), {
      server,
      before: `
        const fetch = async () => ({ json: async () => [] });
        const updateUI = ({ type, content }) => { console.log(type, content); process.exit(0); };
      `,
    });

    expect(lines).to.deep.equal(['log news hello']);
  }));

  it('5-02 sees the whole life of a connection', async () => both(async (form) => {
    const server = await greeting({ type: 'news', id: '1', timestamp: '2026-01-01T00:00:00.000Z', content: 'hello' });
    server.manager.on('connection:added', (connection) => { setTimeout(() => connection.close(4010, 'bye'), 20); });

    const lines = await runClient(form, snippet('5-02-life-cycle'), { server });

    expect(lines).to.have.length(3);
    expect(lines[0]).to.match(/^log WebSocket/);
    expect(lines[1]).to.contain('"type":"news"').and.to.contain('"content":"hello"');
    expect(lines[2]).to.match(/^log WebSocket.+4010 bye$/);
  }));

  it('5-05 connects, and reconnects when the server closes', async () => both(async (form) => {
    const server = await greeting({ type: 'news' });
    server.manager.on('connection:added', (connection) => { setTimeout(() => connection.close(4200, 'retry=0'), 20); });

    const lines = await runClient(form, snippet('5-05-connection'), {
      server, language,
      after: `
        WebSocketConnection.prototype.handleReconnect = () => console.log('reconnects');
        await new WebSocketConnection().connect('ws://localhost:8000/ws');
      `,
    });

    expect(lines.at(-2)).to.match(/4200 retry=0$/);
    expect(lines.at(-1)).to.equal('log reconnects');
  }));

  it('5-06 tries again until a client of this package has connected', async () => both(async (form) => {
    const server = await start();

    const lines = await runClient(form, snippet('5-06-reconnect'), {
      server, language,
      before: 'import { WebSocketClient } from \'websocket-module/client\';',
      after: `
        let attempts = 0;
        const client = new WebSocketClient({ url: process.env.SERVER });
        class Manager extends ReconnectManager {
          baseDelay = 1;
          async connect() {
            if (++attempts < 3) throw new Error('not yet');
            await client.connect();
          }
        }
        const manager = new Manager();
        await manager.handleReconnect();
        console.log(attempts, client.isConnected, manager.reconnectAttempts);
        await client.disconnect();
      `,
    });

    expect(lines.at(-1)).to.equal('log 3 true 0');
    expect(lines).to.have.length(4);
  }));

  it('5-07 sends heartbeats, which the server answers', async () => both(async (form) => {
    const server = await start();

    const lines = await runClient(form, snippet('5-07-heartbeat'), {
      server, language,
      after: `
        const ws = new WebSocket('ws://localhost:8000/ws');
        const answers = [];
        ws.onmessage = ({ data }) => answers.push(JSON.parse(data).type);
        await new Promise((resolve) => { ws.onopen = resolve; });
        const heartbeat = new HeartbeatManager();
        heartbeat.heartbeatInterval = 5;
        heartbeat.startHeartbeat(ws);
        await wait(() => answers.length >= 3);
        heartbeat.stopHeartbeat();
        console.log(...answers.slice(0, 3));
        ws.close();
      `,
    });

    expect(lines.at(-1)).to.equal('log pong pong pong');
  }));

  it('5-09 has the types that the package exports', async () => {
    const { dir } = await packed();
    const folder = mkdtempSync(join(dir, 'types-'));
    writeFileSync(join(folder, 'types.mts'), snippet('5-09-types'));
    writeFileSync(join(folder, 'uses.mts'), `
      import type * as theirs from './types.mts';
      import type * as ours from 'websocket-module/client';
      export const a: ours.WebSocketMessage[] = [] as theirs.WebSocketMessage[];
      export const b: ours.ChatMessage[] = [] as theirs.ChatMessage[];
      export const c: ours.TypingMessage[] = [] as theirs.TypingMessage[];
      export const d: ours.SystemMessage[] = [] as theirs.SystemMessage[];
      export const e: theirs.MessageType[] = [] as ours.MessageType[];
    `);

    expect(await compile(folder, { module: 'nodenext' })).to.equal('');
  });

  it('5-10 reads what the serializer of the package writes, and the other way round', async () => both(async (form) => {
    const { stdout, stderr, code } = await run(form, snippet('5-10-serializer'), {
      language,
      before: 'import { MessageSerializer as Ours } from \'websocket-module/client\';\nconst console = { ...globalThis.console, error() {} };',
      after: `
        const message = { ...${JSON.stringify(message)}, id: '1', timestamp: 1 };
        const times = [MessageSerializer, Ours].map((one) => [MessageSerializer, Ours].map((other) => {
          const { timestamp, ...rest } = other.deserialize(one.serialize(message));
          return JSON.stringify(rest) === JSON.stringify({ ...message, timestamp: undefined }) && Math.abs(timestamp - Date.now()) < 10_000;
        })).flat();
        const refused = ['{}', '[', 'null', '{"id":"1","type":"text"}'].map((text) => [MessageSerializer, Ours].map((one) => {
          try { return one.deserialize(text) && 'read'; } catch { return 'refused'; }
        })).flat();
        console.log(times.join(), refused.join());
      `,
    });

    expect({ stdout, stderr, code }).to.deep.equal({
      stdout: `true,true,true,true ${Array<string>(8).fill('refused').join()}\n`, stderr: '', code: 0,
    });
  }));

  const shown = ['addMessageToChat', 'playNotificationSound', 'showDesktopNotification', 'updateTypingStatus', 'showSystemNotification']
    .map((name) => `const ${name} = (...args) => console.log('${name}', ...args.map((arg) => arg?.data?.content ?? arg));`).join('\n');

  it('5-11 calls the handler of each action, for the messages of a client', async () => both(async (form) => {
    const server = await greeting(message);
    server.manager.on('connection:added', (connection) => {
      void connection.send({ ...message, type: 'typing', action: 'typing_status', data: { conversationId: 'c1', isTyping: true } });
      void connection.send({ ...message, action: 'unknown' });
      void connection.send({ type: 'system', action: 'system_notification', data: 'the end' });
    });

    const lines = await runClient(form, snippet('5-11-handlers'), {
      server, language,
      before: `import { WebSocketClient } from 'websocket-module/client';\n${shown}`,
      after: `
        const client = new WebSocketClient({ url: process.env.SERVER });
        const ended = new Promise((resolve) => client.on('system', resolve));
        client.on('message', (message) => eventHandler.handleMessage(message));
        await client.connect();
        await ended;
        await client.disconnect();
      `,
    });

    expect(lines).to.deep.equal([
      'log addMessageToChat hello', 'log playNotificationSound', 'log showDesktopNotification hello',
      'log updateTypingStatus c1 ada true', 'log showSystemNotification the end',
    ]);
  }));

  const ours = 'import { MessageEventHandler } from \'websocket-module/client\';\nconst eventHandler = new MessageEventHandler();';

  it('5-12 hands each message to the handlers of the package', async () => both(async (form) => {
    const server = await greeting(message);

    const lines = await runClient(form, snippet('5-12-connection-handler'), {
      server, language, before: ours,
      after: `
        eventHandler.registerHandler('new_message', ({ data }) => { console.log(data.content); connection.ws.close(); });
        const connection = new WebSocketConnection();
        connection.ws = new WebSocket('ws://localhost:8000/ws');
        connection.setupMessageHandler();
      `,
    });

    expect(lines).to.deep.equal(['log hello']);
  }));

  for (const [block, name] of [['5-13', '5-13-one-type'], ['5-14', '5-14-new-types'], ['5-15', '5-15-errors']] as const) {
    it(`${block} registers handlers with the package`, async () => both(async (form) => {
      const after = block === '5-13' ? `
        eventHandler.registerHandler('new_message', chatMessageHandler);
        eventHandler.registerHandler('typing_status', typingHandler);` : '';
      const { stdout, stderr, code } = await run(form, snippet(name), {
        language, before: ours,
        after: `${after}
          eventHandler.registerHandler('broken', () => { throw new Error('broken'); });
          for (const action of ['new_message', 'file_upload', 'voice_message', 'broken', 'typing_status']) await eventHandler.handleMessage({ action });
          console.log('handled');
        `,
      });

      expect(stdout).to.equal('handled\n');
      expect(stderr).to.match(/^the handler of broken failed: Error: broken/);
      expect(code).to.equal(0);
    }));
  }

  it('5-16 makes the messages that the adapter of the package makes', async () => both(async (form) => {
    const { stdout, stderr } = await run(form, snippet('5-16-adapter'), {
      language,
      before: 'import { MessageAdapter as Ours } from \'websocket-module/client\';\nconst generateMessageId = () => \'1\';',
      after: `
        const made = [MessageAdapter, Ours].map((adapter) => {
          const { id, timestamp, ...rest } = adapter.toWebSocketMessage('send_message', { content: 'hi', url: 'u', conversationId: 'c' });
          const read = ['text', 'image', 'typing'].map((type) => adapter.fromWebSocketMessage({ ...rest, type }));
          return [typeof id, Math.abs(timestamp - Date.now()) < 10_000, rest, read].map((value) => JSON.stringify(value)).join();
        });
        console.log(made[0] === made[1], made[0]);
      `,
    });

    expect(stderr).to.equal('');
    expect(stdout).to.match(/^true "string",true,\{"type":"text","action":"send_message"/);
  }));

  it('5-25 shares one connection among its subscribers', async () => both(async (form) => {
    const server = await greeting(message);
    const received: unknown[] = [];
    server.manager.registerHandler('text', ({ payload }) => void received.push(payload));

    const lines = await runClient(form, snippet('5-25-manager'), {
      server, language,
      before: 'import { WebSocketConnection } from \'websocket-module/client\';',
      after: `
        const seen = [];
        wsManager.subscribe(() => { throw new Error('broken'); });
        const unsubscribe = wsManager.subscribe(({ data }) => seen.push(data.content));
        const early = await wsManager.sendMessage({}).catch((error) => error.message);
        await wsManager.connect({ url: process.env.SERVER });
        await wsManager.connect({ url: process.env.SERVER });
        await wait(() => seen.length === 1);
        await wsManager.sendMessage({ id: '1', type: 'text', action: 'send_message', data: { content: 'hi' }, timestamp: Date.now() });
        unsubscribe();
        wsManager.disconnect();
        console.log(JSON.stringify(seen), early === undefined);
      `,
    });

    expect(lines).to.include('log ["hello"] false');
    expect(lines.some((line) => line.startsWith('error') && line.endsWith('broken'))).to.equal(true);
    expect(received).to.have.length(1);
    expect(received[0]).to.deep.include({ action: 'send_message', content: { content: 'hi' } });
  }));

  it('5-26 handles the messages of a client one after the other', async () => both(async (form) => {
    const server = await greeting(message);
    server.manager.on('connection:added', (connection) => {
      for (const [type, data] of [['image', { url: 'u' }], ['file', { fileName: 'f' }], ['system', { message: 'm' }], ['audio', {}]] as const) void connection.send({ type, data });
    });

    const lines = await runClient(form, snippet('5-26-queue'), {
      server, language,
      before: 'import { WebSocketClient } from \'websocket-module/client\';',
      after: `
        const client = new WebSocketClient({ url: process.env.SERVER });
        const queue = new MessageQueue();
        client.on('message', (message) => queue.add(message));
        const last = new Promise((resolve) => client.on('audio', resolve));
        await client.connect();
        await last;
        await wait(() => queue.queue.length === 0);
        await client.disconnect();
      `,
    });

    expect(lines.map((line) => line.split(' ').at(-1))).to.deep.equal(['hello', 'u', 'f', 'm', 'audio']);
  }));
});
