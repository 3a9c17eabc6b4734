import { expect } from 'chai';
import type { Client } from '../support/client.ts';
import { example, type Example } from '../support/examples.ts';
import { packed } from '../support/packed.ts';
import { redisServer } from '../support/redis.ts';
import { eventually } from '../support/timing.ts';

async function signIn({ http }: Example, username: string, password = `the password of ${username}`): Promise<Response> {
  return fetch(`${http}/api/auth`, { method: 'POST', headers: { 'content-type': 'application/json', 'connection': 'close' }, body: JSON.stringify({ username, password }) });
}

/** A user who signed in, in the lobby. */
async function member(server: Example, username: string): Promise<Client> {
  const { token } = await (await signIn(server, username)).json() as { token: string };
  const client = await server.connect({ path: '/chat' });
  await client.request({ type: 'auth', token });
  await client.request({ type: 'join-room', roomId: 'lobby' });
  return client;
}

describe('the chat in two processes', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('prints the command to run if REDIS_URL is missing', async () => {
    const { output } = await example('chat-server/cluster', { REDIS_URL: '' });

    expect(output()).to.contain('Several processes need Redis: REDIS_URL=redis://localhost:6379 npm run example:cluster');
  });

  it('lets users of both processes talk in a room, with one account each', async () => {
    const redis = await redisServer();
    const server = await example('chat-server/cluster', { REDIS_URL: redis.url });
    const nodes = () => new Set([...server.output().matchAll(/\(node (\w+)\)/g)].map(([, node]) => node));
    await eventually('both processes', () => nodes().size === 2 || server.output(), 20_000);

    // The primary hands connections out in turn, so four of them are on both processes.
    const names = ['ada', 'bob', 'eve', 'kim'];
    const clients: Client[] = [];
    for (const name of names) clients.push(await member(server, name));
    for (const [index, client] of clients.entries()) await client.request({ type: 'chat-message', roomId: 'lobby', content: `from ${names[index]!}` });
    await eventually('all messages everywhere', () => clients.every(({ messages }) => names.every((name) => messages.some(({ content }) => content?.content === `from ${name}`))));
    const wrong = await Promise.all([1, 2, 3, 4].map(() => signIn(server, 'ada', 'another password')));
    const ids = await Promise.all([1, 2, 3, 4].map(async () => (await (await signIn(server, 'ada')).json() as { user: { id: string } }).user.id));
    const { code } = await server.stop('SIGTERM');

    expect(wrong.map(({ status }) => status)).to.deep.equal([401, 401, 401, 401]);
    expect(new Set(ids).size).to.equal(1);
    expect(code).to.equal(0);
  });
});
