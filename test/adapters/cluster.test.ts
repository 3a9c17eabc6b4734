import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { ClusterAdapter } from '../../adapters/cluster.ts';
import { IpcPipe } from '../../adapters/cluster/ipc-pipe.ts';
import { PrimaryBus } from '../../adapters/cluster/primary-bus.ts';
import { cleanup } from '../support/cleanup.ts';
import { clusterSuites } from '../support/cluster-suites.ts';
import { codeOf } from '../src/start-kernel.ts';

/** The primary's end of a channel to a worker, which keeps what is sent until `callbacks` are called. */
const channel = () => Object.assign(new EventEmitter(), {
  connected: true,
  sent: [] as any[],
  callbacks: [] as ((error: null) => void)[],
  send(message: any, callback: (error: null) => void) {
    this.sent.push(...message['websocket-module:1']);
    this.callbacks.push(callback);
    return true;
  },
});

const tell = (worker: EventEmitter, ...operation: unknown[]) => worker.emit('message', { 'websocket-module:1': [operation] });

describe('the cluster adapter', () => {
  // With the serialization `json` they run in test/resilience.
  it('passes the suites of adapters, stores and journals', async function () {
    this.timeout(60_000);

    const { passed, failed } = await clusterSuites('advanced');

    expect(failed.join('\n\n')).to.equal('');
    expect(passed).to.be.above(80);
  });

  it('tells a worker that it missed the change of a document, as soon as the worker reads again', async () => {
    const bus = new PrimaryBus();
    const [slow, other] = [channel(), channel()];
    for (const one of [slow, other]) {
      cleanup(bus.attach(one));
      tell(one, 'join', 1, 1, 'bus');
    }
    tell(slow, 'subscribe', 1, 2, 'topic');
    tell(other, 'store', 1, 2, 'lease', ['other', 10_000]);
    await turn();
    other.callbacks.forEach((done) => done(null));
    for (const packet of [Buffer.alloc(40_000_000), Buffer.alloc(40_000_000)]) tell(other, 'publish', 1, 0, 'topic', packet);
    tell(other, 'store', 1, 3, 'put', ['key', 'value']);
    await turn();
    const missed = slow.sent.filter(([name]) => name === 'changed');

    slow.callbacks.forEach((done) => done(null));
    tell(slow, 'ping', 1, 3);
    await turn();

    expect(missed).to.deep.equal([]);
    expect(slow.sent.slice(-2)).to.deep.equal([['changed', 1, 0, null], ['done', 1, 3, { nodes: 2 }]]);
  });

  it('counts the values that wait for a process, not only packets', async () => {
    const channel = Object.assign(new EventEmitter(), { connected: true, sent: 0, send() { return !!++this.sent; } });
    const pipe = new IpcPipe(channel, () => undefined);
    const value = { list: [{ text: 'x'.repeat(1_000_000) }] };

    let pushed = 0;
    while (pushed < 100 && pipe.push(['store', 1, pushed, 'put', ['key', value]])) pushed++;

    expect(pushed).to.be.within(60, 70);
    await turn();
    expect(channel.sent).to.equal(1);
    expect(pipe.push(['ping', 1, 1])).to.equal(false);
  });

  it('gives the connections of a process to one server', () => {
    const before = process.listeners('message');
    const given = Object.getOwnPropertyDescriptor(process, 'send');
    Object.defineProperty(process, 'send', { value: () => true, configurable: true });
    cleanup(() => {
      if (given) Object.defineProperty(process, 'send', given);
      else delete process.send;
      for (const listener of process.listeners('message')) if (!before.includes(listener)) process.off('message', listener);
    });
    const sockets: string[] = [];
    const [server, other] = ['one', 'two'].map((name) => new EventEmitter().on('connection', () => sockets.push(name)));

    ClusterAdapter.accept(server!);
    ClusterAdapter.accept(server!);
    expect(() => ClusterAdapter.accept(other!)).to.throw().with.property('code', 'DUPLICATE');
    process.emit('message', { 'websocket-module:socket': true }, new PassThrough() as never);

    expect(sockets).to.deep.equal(['one']);
  });

  it('tells a worker of the entries of topics to which it is subscribed, and lets it miss them when too much waits', async () => {
    const bus = new PrimaryBus({ keyWindow: 7_000 });
    const [reader, writer] = [channel(), channel()];
    for (const one of [reader, writer]) {
      cleanup(bus.attach(one));
      tell(one, 'join', 1, 1, 'bus');
    }
    tell(reader, 'subscribe', 1, 2, 'topic');
    const append = (topic: string, id: string, value = '') => tell(writer, 'journal', 1, 3, 'append', [topic, { id, value }, { size: 10, ttl: 60_000 }]);
    const large = 'x'.repeat(40_000_000);
    append('elsewhere', 'a');
    append('topic', 'b');
    await turn();
    for (const id of ['c', 'd', 'e']) append('topic', id, large);
    await turn();

    const told = reader.sent.filter(([name]) => name === 'appended').map(([, , , topic, entry]) => [topic, entry.offset, entry.id]);

    expect(reader.sent[0]).to.deep.equal(['done', 1, 1, { keyWindow: 7_000 }]);
    expect(told).to.deep.equal([['topic', 1, 'b'], ['topic', 2, 'c'], ['topic', 3, 'd']]);
    expect(writer.sent.filter(([name]) => name === 'appended')).to.deep.equal([]);
  });

  it('refuses wrong bounds of the history before any worker starts, and functions that are not of the journal', async () => {
    const worker = channel();
    cleanup(new PrimaryBus().attach(worker));
    tell(worker, 'join', 1, 1, 'bus');
    tell(worker, 'journal', 1, 2, 'watch', []);
    tell(worker, 'journal', 1, 3, 'constructor', []);
    tell(worker, 'journal', 1, 4, 'append', 'topic');
    await turn();

    expect(() => new PrimaryBus({ maxTopics: 0 })).to.throw().with.property('code', 'OPTION_INVALID');
    expect(() => new PrimaryBus({ maxTopic: 1 } as never)).to.throw().with.property('code', 'OPTION_UNKNOWN');
    expect(worker.sent.slice(1, 3).map(([name, , question, code]) => [name, question, code])).to.deep.equal([['failed', 2, 'OPTION_INVALID'], ['failed', 3, 'OPTION_INVALID']]);
    expect(worker.sent[3].slice(0, 3)).to.deep.equal(['failed', 1, 4]);
  });

  it('says what it needs where there is no primary', async () => {
    const adapter = new ClusterAdapter();

    const code = process.send ? 'PRIMARY_MISSING' : await codeOf(adapter.start({ id: 'a', receive: () => undefined }));

    expect(code).to.equal('PRIMARY_MISSING');
    expect(await codeOf(adapter.store.sizes(['a']))).to.equal('STORE_UNAVAILABLE');
    expect(await adapter.check()).to.include({ status: 'unhealthy' });
    expect(() => new ClusterAdapter({ bus: 1 as never })).to.throw().with.property('code', 'OPTION_INVALID');
  });
});
