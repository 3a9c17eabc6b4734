import assert from 'node:assert/strict';
import { ModuleError, type Usable } from '../index.ts';
import type { CleanupList } from './cleanup.ts';
import { eventually } from './eventually.ts';
import { start, type Started, type StartOptions } from './start.ts';

/** A client of a transport, as the tests use it. */
export interface TransportClient {
  /** A string is a text message, bytes are a binary one. */
  send(data: string | Uint8Array): void;
  /** Called for each message: a string, or bytes. Messages that came before are handed to it, too. */
  readonly onMessage: (listener: (data: string | Uint8Array) => void) => void;
  close(code: number, reason: string): void;
  /** Ends without a word, as a device does that loses its network. */
  kill(): void;
  /** The close code and the reason of the server, or 1006. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

export interface TransportBackend {
  /** The plugin of the transport, and what it needs. Called for each test. @default none */
  readonly use?: (() => readonly Usable[]) | undefined;
  /** Connects to a `ws:` URL. Rejects if the server refuses, with a text that has the status or the close code. */
  readonly connect: (url: string) => Promise<TransportClient>;
}

interface Peer extends TransportClient {
  readonly texts: { readonly type: string; readonly content?: any; readonly replyTo?: string | undefined }[];
  readonly binaries: Uint8Array[];
}

interface Bench {
  readonly begin: (options?: StartOptions) => Promise<Started>;
  /** Connects, and keeps what comes. */
  readonly join: (started: Started) => Promise<Peer>;
}

export interface TransportTest { readonly title: string; readonly run: (bench: Bench) => Promise<void> }

/** Runs one test against a transport. The cleanups end what it leaves open. */
export function runTransportTest(
  { run }: TransportTest, { use, connect }: TransportBackend, cleanups: CleanupList,
): Promise<void> {
  return run({
    begin: async (options = {}) => {
      const plugins = [...use?.() ?? [], ...options.use ?? []];
      const started = await start({ drainTimeout: 300, ...options, use: plugins });
      cleanups.add(started.stop);
      return started;
    },
    join: async ({ url }) => {
      const client = await connect(url);
      const peer: Peer = Object.assign(client, { texts: [], binaries: [] });
      client.onMessage((data) => {
        if (typeof data === 'string') peer.texts.push(JSON.parse(data) as Peer['texts'][number]);
        else peer.binaries.push(data);
      });
      cleanups.add(() => client.kill());
      return peer;
    },
  });
}

const COUNT = 100;
const numbers = Array.from({ length: COUNT }, (_, number) => number);
const text = (type: string, content?: unknown): string =>
  JSON.stringify({ type, content, id: String(content), ack: true });
const contents = ({ texts }: Peer, type: string): unknown[] =>
  texts.filter((message) => message.type === type).map(({ content }) => content as unknown);

/** Resolves with the arguments of the next event of the manager. */
const next = ({ manager }: Started, event: 'connection:added' | 'connection:removed'): Promise<any[]> =>
  new Promise((resolve) => { manager.on(event, (...args: unknown[]) => resolve(args)); });

export const transportTests: readonly TransportTest[] = [
  {
    title: 'connects, and tells of it by an event and in the metrics',
    async run({ begin, join }) {
      const started = await begin();
      const added = next(started, 'connection:added');

      await join(started);

      const [connection] = await added;
      assert.equal(started.manager.connections.get(connection.id as string), connection);
      assert.equal(started.manager.connections.size, 1);
    },
  },
  {
    title: 'carries texts in both directions, in order',
    async run({ begin, join }) {
      const started = await begin();
      const heard: unknown[] = [];
      started.manager.registerHandler('note', ({ content }) => void heard.push(content));
      const peer = await join(started);

      for (const number of numbers) peer.send(text('note', number));
      for (const content of numbers) started.manager.broadcast({ type: 'tick', content });

      await eventually('all texts', () => heard.length >= COUNT && contents(peer, 'tick').length >= COUNT);
      assert.deepEqual(heard, numbers);
      assert.deepEqual(contents(peer, 'tick'), numbers);
      await eventually('all acknowledgements', () => contents(peer, 'ack').length >= COUNT);
      const replies = peer.texts.filter(({ type }) => type === 'ack').map(({ replyTo }) => replyTo);
      assert.deepEqual(replies, numbers.map(String));
    },
  },
  {
    title: 'carries any character and any byte unchanged',
    async run({ begin, join }) {
      const started = await begin();
      const content = '\u0000 \ufeff ä 漢 👩‍👩‍👧 \u2028 "\\';
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      started.manager.registerHandler('echo', (message) => ({ type: 'echoed', content: message.content as string }));
      started.manager.registerHandler('binary', ({ content: sent }, connection) => {
        connection.send(sent as Buffer);
      });
      const peer = await join(started);

      peer.send(text('echo', content));
      peer.send(bytes);

      await eventually('both answers', () => peer.binaries.length > 0 && contents(peer, 'echoed').length > 0);
      assert.deepEqual(contents(peer, 'echoed'), [content]);
      assert.deepEqual([...peer.binaries[0]!], [...bytes]);
    },
  },
  {
    title: 'carries messages of a megabyte',
    async run({ begin, join }) {
      const started = await begin({ outbox: { limit: 8_000_000 } });
      const content = 'x'.repeat(1_000_000);
      started.manager.registerHandler('echo', (message) => ({ type: 'echoed', content: message.content as string }));
      const peer = await join(started);

      peer.send(JSON.stringify({ type: 'echo', content }));

      await eventually('the answer', () => contents(peer, 'echoed').length > 0, 8_000);
      assert.equal(contents(peer, 'echoed')[0], content);
    },
  },
  {
    title: 'closes a client with 1009 if its message is longer than maxPayload',
    async run({ begin, join }) {
      const peer = await join(await begin({ maxPayload: 1_000 }));

      peer.send('x'.repeat(1_001));

      assert.equal((await peer.closed).code, 1009);
    },
  },
  {
    title: 'closes a client for which more waits than the limit of the outbox',
    async run({ begin, join }) {
      const started = await begin({ outbox: { limit: 100_000, policy: 'disconnect' } });
      const peer = await join(started);
      const removed = next(started, 'connection:removed');

      const tick = { type: 'tick', content: 'x'.repeat(100_000) };
      for (let count = 0; count < 200; count++) started.manager.broadcast(tick);

      await Promise.all([removed, peer.closed]);
      assert.equal(started.manager.connections.size, 0);
    },
  },
  {
    title: 'hands the close code and the reason of each side to the other',
    async run({ begin, join }) {
      const started = await begin();
      const peer = await join(started);
      const [connection] = [...started.manager.connections.values()];
      const closedByServer = next(started, 'connection:removed');

      connection!.close(4010, 'KICKED: bye');

      assert.deepEqual(await peer.closed, { code: 4010, reason: 'KICKED: bye' });
      await closedByServer;
      const other = await join(started);
      const removed = next(started, 'connection:removed');
      other.close(4321, 'gone');
      assert.deepEqual((await removed)[1], { code: 4321, reason: 'gone' });
    },
  },
  {
    title: 'removes a client that is gone without a word, when the heartbeat misses it',
    async run({ begin, join }) {
      const started = await begin({ heartbeat: { interval: 100, timeout: 100 } });
      const peer = await join(started);
      await eventually('some heartbeats', () => [...started.manager.connections.values()][0]!.age > 350);
      const removed = next(started, 'connection:removed');

      peer.kill();

      const [, { code }] = await removed;
      assert.ok([4109, 1006].includes(code as number), `the code was ${code}`);
    },
  },
  {
    title: 'gives its clients 4200 when the manager stops, and leaves no connection',
    async run({ begin, join }) {
      const started = await begin();
      const peer = await join(started);

      await started.manager.stop();

      assert.equal((await peer.closed).code, 4200);
      assert.equal(started.manager.connections.size, 0);
    },
  },
  {
    title: 'counts in maxConnections, and is refused above it',
    async run({ begin, join }) {
      const started = await begin({ maxConnections: 1 });
      const peer = await join(started);

      await assert.rejects(join(started), /503|SERVER_FULL/);

      const removed = next(started, 'connection:removed');
      peer.close(1000, '');
      await removed;
      await join(started);
    },
  },
  {
    title: 'is refused by upgrade layers, which see its request',
    async run({ begin, join }) {
      const seen: string[] = [];
      let isOpen = false;
      const started = await begin({ use: [{
        type: 'upgrade', name: 'look',
        handler({ url }) {
          seen.push(url);
          if (!isOpen) throw new ModuleError('FORBIDDEN');
        },
      }] });

      await assert.rejects(join(started), /403|FORBIDDEN/);

      isOpen = true;
      await join(started);
      assert.deepEqual(seen, ['/ws', '/ws']);
    },
  },
  {
    title: 'passes its messages through the layers, and reports them in the metrics',
    async run({ begin, join }) {
      const seen: string[] = [];
      const started = await begin({ use: [{
        type: 'message', name: 'look',
        handler({ type }, _, forward) {
          seen.push(type);
          return forward();
        },
      }] });
      started.manager.registerHandler('note', () => 'noted');
      const peer = await join(started);
      const before = started.manager.getMetrics();

      peer.send(text('note', 1));
      await eventually('the reply', () => contents(peer, 'note').length > 0);

      assert.deepEqual(seen, ['note']);
      const after = started.manager.getMetrics();
      assert.equal(after.messages.totalMessages - before.messages.totalMessages, 1);
    },
  },
];
