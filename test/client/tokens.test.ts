import { expect } from 'chai';
import sinon from 'sinon';
import type { AuthConfig } from '../../client/index.ts';
import { auth } from '../../handlers/auth-handler.ts';
import { cleanup } from '../support/cleanup.ts';
import { start } from '../support/start.ts';
import { clientOf, fakeClient, next, settled, type FakeNetwork } from './around.ts';

const users: Readonly<Record<string, { id: string }>> = { ada: { id: 'ada' }, bob: { id: 'bob' } };

const startWithAuth = async (options = {}) => await start({
  use: [auth({ authenticate: (token) => users[token], allowAnonymous: true, ...options })],
});

/** Answers the first message of the last socket, which is an authentication. */
async function answer(network: FakeNetwork, content: object): Promise<void> {
  await settled();
  const { last } = network;
  last.open();
  const timestamp = new Date(Date.now() - 3_600_000).toISOString();
  last.receive({ type: 'auth', replyTo: last.sent[0]!['id'], timestamp, content });
  await settled();
}

describe('the token of a client', () => {
  const places: readonly Required<Pick<AuthConfig, 'via'>>[] = [{ via: 'message' }, { via: 'protocol' }, { via: 'query' }];
  for (const { via } of places) {
    it(`authenticates by ${via}`, async () => {
      const { url, manager } = await startWithAuth();
      const client = clientOf({ url, auth: { token: 'ada', via } });

      await client.connect();

      expect([...manager.connections.values()].map(({ user }) => user?.id)).to.deep.equal(['ada']);
    });
  }

  it('is not in the URL by default', async () => {
    const { client, network } = fakeClient({ auth: { token: 'secret' } });

    void client.connect();
    await answer(network, {});

    expect(network.last.url).to.equal('ws://example.com');
    expect(network.last.protocols).to.deep.equal([]);
    expect(network.last.sent[0]).to.include({ type: 'auth' });
    expect(client.isConnected).to.equal(true);
  });

  it('is refused once and for all, if there is no way to get another one', async () => {
    const { url } = await startWithAuth();
    const client = clientOf({ url, auth: { token: 'eve' }, reconnect: { initialDelay: 1 } });

    const failure = await client.connect().catch((error: unknown) => error);

    expect(failure).to.include({ code: 'CONNECTION_FAILED' });
    expect(client.explain().filter(({ to }) => to === 'connecting')).to.have.length(1);
  });

  it('is renewed once if the server refuses it', async () => {
    const { url } = await startWithAuth();
    let renewals = 0;
    const client = clientOf({ url, auth: { token: 'old', refreshToken: async () => (++renewals, 'ada') } });

    await client.connect();

    expect(renewals).to.equal(1);
    expect(client.isConnected).to.equal(true);
  });

  it('is not renewed in a loop', async () => {
    const { url } = await startWithAuth();
    let renewals = 0;
    const client = clientOf({ url, auth: { token: 'old', refreshToken: async () => (++renewals, 'also old') } });

    const failure = await client.connect().catch((error: unknown) => error);

    expect(failure).to.include({ code: 'CONNECTION_FAILED' });
    expect(renewals).to.equal(1);
  });

  it('is not renewed in a loop by a server that accepts it and then closes', async () => {
    const { client, network } = fakeClient({ auth: { getToken: () => 'a' } });
    void client.connect();

    for (let round = 0; round < 2; round++) {
      await answer(network, {});
      network.last.end(4001);
    }
    await settled();

    expect(client.phase).to.equal('failed');
    expect(network.sockets).to.have.length(2);
  });

  it('is asked for anew at each attempt', async () => {
    const { url, manager } = await startWithAuth();
    let calls = 0;
    const client = clientOf({ url, auth: { getToken: () => (++calls, 'ada') }, reconnect: { initialDelay: 1 } });
    await client.connect();
    const again = next(client, 'reconnected');

    for (const [, connection] of manager.connections) connection.close(4153);
    await again;

    expect(calls).to.equal(2);
  });

  it('is not used if it was fetched for an earlier attempt', async () => {
    const resolvers: ((token: string) => void)[] = [];
    const { client, network } = fakeClient({ auth: { getToken: () => new Promise((resolve) => resolvers.push(resolve)) } });

    void client.connect();
    await settled();
    await client.disconnect();
    void client.connect();
    await settled();
    resolvers[0]!('of the user before');
    await settled();
    const early = network.sockets.length;
    resolvers[1]!('of this user');
    await answer(network, {});

    expect(early).to.equal(0);
    expect(network.last.sent[0]!['content']).to.deep.equal({ token: 'of this user' });
  });

  it('is fetched again later if fetching fails', async () => {
    let calls = 0;
    const { url } = await startWithAuth();
    const client = clientOf({
      url,
      reconnect: { initialDelay: 1 },
      auth: { getToken: async () => { if (++calls === 1) throw new Error('no network'); return 'ada'; } },
    });
    const failed = next(client, 'error');

    await client.connect();

    expect((await failed)[0]).to.include({ code: 'TOKEN_UNAVAILABLE' });
    expect(calls).to.equal(2);
  });

  it('is renewed on the open connection before it expires, by the clock of the server', async () => {
    const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
    cleanup(() => clock.restore());
    const { client, network } = fakeClient({ auth: { token: 'first', refreshToken: async () => 'second' } });
    void client.connect();
    // The server's clock is an hour late; the token lives for 100 s.
    await answer(network, { expiresAt: new Date(Date.now() - 3_600_000 + 100_000).toISOString() });

    const tokens = (): unknown[] => network.last.sent.filter(({ type }) => type === 'auth:refresh').map(({ content }) => content.token as string);
    await clock.tickAsync(79_999);
    const before = tokens();
    await clock.tickAsync(1);

    expect(before).to.deep.equal([]);
    expect(tokens()).to.deep.equal(['second']);
    expect(network.sockets).to.have.length(1);
  });

  it('is renewed by one call at a time', async () => {
    const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
    cleanup(() => clock.restore());
    let calls = 0;
    let finish: (token: string) => void = () => undefined;
    const refreshToken = (): Promise<string> => new Promise((resolve) => { calls++; finish = resolve; });
    const { client, network } = fakeClient({ auth: { token: 'first', refreshToken } });
    void client.connect();
    await answer(network, { expiresAt: new Date(Date.now() - 3_600_000 + 100_000).toISOString() });

    // The renewal is under way when the server closes for want of a new token.
    await clock.tickAsync(80_000);
    network.last.end(4001);
    await settled();
    finish('second');
    await settled();

    expect(calls).to.equal(1);
    network.last.open();
    expect(network.last.sent[0]!['content']).to.deep.equal({ token: 'second' });
  });
});
