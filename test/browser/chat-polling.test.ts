import { expect } from 'chai';
import { browse } from '../support/browse.ts';
import { line, say, signIn, wide } from '../support/chat-page.ts';
import { example } from '../support/examples.ts';
import { packed } from '../support/packed.ts';
import { tool } from '../support/tools.ts';
import { webProxy } from '../support/web-proxy.ts';

const PATIENT = { timeout: 30_000 };

describe('the chat page behind a proxy that blocks WebSocket', () => {
  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('serves two people, through a restart of the server', async () => {
    const env = { JWT_SECRET: 'of thirty-two bytes, as it should be' };
    const first = await example('chat-server/server', env);
    const port = new URL(first.http).port;
    const proxy = await webProxy(Number(port), { upgrades: 'refuse' });
    const http = `http://localhost:${proxy.port}`;
    const { page: ada } = await browse(tool('chromium'), wide);
    const { page: bob } = await browse(tool('chromium'), wide);
    for (const page of [ada, bob]) page.setDefaultTimeout(15_000);
    await signIn(ada, http, 'Ada');
    await signIn(bob, http, 'Bob');

    await say(ada, 'hello Bob');
    await line(bob, 'hello Bob').waitFor();
    await say(bob, 'hello Ada');
    await line(ada, 'hello Ada').waitFor();
    await first.stop('SIGTERM');
    await say(ada, 'written while the server is away');
    await line(ada, 'while the server is away').getByText('Waiting for the connection').waitFor(PATIENT);
    await example('chat-server/server', { ...env, PORT: port });
    await line(ada, 'while the server is away').getByText('Sent').waitFor(PATIENT);
    await line(bob, 'while the server is away').waitFor(PATIENT);
    await say(bob, 'we are back');
    await line(ada, 'we are back').waitFor(PATIENT);

    const texts = await Promise.all([ada, bob].map((page) => page.getByRole('log').locator('.text').allTextContents()));
    expect(proxy.methods.filter((method) => method === 'GET').length).to.be.above(10);
    for (const shown of texts) {
      expect(shown.filter((text) => text.includes('while the server is away'))).to.have.length(1);
      expect(shown.at(-1)).to.include('we are back');
    }
  });
});
