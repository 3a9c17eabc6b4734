import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Client } from '../support/client.ts';
import { cleanup } from '../support/cleanup.ts';
import { example, type Example } from '../support/examples.ts';
import { packed } from '../support/packed.ts';

interface Member { readonly client: Client; readonly id: string; readonly token: string }

function signIn({ http }: Example, username: unknown, password: unknown = `the password of ${JSON.stringify(username)}`): Promise<Response> {
  return fetch(`${http}/api/auth`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password }) });
}

/** A user who signed in, and is connected. */
async function member(server: Example, username: string): Promise<Member> {
  const { token, user } = await (await signIn(server, username)).json() as { token: string; user: { id: string } };
  const client = await server.connect({ path: '/chat' });
  await client.request({ type: 'auth', token });
  return { client, token, ...user };
}

describe('the example chat-server', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('serves users from signing in to the shutdown', async () => {
    const server = await example('chat-server/server');
    const ada = await member(server, 'ada');
    const bob = await member(server, 'bob');

    // Rooms, and their history.
    const joined = await ada.client.request({ type: 'join-room', roomId: 'lobby' });
    const sent = await ada.client.request({ type: 'chat-message', roomId: 'lobby', content: 'Hello?' });
    await bob.client.request({ type: 'join room', data: { roomId: 'lobby' } });
    const history = await bob.client.request({ type: 'get-history', roomId: 'lobby' });
    await bob.client.request({ type: 'chat message', content: { roomId: 'lobby', content: 'Hello, this is no spam.' } });
    await ada.client.next('chat-message');
    const heard = await ada.client.next('chat-message');
    // Who is there, and a word in private.
    const online = await ada.client.request({ type: 'get-online-users' });
    const posted = await ada.client.request({ type: 'private-message', to: bob.id, content: 'Between us.' });
    const whispered = await bob.client.next('private-message');
    // The end.
    const [{ code }, closed] = await Promise.all([server.stop('SIGTERM'), ada.client.closed]);

    expect((await ada.client.next('welcome')).content).to.have.keys('message', 'serverTime');
    expect(joined).to.deep.include({ type: 'room-joined' });
    expect((await ada.client.next('system-message')).content.roomId).to.equal('lobby');
    expect(sent.type).to.equal('message-sent');
    expect(history.content.roomId).to.equal('lobby');
    expect(history.content.messages).to.have.length(1);
    expect(history.content.messages[0]).to.deep.include({
      id: sent.content.messageId, type: 'chat-message', content: { roomId: 'lobby', userId: ada.id, username: 'ada', content: 'Hello?' },
    });
    expect(heard.content).to.deep.equal({ roomId: 'lobby', userId: bob.id, username: 'bob', content: 'Hello, this is no ****.' });
    expect(online).to.include({ type: 'online-users' });
    expect(online.content.users).to.have.deep.members([{ userId: ada.id, username: 'ada' }, { userId: bob.id, username: 'bob' }]);
    expect(posted).to.include({ type: 'message-sent' });
    expect(whispered.content).to.deep.equal({ from: ada.id, to: bob.id, content: 'Between us.' });
    expect((await ada.client.next('server-shutdown')).content).to.have.keys('message');
    expect(closed.code).to.equal(4200);
    expect(code).to.equal(0);
    expect(server.output()).to.match(/^Open http:\/\/localhost:\d+ in two browsers\n$/);
  });

  it('lets a user who joins page through the messages of before', async () => {
    const server = await example('chat-server/server');
    const ada = await member(server, 'ada');
    await ada.client.request({ type: 'join-room', roomId: 'den' });
    const texts = Array.from({ length: 33 }, (_, index) => `message ${index}`);
    for (const content of texts) await ada.client.request({ type: 'chat-message', roomId: 'den', content });

    const bob = await member(server, 'bob');
    for (const content of texts.slice(0, 20)) {
      if (content === 'message 0') await bob.client.request({ type: 'join-room', roomId: 'den' });
      await bob.client.request({ type: 'chat-message', roomId: 'den', content });
    }
    const carl = await member(server, 'carl');
    await carl.client.request({ type: 'join-room', roomId: 'den' });

    const last = (await carl.client.request({ type: 'get-history', roomId: 'den', limit: 50 })).content;
    const first = (await carl.client.request({ type: 'get-history', roomId: 'den', before: last.messages[0].offset })).content;

    const pages = [...first.messages, ...last.messages].map(({ content }: { content: { content: string } }) => content.content);
    expect(pages).to.deep.equal([...texts, ...texts.slice(0, 20)]);
    expect([last.messages.length, last.more, first.more]).to.deep.equal([50, true, false]);
  });

  it('keeps the messages of the lobby through `kill -9`, and tells who comes back what they missed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chat-'));
    cleanup(() => rmSync(folder, { recursive: true }));
    const settings = { HISTORY_FILE: join(folder, 'history.mdb'), JWT_SECRET: randomBytes(32).toString('hex') };
    const before = await example('chat-server/server', settings);
    const ada = await member(before, 'ada');
    await ada.client.request({ type: 'join-room', roomId: 'lobby' });
    const say = async ({ client }: Member, content: string) => client.request({ type: 'chat-message', roomId: 'lobby', content });
    for (const content of ['one', 'two']) await say(ada, content);
    const { content: seen } = await ada.client.request({ type: 'get-history', roomId: 'lobby' });
    await say(ada, 'three');
    await before.stop('SIGKILL');

    const after = await example('chat-server/server', settings);
    const bob = await member(after, 'bob');
    const { epoch, id } = seen;
    const joined = await bob.client.request({ type: 'join-room', roomId: 'lobby', position: { epoch, offset: seen.offset, id } });
    await say(bob, 'four');
    const page = await bob.client.request({ type: 'get-history', roomId: 'lobby' });

    expect(joined.content.history).to.include({ recovered: true, epoch });
    expect(joined.content.history.messages.map(({ content }: any) => content.content)).to.deep.equal(['three']);
    expect(page.content.messages.map(({ content }: any) => content.content)).to.deep.equal(['one', 'two', 'three', 'four']);
  });

  it('checks the password of a name, whatever the case of its letters', async () => {
    const server = await example('chat-server/server');

    const [first, same] = await Promise.all([signIn(server, 'Ada'), signIn(server, 'Ada')]);
    const other = await signIn(server, 'ADA', 'the password of another user');
    const { user } = await first.json() as { user: { id: string; username: string } };

    expect(user.username).to.equal('Ada');
    expect(await same.json()).to.have.deep.property('user', user);
    expect(other.status).to.equal(401);
    expect(await other.json()).to.deep.equal({ error: 'This name is taken, and the password is wrong.' });
  });

  it('limits attempts to guess passwords', async () => {
    const server = await example('chat-server/server');
    await signIn(server, 'ada');

    const guesses = await Promise.all(Array.from({ length: 30 }, (_, count) => signIn(server, 'ada', `guess number ${count}`)));
    const statuses = guesses.map(({ status }) => status);

    expect(statuses.filter((status) => status === 401)).to.have.length(19);
    expect(statuses.filter((status) => status === 429)).to.have.length(11);
    expect(await guesses[statuses.indexOf(429)]!.json()).to.deep.equal({ error: 'Too many tries. Wait a minute.' });
  });

  it('rejects invalid sign-ins without revealing details', async () => {
    const server = await example('chat-server/server');
    const post = (body: string, type = 'application/json') => fetch(`${server.http}/api/auth`, { method: 'POST', headers: { 'content-type': type }, body });

    const answers = await Promise.all([
      signIn(server, 'a'), signIn(server, '<b>ada</b>'), signIn(server, { toString: 'ada' }), signIn(server, 'ada', 'short'), signIn(server, 'ada', 12345678),
      post('not JSON'), post('null'), post('{}', 'text/plain'), post(JSON.stringify({ username: 'x'.repeat(2_000) })),
    ]);

    expect(answers.map(({ status }) => status)).to.deep.equal([400, 400, 400, 400, 400, 400, 400, 400, 413]);
    for (const answer of answers) expect(await answer.json()).to.have.all.keys('error');
    for (const answer of answers) expect(answer.headers.has('x-powered-by')).to.be.false;
  });

  it('accepts only its own tokens, and nothing before one', async () => {
    const server = await example('chat-server/server', { JWT_SECRET: randomBytes(32).toString('hex') });
    const other = await example('chat-server/server');
    const { token } = await (await signIn(other, 'ada')).json() as { token: string };
    const client = await server.connect({ path: '/chat' });

    const tooEarly = await client.request({ type: 'join-room', roomId: 'lobby' });
    const foreign = await client.request({ type: 'auth', token });

    expect(tooEarly.content.code).to.equal('AUTH_REQUIRED');
    expect(foreign.content.code).to.equal('TOKEN_INVALID');
  });

  it('gives a newer token for one that is valid, and for no other', async () => {
    const server = await example('chat-server/server', { SESSION_TIME: '60s' });
    const { token, user } = await (await signIn(server, 'ada')).json() as { token: string; user: { id: string } };
    const refresh = (authorization?: string) =>
      fetch(`${server.http}/api/refresh`, { method: 'POST', headers: authorization === undefined ? {} : { authorization } });

    const renewed = await refresh(`Bearer ${token}`);
    const { token: newer } = await renewed.json() as { token: string };
    const client = await server.connect({ path: '/chat' });
    const { content } = await client.request({ type: 'auth', token: newer });
    const refused = await Promise.all([refresh(), refresh('Bearer '), refresh(`Bearer ${token}x`), refresh(token)]);

    expect(content.user.id).to.equal(user.id);
    expect(refused.map(({ status }) => status)).to.deep.equal([401, 401, 401, 401]);
    expect(await refused[0].json()).to.deep.equal({ error: 'Your session is over. Please sign in again.' });
  });

  it('rejects invalid messages, each with its code', async () => {
    const server = await example('chat-server/server');
    const { client } = await member(server, 'ada');
    await client.request({ type: 'join-room', roomId: 'lobby' });

    const codes: string[] = [];
    for (const message of [
      { type: 'chat-message', roomId: 'lobby', content: ' ' },
      { type: 'chat-message', roomId: 'lobby', content: null },
      { type: 'chat-message', content: { roomId: 'lobby', content: { text: 'no text' } } },
      { type: 'chat-message', content: 'to no room' },
      { type: 'chat-message', roomId: { toString: 'lobby' }, content: 'Hello?' },
      { type: 'chat-message', roomId: 'nowhere', content: 'Hello?' },
      { type: 'chat-message', roomId: 'lobby', content: 'x'.repeat(1_001) },
      { type: 'room-message', roomId: 'lobby', content: 'past the filter' },
      { type: 'private-message', to: 'nobody', content: 'Hello?' },
    ]) codes.push((await client.request(message)).content.code as string);

    expect(codes).to.deep.equal([
      ...Array.from({ length: 5 }, () => 'VALIDATION_FAILED'), 'ROOM_UNKNOWN', 'MESSAGE_TOO_LONG', 'TYPE_NOT_ALLOWED', 'USER_OFFLINE',
    ]);
    expect(server.output()).not.to.include('Error');
  });

  it('serves its page with a strict content security policy, and its metrics', async () => {
    const { http } = await example('chat-server/server');

    const [page, health, metrics, stats, other] = await Promise.all(['/', '/health', '/metrics', '/stats', '/users.js'].map((path) => fetch(http + path)));

    expect(page?.headers.get('content-security-policy')).to.match(/^default-src 'self';/);
    expect(await page?.text()).to.match(/^<!doctype html>/);
    expect(await health?.json()).to.include({ status: 'healthy' });
    expect(await metrics?.text()).to.include('websocket_rooms 1');
    expect(await stats?.json()).to.have.nested.property('plugins.presence');
    expect(other?.status).to.equal(404);
  });
});
