import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { barriers } from '../support/axe.ts';
import { browse, lowContrast, picture } from '../support/browse.ts';
import { enter, field, line, narrow, say, signIn, wide } from '../support/chat-page.ts';
import { example, type Example } from '../support/examples.ts';
import { faultProxy } from '../support/fault-proxy.ts';
import { packed } from '../support/packed.ts';
import { tool } from '../support/tools.ts';

const JWT_SECRET = 'of thirty-two bytes, as it should be';
const PATIENT = { timeout: 30_000 };

const serve = (env: Readonly<Record<string, string>> = {}): Promise<Example> => example('chat-server/server', { JWT_SECRET, ...env });

async function visit(viewport: typeof wide): Promise<{ page: Page; complaints: string[] }> {
  const visitor = await browse(tool('chromium'), viewport);
  visitor.page.setDefaultTimeout(15_000);
  return visitor;
}

/** The page behind a proxy, which also carries its HTTP requests. */
async function visitThroughProxy(server: Example, viewport: typeof wide) {
  const proxy = await faultProxy(Number(new URL(server.http).port));
  return { proxy, http: `http://localhost:${proxy.port}`, ...await visit(viewport) };
}

/** Keeps the texts that the connection shows from now on. */
const RECORD_STATUS = `
  window.shown = [];
  new MutationObserver(() => shown.push(document.getElementById('status').textContent))
    .observe(document.getElementById('status'), { childList: true, characterData: true, subtree: true });
`;

describe('the chat page', () => {
  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('lets the owner of a room moderate it, and take it back, on a phone', async () => {
    const server = await serve();
    const [{ page: ada, complaints }, { page: bob }] = await Promise.all([visit(narrow), visit(narrow)]);
    await signIn(ada, server.http, 'Adelheid_Sommer_19xx');
    await signIn(bob, server.http, 'Bob');
    await say(bob, 'In the lobby Ada is no moderator.');
    await line(ada, 'no moderator').waitFor();
    const inLobby = await line(ada, 'no moderator').locator('summary').isVisible();
    await enter(ada, 'tea');
    await ada.getByText('1 person').waitFor();
    await enter(bob, 'tea');
    await say(bob, 'Hello from Bob');

    await line(ada, 'Hello from Bob').locator('summary').click();
    const found = [...await barriers(ada), ...await lowContrast(ada)];
    await ada.screenshot({ path: picture('chat-moderate') });
    await line(ada, 'Hello from Bob').getByRole('button', { name: 'Mute' }).click();
    await line(bob, 'You are muted until').waitFor();
    await say(bob, 'I object!');
    await line(bob, 'I object!').getByText('Not sent: you are muted in this room.').waitFor();
    found.push(...await barriers(bob), ...await lowContrast(bob));
    await line(ada, 'is muted for 10 minutes').getByRole('button', { name: 'Undo' }).click();
    await line(bob, 'You are no longer muted.').waitFor();
    await line(bob, 'I object!').getByRole('button', { name: 'Try again' }).click();
    await line(ada, 'I object!').waitFor();
    await line(ada, 'Hello from Bob').locator('summary').click();
    await line(ada, 'Hello from Bob').getByRole('button', { name: 'Ban' }).click();
    await line(bob, 'You were banned from this room.').waitFor();

    expect(inLobby).to.equal(false);
    expect(found).to.deep.equal([]);
    expect(await ada.evaluate('document.documentElement.scrollWidth')).to.equal(narrow.width);
    expect(complaints).to.deep.equal([]);
  });

  it('sends what was written offline when the server is back, once and in order', async () => {
    const first = await serve();
    const { page: ada } = await visit(narrow);
    await signIn(ada, first.http, 'Ada');
    await line(ada, 'Welcome to the lobby').waitFor();

    await first.stop('SIGTERM');
    await ada.getByText('There is no connection.').waitFor();
    await say(ada, 'written offline');
    await say(ada, 'a mistake');
    await say(ada, 'and another');
    await line(ada, 'written offline').getByText('Waiting for the connection').waitFor();
    await line(ada, 'a mistake').getByRole('button', { name: 'Delete' }).click();
    const found = [...await barriers(ada), ...await lowContrast(ada)];
    await ada.screenshot({ path: picture('chat-offline') });
    const second = await serve({ PORT: new URL(first.http).port });
    await ada.getByRole('button', { name: 'Connect now' }).click();
    await line(ada, 'and another').getByText('Sent').waitFor(PATIENT);
    const { page: bob } = await visit(wide);
    await signIn(bob, second.http, 'Bob');
    await line(bob, 'and another').waitFor();

    const [own, others] = await Promise.all([ada, bob].map((page) => page.getByRole('log').locator('.text').allTextContents()));
    expect(own).to.deep.equal(['written offline', 'and another']);
    expect(others).to.deep.equal(own);
    expect(found).to.deep.equal([]);
  });

  it('does not show an interruption of less than two seconds, and shows a longer one', async () => {
    const server = await serve();
    const { page, proxy, http } = await visitThroughProxy(server, wide);
    await signIn(page, http, 'Ada');
    await page.evaluate(RECORD_STATUS);

    proxy.reset();
    await say(page, 'through the blip');
    await line(page, 'through the blip').getByText('Sent').waitFor(PATIENT);
    const afterBlip = await page.evaluate<string[]>('shown');
    proxy.swallow();
    proxy.reset();
    await page.getByText('Reconnecting …', { exact: true }).waitFor(PATIENT);
    proxy.heal();
    proxy.reset();
    await page.getByText('Online', { exact: true }).waitFor(PATIENT);

    expect(afterBlip).to.deep.equal([]);
    expect(await page.evaluate('[shown[0], shown.at(-1)]')).to.deep.equal(['Reconnecting …', 'Online']);
  });

  it('shows what others wrote while the connection was lost', async () => {
    const server = await serve();
    const { page: ada, proxy, http } = await visitThroughProxy(server, wide);
    const { page: bob } = await visit(narrow);
    await signIn(ada, http, 'Ada');
    await signIn(bob, server.http, 'Bob');
    await line(ada, 'Bob joined.').waitFor();

    proxy.swallow();
    proxy.reset();
    for (const text of ['one', 'two', 'three']) await say(bob, `missed ${text}`);
    await line(bob, 'missed three').getByText('Sent').waitFor();
    proxy.heal();
    proxy.reset();
    await line(ada, 'missed three').waitFor(PATIENT);

    expect(await ada.getByRole('log').locator('.text').allTextContents()).to.deep.equal(['missed one', 'missed two', 'missed three']);
  });

  it('loads older messages when scrolling up, and keeps the place', async () => {
    const server = await serve();
    const { token } = await (await fetch(`${server.http}/api/auth`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username: 'Carl', password: 'a long password' }),
    })).json() as { token: string };
    const carl = await server.connect({ path: '/chat' });
    await carl.request({ type: 'auth', token });
    await carl.request({ type: 'join-room', roomId: 'lobby' });
    // As many as the rate of the room allows. The rate of a connection asks for short pauses.
    for (let number = 0; number < 60;) {
      const { type, content } = await carl.request({ type: 'chat-message', roomId: 'lobby', content: `message ${number}` });
      if (type !== 'error') number++;
      else if (content.code === 'RATE_LIMITED' && content.scope === 'connection') await delay(content.retryAfter);
      else throw new Error(JSON.stringify(content));
    }
    const { page } = await visit(wide);
    await signIn(page, server.http, 'Ada');
    await line(page, 'message 59').waitFor();

    const before = await page.getByRole('log').locator('.text').count();
    await page.evaluate('document.getElementById("scroll").scrollTop = 0');
    await line(page, 'message 0').first().waitFor();
    const texts = await page.getByRole('log').locator('.text').allTextContents();
    const scrollTop = await page.evaluate<number>('document.getElementById("scroll").scrollTop');
    await say(page, 'my own');
    await line(page, 'my own').getByText('Sent').waitFor();

    expect(before).to.equal(50);
    expect(texts).to.deep.equal(Array.from({ length: 60 }, (_, number) => `message ${number}`));
    expect(scrollTop, 'the lines that were visible stay').to.be.above(50);
    expect(await page.getByText('This is the beginning of # lobby').count()).to.equal(1);
  });

  it('reads a burst of messages out once, and the list by itself not at all', async () => {
    const server = await serve();
    const [{ page: ada }, { page: bob }] = await Promise.all([visit(wide), visit(narrow)]);
    await signIn(ada, server.http, 'Ada');
    await signIn(bob, server.http, 'Bob');
    await ada.evaluate(`
      window.spoken = [];
      new MutationObserver(() => spoken.push(document.getElementById('announcer').textContent))
        .observe(document.getElementById('announcer'), { childList: true });
    `);

    await bob.evaluate(`{
      const [text, form] = ['text', 'composer'].map((id) => document.getElementById(id));
      for (let count = 1; count <= 5; count++) {
        text.value = 'number ' + count;
        form.requestSubmit();
      }
    }`);
    await ada.getByText('5 new messages.').waitFor({ state: 'attached' });

    expect(await ada.evaluate('spoken')).to.deep.equal(['5 new messages. The last one: Bob: number 5']);
    expect(await ada.getByRole('log').getAttribute('aria-live')).to.equal('off');
  });

  it('can be used with the keyboard alone', async () => {
    const server = await serve();
    const { page } = await visit(narrow);
    await page.goto(server.http);
    await page.keyboard.type('Ada');
    await page.keyboard.press('Tab');
    await page.keyboard.type('a long password');
    await page.keyboard.press('Enter');
    await line(page, 'Welcome to the lobby').waitFor();

    await page.getByRole('button', { name: 'Rooms and people' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('navigation').waitFor();
    await page.keyboard.press('Escape');
    const isClosed = await page.getByRole('navigation').isHidden();
    const focused = await page.evaluate('document.activeElement.id');
    await field(page).focus();
    await page.keyboard.type('first line');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('second line');
    await page.keyboard.press('Enter');
    await line(page, 'first line').getByText('Sent').waitFor();

    expect([isClosed, focused]).to.deep.equal([true, 'menu']);
    expect(await page.getByRole('log').locator('.text').allTextContents()).to.deep.equal(['first line\nsecond line']);
  });

  it('asks to sign in again when the session is over, and explains a rejected name or password', async () => {
    const first = await serve();
    const { page } = await visit(narrow);
    await fetch(`${first.http}/api/auth`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username: 'Bob', password: 'correct horse' }),
    });

    await page.goto(first.http);
    await page.getByLabel('Name', { exact: true }).fill('Bob');
    await page.getByLabel('Password').fill('battery staple');
    await page.getByLabel('Password').press('Enter');
    await page.getByText('This name is taken').waitFor();
    const found = [...await barriers(page), ...await lowContrast(page)];
    await page.getByLabel('Password').fill('correct horse');
    await page.getByLabel('Password').press('Enter');
    await line(page, 'Welcome to the lobby').waitFor();
    await page.reload();
    await line(page, 'Welcome to the lobby').waitFor();
    await first.stop('SIGTERM');
    await example('chat-server/server', { PORT: new URL(first.http).port });
    await page.getByText('Your session is over. Please sign in again.').waitFor(PATIENT);
    await page.screenshot({ path: picture('chat-sign-in') });

    expect(found).to.deep.equal([]);
    expect(await page.getByLabel('Name', { exact: true }).inputValue()).to.equal('Bob');
  });

  it('renews a token that expires, on the same connection', async () => {
    const server = await serve({ SESSION_TIME: '5s' });
    const { page, proxy, http } = await visitThroughProxy(server, wide);
    let renewals = 0;
    page.on('response', (response) => { if (response.url().endsWith('/api/refresh') && response.ok()) renewals++; });
    const sockets: string[] = [];
    page.on('websocket', (socket) => sockets.push(socket.url()));
    await signIn(page, http, 'Ada');

    // Two renewals: the first token has expired by then.
    for (let count = 0; count < 2; count++) await page.waitForResponse((response) => response.url().endsWith('/api/refresh'), PATIENT);
    await say(page, 'still here');
    await line(page, 'still here').getByText('Sent').waitFor();

    expect(renewals).to.be.at.least(2);
    expect(sockets).to.have.length(1);
    expect(proxy.count).to.be.above(0);
  });

  it('works behind a slow network, on a narrow page', async () => {
    const server = await serve();
    const { page, proxy, http } = await visitThroughProxy(server, narrow);
    proxy.delay(150);
    proxy.throttle(50_000);

    await signIn(page, http, 'Ada');
    await say(page, 'slow and steady');
    await line(page, 'slow and steady').getByText('Sent').waitFor();

    expect(await page.evaluate('document.documentElement.scrollWidth')).to.equal(narrow.width);
  });
});
