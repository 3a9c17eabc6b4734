import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { browse, lowContrast, picture } from '../support/browse.ts';
import { example, type Example } from '../support/examples.ts';
import { packed } from '../support/packed.ts';
import { tool } from '../support/tools.ts';

const wide = { width: 1_100, height: 760 };
const narrow = { width: 360, height: 720 };

/** Signs in on the page. */
async function signIn(page: Page, { http }: Example, username: string): Promise<void> {
  await page.goto(http);
  await page.getByLabel('Name', { exact: true }).fill(username);
  await page.getByLabel('Password').fill(`the password of ${username}`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('online', { exact: true }).waitFor();
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.getByLabel('Message', { exact: true }).press('Enter');
}

const line = (page: Page, text: string) => page.getByRole('log').locator('li').filter({ hasText: text });

describe('the page of the example chat-server, in a browser', function () {
  this.timeout(40_000);

  before(async function () {
    this.timeout(120_000);
    await packed();
  });

  it('lets two users chat in rooms and in private, and shows markup as text', async function () {
    const chromium = tool('chromium');
    const server = await example('chat-server/server');
    const [{ page: ada, complaints }, { page: bob, complaints: others }] = await Promise.all([browse(chromium, wide), browse(chromium, narrow)]);
    const markup = '<img src=x onerror="document.title=\'gone\'">';

    // In the lobby.
    await signIn(ada, server, 'Ada');
    await line(ada, 'Welcome to the lobby').waitFor();
    await say(ada, 'Is anybody here?');
    await line(ada, 'Is anybody here?').waitFor();
    await signIn(bob, server, 'Bob');
    await line(bob, 'Is anybody here?').waitFor();
    await line(ada, 'Bob joined.').waitFor();
    await bob.getByLabel('Message', { exact: true }).pressSequentially(markup);
    await ada.getByText('Bob is typing …').waitFor();
    await bob.getByRole('button', { name: 'Send' }).click();
    await line(ada, markup).waitFor();
    await say(bob, 'Buy my s p a m!');
    await line(ada, 'Buy my ****!').waitFor();
    await line(bob, 'warning 1 of 3').waitFor();
    // In a room of their own.
    await ada.getByLabel('Name of a room').fill('tea');
    await ada.getByRole('button', { name: 'Join' }).click();
    await ada.getByText('1 here').waitFor();
    await bob.getByRole('button', { name: 'Rooms' }).click();
    await bob.getByRole('button', { name: '# tea' }).click();
    await ada.getByText('2 here').waitFor();
    await say(bob, 'With milk?');
    await line(ada, 'With milk?').waitFor();
    // In private.
    await ada.getByRole('button', { name: 'Bob' }).click();
    await say(ada, 'A word between us.');
    await line(ada, 'A word between us.').getByText('delivered').waitFor();
    await bob.getByRole('button', { name: 'Rooms' }).click();
    await bob.getByRole('button', { name: 'Ada 1 unread' }).click();
    await line(bob, 'A word between us.').waitFor();
    await line(ada, 'A word between us.').getByText('read').waitFor();
    await say(bob, 'I am all ears, and this line is long enough to be broken on a telephone, if not elsewhere.');
    await line(ada, 'all ears').waitFor();
    await ada.getByRole('button', { name: '# lobby' }).click();
    const entries = await ada.getByRole('navigation').locator('li').allTextContents();
    await Promise.all([ada.screenshot({ path: picture('chat-wide') }), bob.screenshot({ path: picture('chat-narrow') })]);

    expect(entries).to.deep.equal(['# lobby', '# tea', 'Bob']);
    expect(await ada.title()).to.equal('Chat');
    expect(await bob.evaluate('document.documentElement.scrollWidth')).to.equal(narrow.width);
    expect([...complaints, ...others]).to.deep.equal([]);
  });

  it('fits on a phone, and lets the owner of a room moderate it', async function () {
    const chromium = tool('chromium');
    const server = await example('chat-server/server');
    const [{ page: ada, complaints }, { page: bob }] = await Promise.all([browse(chromium, narrow), browse(chromium, narrow)]);
    await signIn(ada, server, 'Adelheid_Sommer_19xx');
    await signIn(bob, server, 'Bob');
    await line(bob, 'Welcome to the lobby').waitFor();
    const contrasts = [await lowContrast(ada)];
    const open = async (page: Page, room: string) => {
      await page.getByRole('button', { name: 'Rooms and people' }).click();
      await page.getByLabel('Name of a room').fill(room);
      await page.getByRole('button', { name: 'Join' }).click();
    };

    await say(bob, 'In the lobby Ada is no moderator.');
    await line(ada, 'no moderator').waitFor();
    const inLobby = await line(ada, 'no moderator').locator('summary').isVisible();
    await open(ada, 'tea');
    await ada.getByText('1 here').waitFor();
    await open(bob, 'tea');
    await say(bob, 'Hello from Bob');
    await line(ada, 'Hello from Bob').locator('summary').click();
    contrasts.push(await lowContrast(ada));
    await ada.screenshot({ path: picture('chat-moderate') });
    await line(ada, 'Hello from Bob').getByRole('button', { name: 'Mute' }).click();
    await line(bob, 'You are muted until').waitFor();
    await line(ada, 'Bob is muted for 10 minutes.').waitFor();
    const header = await ada.locator('header').boundingBox();

    expect(inLobby).to.be.false;
    expect(contrasts).to.deep.equal([[], []]);
    expect(header?.height, 'one line').to.be.below(64);
    expect(await ada.evaluate('document.documentElement.scrollWidth')).to.equal(narrow.width);
    expect(complaints).to.deep.equal([]);
  });

  it('reconnects when the server is back, and keeps the text that was written', async function () {
    const { page } = await browse(tool('chromium'), wide);
    const first = await example('chat-server/server', { JWT_SECRET: 'of thirty-two bytes, as it should be' });
    await signIn(page, first, 'Ada');
    await line(page, 'Welcome to the lobby').waitFor();
    await page.getByLabel('Message', { exact: true }).fill('not sent yet');

    await first.stop('SIGTERM');
    await line(page, 'The server restarts.').waitFor();
    await page.getByText('offline', { exact: true }).waitFor();
    const disabled = await page.getByRole('button', { name: 'Send' }).isDisabled();
    await page.getByLabel('Message', { exact: true }).press('Enter');
    await page.getByText('You are offline. Your message stays here').waitFor();
    await page.screenshot({ path: picture('chat-offline') });
    const contrast = await lowContrast(page);
    await example('chat-server/server', { JWT_SECRET: 'of thirty-two bytes, as it should be', PORT: new URL(first.http).port });
    await page.getByText('online', { exact: true }).waitFor({ timeout: 15_000 });
    await page.getByRole('button', { name: 'Send' }).click();
    await line(page, 'not sent yet').waitFor();

    expect(disabled).to.be.true;
    expect(contrast).to.deep.equal([]);
  });

  it('shows the sign-in form again when the session is unknown', async function () {
    const { page } = await browse(tool('chromium'), narrow);
    const first = await example('chat-server/server');
    await signIn(page, first, 'Ada');

    await first.stop('SIGTERM');
    await example('chat-server/server', { PORT: new URL(first.http).port });

    await page.getByText('Your session is over. Please sign in again.').waitFor({ timeout: 15_000 });
    await page.screenshot({ path: picture('chat-sign-in') });
    expect(await page.getByLabel('Name', { exact: true }).inputValue()).to.equal('Ada');
  });

  it('explains a rejected name or password, and stays signed in after a reload', async function () {
    const { page, complaints } = await browse(tool('chromium'), wide);
    const server = await example('chat-server/server');
    await fetch(`${server.http}/api/auth`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username: 'Bob', password: 'correct horse' }),
    });

    await page.goto(server.http);
    await page.getByLabel('Name', { exact: true }).fill('Bob');
    await page.getByLabel('Password').fill('battery staple');
    await page.getByLabel('Password').press('Enter');
    await page.getByText('This name is taken').waitFor();
    await page.getByLabel('Password').fill('correct horse');
    await page.getByLabel('Password').press('Enter');
    await line(page, 'Welcome to the lobby').waitFor();
    await page.reload();
    await line(page, 'Welcome to the lobby').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.reload();

    expect(await page.getByRole('button', { name: 'Sign in' }).isVisible()).to.be.true;
    // The browser's own, of the 401.
    expect(complaints).to.have.length(1);
  });
});
