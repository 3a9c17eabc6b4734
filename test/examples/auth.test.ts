import { expect } from 'chai';
import { example, type Example } from '../support/examples.ts';
import { packed } from '../support/packed.ts';

const passwords: Readonly<Record<string, string>> = { ada: 'correct horse', bob: 'battery staple' };

async function login({ http }: Example, name: string): Promise<string> {
  const response = await fetch(`${http}/login`, { method: 'POST', body: JSON.stringify({ name, password: passwords[name] }) });
  const { token } = await response.json() as { token: string };
  return token;
}

describe('the example auth', () => {
  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('identifies the user of the token that a login returned', async () => {
    const server = await example('auth');
    const ada = await server.connect({ search: `?token=${await login(server, 'ada')}` });

    expect((await ada.request({ type: 'who' })).content).to.deep.equal({ id: 'ada', roles: ['admin'] });
  });

  it('accepts the token as a first message, and nothing else before', async () => {
    const server = await example('auth');
    const bob = await server.connect();

    const tooEarly = await bob.request({ type: 'who' });
    await bob.request({ type: 'auth', token: await login(server, 'bob') });

    expect(tooEarly.content.code).to.equal('AUTH_REQUIRED');
    expect((await bob.request({ type: 'who' })).content).to.deep.equal({ id: 'bob', roles: [] });
  });

  it('lets only admins announce and kick', async () => {
    const server = await example('auth');
    const token = await login(server, 'bob');
    const bob = await server.connect({ search: `?token=${token}` });
    const ada = await server.connect({ search: `?token=${await login(server, 'ada')}` });

    const forbidden = await bob.request({ type: 'kick', content: { user: 'ada' } });
    const announced = await ada.request({ type: 'announce', content: { title: 'Lunch' } });
    const kicked = await ada.request({ type: 'kick', content: { user: 'bob' } });
    const again = await server.connect({ search: `?token=${token}` }).catch((error: unknown) => error);

    expect(forbidden.content.code).to.equal('FORBIDDEN');
    expect(announced.content).to.deep.equal({ reached: 2 });
    expect(kicked.content).to.deep.equal({ closed: 1 });
    expect((await bob.closed).code).to.equal(4001);
    expect(again).to.include({ status: 401 });
  });

  it('returns no token for a wrong password', async () => {
    const { http } = await example('auth');

    const answers = await Promise.all(['{"name":"ada","password":"guess"}', '{"name":"constructor"}', 'not JSON'].map((body) => fetch(`${http}/login`, { method: 'POST', body })));

    expect(answers.map(({ status }) => status)).to.deep.equal([401, 401, 401]);
  });
});
