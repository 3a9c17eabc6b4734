import { expect } from 'chai';
import { startCluster } from '../../adapters/cluster.ts';
import { child } from '../support/child.ts';
import { connect, type Client } from '../support/client.ts';
import { clusterSuites } from '../support/cluster-suites.ts';
import type { Primary } from '../support/processes/cluster-primary.ts';
import { codeOf } from '../src/start-kernel.ts';
import { eventually } from '../support/timing.ts';

const PRIMARY = new URL('../support/processes/cluster-primary.ts', import.meta.url);

async function primary(options: Parameters<Primary['start']>[0] = {}) {
  const process_ = await child<Primary>(PRIMARY);
  const outcome = await process_.call('start', { workers: 2, ...options });
  const port = await process_.call('port');
  const open = (): Promise<Client> => connect(`ws://127.0.0.1:${port}/ws`);
  return { ...process_, outcome, open };
}

const ask = async (client: Client, type: string, content?: unknown): Promise<any> =>
  (await client.request({ type, content })).content;

/** Connects until there is a client on each of so many workers. */
async function onEach(workers: number, open: () => Promise<Client>): Promise<Client[]> {
  const clients = new Map<number, Client>();
  await eventually('a client on each worker', async () => {
    const client = await open();
    clients.set(await ask(client, 'who'), client);
    return clients.size === workers;
  });
  return [...clients.values()];
}

describe('startCluster()', function () {
  this.timeout(60_000);

  it('starts workers that share a port, and whose clients reach each other', async () => {
    const { outcome, open, call } = await primary();
    const clients = await onEach(2, open);
    await eventually('the nodes know each other', async () => (await ask(clients[0]!, 'nodes')) === 1);

    await ask(clients[0]!, 'tell', 'hello');
    const told = await Promise.all(clients.map((client) => client.next('told')));
    const pids = await call('pids');
    const own = await Promise.all(clients.map((client) => ask(client, 'who')));
    await call('stop');

    expect(outcome).to.equal('started');
    expect(told.map(({ content }) => content)).to.deep.equal(['hello', 'hello']);
    expect(own).to.have.members(pids as number[]);
    expect(await Promise.all(clients.map(async ({ closed }) => (await closed).code))).to.deep.equal([4200, 4200]);
    expect(await call('workers')).to.equal(0);
  });

  it('starts a worker again that ended; the clients of the others stay', async () => {
    const { open, call, output } = await primary();
    const [a, b] = await onEach(2, open) as [Client, Client];
    const before = await call('pids');

    void a.send({ type: 'crash' });
    expect((await a.closed).code).to.equal(1006);
    const clients = await onEach(2, open);

    expect(await call('pids')).to.not.deep.equal(before);
    expect(await ask(b, 'who')).to.be.a('number');
    expect(clients).to.have.length(2);
    expect(output()).to.match(/worker \d+ ended with SIGKILL; another one starts in \d+ ms/);
  });

  it('keeps the history of all workers: a client of a worker that was killed gets the rest from another one', async () => {
    const { open } = await primary();
    const [reader, writer] = await onEach(2, open) as [Client, Client];
    const { content: { sessionId, topics } } = await reader.request({ type: 'recover', content: {} }) as any;
    const subscribed = await ask(reader, 'subscribe', { topic: 'news' });
    const first = await ask(writer, 'append', 'first');
    const seen = await reader.next('news') as any;

    void reader.send({ type: 'crash' });
    await reader.closed;
    for (const content of ['second', 'third']) await ask(writer, 'append', content);
    const again = await open();
    const { content: recovered } = await again.request({ type: 'recover', content: { sessionId, positions: [{ topic: 'news', epoch: seen.epoch, offset: seen.offset, id: seen.id }] } }) as any;
    await ask(writer, 'append', 'fourth');
    const live = await again.next('news') as any;

    expect(topics).to.deep.equal([]);
    expect(subscribed).to.include({ topic: 'news', offset: 0 });
    expect(first).to.include({ offset: 1, duplicate: false });
    expect(recovered.topics[0]).to.include({ topic: 'news', recovered: true, offset: 3 });
    expect(recovered.topics[0].messages.map(({ content, offset }: any) => [content, offset])).to.deep.equal([['second', 2], ['third', 3]]);
    expect([live.content, live.offset]).to.deep.equal(['fourth', 4]);
  });

  it('replaces its workers one after another at SIGHUP; clients that connect then are served, or told to come back', async () => {
    const { open, call, pid } = await primary();
    const before = await call('pids');
    const clients = await onEach(2, open);
    const failures: unknown[] = [];
    const done = new AbortController();
    const visits = (async () => {
      while (!done.signal.aborted) await open().then(async (client) => { await ask(client, 'who'); void client.close(); }).catch((error: unknown) => failures.push(error));
    })();

    process.kill(pid, 'SIGHUP');
    const codes = await Promise.all(clients.map(async ({ closed }) => (await closed).code));
    await eventually('both are new', async () => (await call('pids')).every((one) => !before.includes(one)));
    await eventually('the earlier ones are gone', async () => (await call('workers')) === 2);
    done.abort();
    await visits;

    expect(codes).to.deep.equal([4200, 4200]);
    // A worker that has just been told to stop may still get a connection.
    expect(failures.filter((failure) => !/closed with 4200|refused with 503/.test(String(failure)))).to.deep.equal([]);
  });

  it('keeps its workers if a new one cannot start', async () => {
    const { open, call } = await primary();
    const before = await call('pids');
    await call('breakNext');

    const failure = await call('reload').catch((error: unknown) => String(error));
    const after = await call('pids');
    await call('repair');
    await call('reload');

    expect(failure).to.include('the new worker did not start: it ended with code 1');
    expect(after).to.deep.equal(before);
    expect((await call('pids')).some((pid) => before.includes(pid))).to.be.false;
    expect(await ask(await open(), 'who')).to.be.a('number');
  });

  it('ends with code 0 at SIGTERM, after its workers have told their clients', async () => {
    const { open, exit, pid } = await primary();
    const client = await open();

    process.kill(pid, 'SIGTERM');

    expect((await client.closed).code).to.equal(4200);
    await eventually('the end', () => exit() !== undefined);
    expect(exit()).to.equal(0);
  });

  it('rejects if a worker ends before it listens, or is silent for too long', async () => {
    const [broken, silent] = await Promise.all([
      primary({ env: { BROKEN: '1' } }), primary({ env: { SILENT: '1' }, startTimeout: 3_000 }),
    ]);

    expect([broken.outcome, silent.outcome]).to.deep.equal(['WORKER_FAILED', 'WORKER_FAILED']);
    expect([await broken.call('workers'), await silent.call('workers')]).to.deep.equal([0, 0]);
  });

  it('assigns all connections of an address to one worker with ip-hash', async () => {
    const { outcome, open, call } = await primary({ strategy: 'ip-hash', port: 0, env: { BY_ADDRESS: '1' }, workers: 3 });
    const clients = await Promise.all(Array.from({ length: 8 }, open));
    const pids = new Set(await Promise.all(clients.map((client) => ask(client, 'who'))));
    await call('stop');

    expect(outcome).to.equal('started');
    expect(pids.size).to.equal(1);
    expect(await Promise.all(clients.map(async ({ closed }) => (await closed).code))).to.deep.equal(clients.map(() => 4200));
  });

  it('refuses options that it cannot use', async () => {
    const file = 'server.js';
    const codes = await Promise.all([
      startCluster({} as never), startCluster({ file, workers: 0 }), startCluster({ file, strategy: 'ip-hash' }),
      startCluster({ file, port: 3000 }), startCluster({ file, sticky: true } as never),
    ].map(codeOf));

    expect(codes).to.deep.equal(['OPTION_INVALID', 'OPTION_INVALID', 'OPTION_INVALID', 'OPTION_INVALID', 'OPTION_UNKNOWN']);
  });
});

describe('the cluster adapter over a channel of JSON', function () {
  this.timeout(60_000);

  it('passes the suites of adapters and stores', async () => {
    const { passed, failed } = await clusterSuites('json');

    expect(failed.join('\n\n')).to.equal('');
    expect(passed).to.be.above(60);
  });
});
