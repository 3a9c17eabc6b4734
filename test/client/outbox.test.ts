import { expect } from 'chai';
import type { ClientConfig, ClientError, WebSocketClient } from '../../client/index.ts';
import { indexedDbOutbox, type OutboxOptions } from '../../client/offline.ts';
import { history } from '../../plugins/history.ts';
import { recovery, type RecoveryOptions } from '../../plugins/recovery.ts';
import { faultProxy } from '../support/fault-proxy.ts';
import { start } from '../support/start.ts';
import { eventually } from '../support/timing.ts';
import { clientOf } from './around.ts';
import { fakeBrowser } from './tabs.ts';

const login = {
  type: 'connection' as const, name: 'login',
  handler: (_: unknown, { url }: { url: string }) => {
    const user = new URL(url, 'http://x').searchParams.get('user');
    return user === null ? {} : { user: { id: user } };
  },
};

/** A server that handles `note`, behind a proxy, and clients that are tabs of one browser. */
async function serve(options: RecoveryOptions | false = {}) {
  const plugins = options === false ? [] : [history({ topics: { news: {} } }), recovery(options)];
  const { manager, port } = await start({ use: [login, ...plugins] });
  const handled: unknown[] = [];
  manager.registerHandler('note', ({ content }) => { handled.push(content); });
  const proxy = await faultProxy(port);
  const tab = (user = 'ada', outboxOptions: OutboxOptions = {}, config: Partial<ClientConfig> = {}) => {
    const outbox = indexedDbOutbox(outboxOptions);
    const client = clientOf({
      url: `ws://127.0.0.1:${proxy.port}/ws?user=${user}`, reconnect: { initialDelay: 1 }, ...config,
      state: { user, offline: outbox },
    });
    const changes: string[] = [];
    client.on('outbox', ({ id, state }) => void changes.push(`${id} ${state}`));
    return { client, outbox, changes, note: (content: string | number) => client.send({ type: 'note', id: `${content}`, content }) };
  };
  return { manager, proxy, port, handled, tab };
}

/** As a reload: the page is gone, and what waits is not settled for it. */
const leave = async (client: WebSocketClient): Promise<void> => {
  await client.disconnect();
  // Its database and its lock are free in a later turn.
  await new Promise((resolve) => { setTimeout(resolve, 20); });
};

const codeOf = (result: Promise<unknown>): Promise<string> => result.then(() => 'resolved', (error: unknown) => (error as ClientError).code);
const stored = async ({ outbox }: { outbox: ReturnType<typeof indexedDbOutbox> }) => (await outbox.entries()).map(({ id, state }) => `${id} ${state}`);

describe('an outbox', () => {
  it('delivers what was written, and forgets it', async () => {
    fakeBrowser();
    const { tab, handled } = await serve();
    const one = tab();
    await one.client.connect();

    await Promise.all([1, 2, 3].map((content) => one.note(content)));

    expect(handled).to.deep.equal([1, 2, 3]);
    await eventually('the outbox is empty', () => one.outbox.size === 0);
    expect(await stored(one)).to.deep.equal([]);
  });

  it('delivers what was written offline after a reload, once and in order', async () => {
    fakeBrowser();
    const { tab, handled } = await serve();
    const before = tab();
    const codes = [1, 2, 3].map((content) => codeOf(before.note(content)));
    await eventually('all are stored', async () => (await before.outbox.entries()).length === 3 && before.outbox.name !== undefined);

    await leave(before.client);
    const after = tab();
    const waiting = await stored(after);
    await after.client.connect();
    await eventually('all are delivered', () => after.outbox.size === 0);

    expect(await Promise.all(codes)).to.deep.equal(['CONNECTION_CLOSED', 'CONNECTION_CLOSED', 'CONNECTION_CLOSED']);
    expect(waiting).to.deep.equal(['1 queued', '2 queued', '3 queued']);
    expect(handled).to.deep.equal([1, 2, 3]);
    expect(after.changes).to.deep.equal(['1 sent', '2 sent', '3 sent', '1 delivered', '2 delivered', '3 delivered']);
  });

  it('has a message handled once whose answer was lost with the page', async () => {
    fakeBrowser();
    const { tab, handled, proxy, manager } = await serve();
    manager.registerHandler('lost', () => {
      handled.push('lost');
      proxy.silence();
    });
    const before = tab();
    await before.client.connect();
    before.client.send({ type: 'lost', id: 'lost' }).catch(() => undefined);
    await eventually('it is handled', () => handled.length === 1);

    await leave(before.client);
    proxy.reset();
    const after = tab();
    await after.client.connect();
    await eventually('it is settled', () => after.outbox.size === 0);

    expect(handled).to.deep.equal(['lost']);
    expect(after.changes).to.deep.equal(['lost sent', 'lost delivered']);
  });

  for (const [why, options] of [['the window of the server is over', { answerWindow: 1 }], ['the server has no recovery', false]] as const) {
    it(`leaves a message to the application when ${why}`, async () => {
      fakeBrowser();
      const { tab, handled, proxy, manager } = await serve(options);
      let isSilent = true;
      manager.registerHandler('lost', ({ content }) => {
        handled.push(content);
        if (isSilent) proxy.silence();
      });
      const before = tab();
      await before.client.connect();
      before.client.send({ type: 'lost', id: 'lost', content: 'text' }).catch(() => undefined);
      before.note('later').catch(() => undefined);
      await eventually('it is sent', async () => (await stored(before)).includes('lost sent'));

      await leave(before.client);
      proxy.reset();
      isSilent = false;
      const after = tab();
      await after.client.connect();
      await eventually('it is unknown', () => after.changes.includes('lost unknown'));
      const unknown = (await after.outbox.entries()).find(({ id }) => id === 'lost');
      const isRetried = await after.outbox.retry('lost');
      await eventually('it is delivered', () => after.changes.includes('lost delivered'));

      expect(unknown).to.deep.include({ state: 'unknown', message: { type: 'lost', id: 'lost', content: 'text', ack: true } });
      expect([isRetried, await after.outbox.retry('nothing')]).to.deep.equal([true, false]);
      // The server still knows the id, or handles the message twice: the application has decided it.
      expect(handled.filter((content) => content === 'text')).to.have.length(options === false ? 2 : 1);
    });
  }

  it('lets one tab send what all tabs write', async () => {
    fakeBrowser();
    const { tab, handled } = await serve();
    const [one, other] = [tab(), tab()];
    await one.client.connect();
    await other.client.connect();

    await Promise.all([one.note(1), other.note(2), one.note(3), other.note(4)]);
    await leave(one.client);
    await other.note(5);

    expect([...handled].sort()).to.deep.equal([1, 2, 3, 4, 5]);
    expect(other.outbox.size).to.equal(0);
  });

  it('shows another user nothing, and sends nothing in the name of another one', async () => {
    fakeBrowser();
    const { tab, handled, proxy } = await serve();
    const ada = tab();
    ada.note(1).catch(() => undefined);
    await eventually('it is stored', async () => (await stored(ada)).length === 1 && ada.outbox.name !== undefined);
    await leave(ada.client);

    const bob = tab('bob');
    await bob.client.connect();
    const wrong = tab('ada', {}, { url: `ws://127.0.0.1:${proxy.port}/ws?user=bob` });
    const errors: string[] = [];
    wrong.client.on('error', ({ code }) => void errors.push(code));
    await wrong.client.connect();
    await eventually('the error', () => errors.length === 1);

    expect(await stored(bob)).to.deep.equal([]);
    expect(errors).to.deep.equal(['USER_MISMATCH']);
    expect([handled, await stored(wrong)]).to.deep.equal([[], ['1 queued']]);
  });

  it('goes on in memory, and says so once, where messages cannot be stored', async () => {
    for (const missing of [{ indexedDB: undefined }, { navigator: {} }, { indexedDB: { open: () => { throw new Error('private mode'); } } }]) {
      fakeBrowser(missing);
      const { tab, handled } = await serve();
      const one = tab();
      const errors: string[] = [];
      one.client.on('error', ({ code }) => void errors.push(code));
      const early = one.note(1);
      await one.client.connect();

      await Promise.all([early, one.note(2)]);

      expect(handled).to.deep.equal([1, 2]);
      expect(errors).to.deep.equal(['STORAGE_FAILED']);
    }
  });

  it('refuses what is beyond its bounds, the same id twice, and an aborted message', async () => {
    fakeBrowser();
    const { tab } = await serve();
    const one = tab('ada', { queueSize: 2 });
    const signal = AbortSignal.abort();

    const codes = [one.note(1), one.note(1), one.client.send({ type: 'note' }, { signal }), one.note(2), one.note(3)].map(codeOf);
    const small = codeOf(tab('bob', { storage: { maxSize: '10B' } }).note(1));
    await one.outbox.clear();

    expect(await Promise.all(codes)).to.deep.equal(['CANCELLED', 'MESSAGE_INVALID', 'ABORTED', 'CANCELLED', 'QUEUE_FULL']);
    expect(await small).to.equal('QUEUE_FULL');
    expect(await stored(one)).to.deep.equal([]);
  });

  it('fails a message that could not be sent in time, also after a reload', async () => {
    fakeBrowser();
    const { tab, handled } = await serve();
    const before = tab('ada', { storage: { ttl: 60 } });
    const early = codeOf(before.client.send({ type: 'note' }, { timeout: 5 }));
    before.note('late').catch(() => undefined);
    const earlyCode = await early;
    await leave(before.client);
    const after = tab();
    await eventually('it has expired', async () => (await stored(after)).length === 0);
    await after.client.connect();

    expect(earlyCode).to.equal('MESSAGE_EXPIRED');
    expect(after.changes).to.deep.equal(['late failed']);
    expect(handled).to.deep.equal([]);
  });

  it('rejects with the error of the server, and does not send the message again', async () => {
    fakeBrowser();
    const { tab } = await serve();
    const one = tab();
    await one.client.connect();

    expect(await codeOf(one.client.send({ type: 'nope' }))).to.equal('UNKNOWN_TYPE');
    expect(await stored(one)).to.deep.equal([]);
  });

  it('loses and repeats nothing while the connection breaks again and again', async () => {
    fakeBrowser();
    const { tab, handled, proxy } = await serve();
    const one = tab();
    await one.client.connect();
    const results: Promise<void>[] = [];
    for (let content = 0; content < 120; content++) {
      results.push(one.note(content));
      if (content % 20 === 10) {
        await eventually('some are handled', () => handled.length > content / 2);
        proxy.reset();
      }
    }
    await Promise.all(results);

    expect(handled).to.deep.equal(Array.from({ length: 120 }, (_, index) => index));
  });

  it('names every option that is wrong', () => {
    expect(() => indexedDbOutbox({ queueSize: -1, storage: { maxSize: 'big', ttl: 0 }, what: 1 } as never)).to.throw(
      TypeError, 'indexedDbOutbox: queueSize: it must be a number above 0; storage.maxSize: it must be a number above 0; '
      + 'storage.ttl: it must be a number above 0; what: there is no such option');
  });
});
