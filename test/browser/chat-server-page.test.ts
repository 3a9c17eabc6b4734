import { expect } from 'chai';
import { barriers } from '../support/axe.ts';
import { browse, lowContrast, picture } from '../support/browse.ts';
import { enter, field, line, narrow, say, signIn, wide } from '../support/chat-page.ts';
import { example } from '../support/examples.ts';
import { packed } from '../support/packed.ts';
import { tool } from '../support/tools.ts';

// The rest of the page is tested in test/browser.
describe('the page of the example chat-server, in a browser', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('lets two users chat in rooms and in private, and shows markup as text', async function () {
    const chromium = tool('chromium');
    const server = await example('chat-server/server');
    const [{ page: ada, complaints }, { page: bob, complaints: others }] = await Promise.all([browse(chromium, wide), browse(chromium, narrow)]);
    const markup = '<img src=x onerror="document.title=\'gone\'">';

    // In the lobby.
    await signIn(ada, server.http, 'Ada');
    await line(ada, 'Welcome to the lobby').waitFor();
    await say(ada, 'Is anybody here?');
    await line(ada, 'Is anybody here?').getByText('Sent').waitFor();
    await signIn(bob, server.http, 'Bob');
    await line(bob, 'Is anybody here?').waitFor();
    await line(ada, 'Bob joined.').waitFor();
    await field(bob).pressSequentially(markup);
    await ada.getByText('Bob is typing …').waitFor();
    await bob.getByRole('button', { name: 'Send' }).click();
    await line(ada, markup).waitFor();
    await say(bob, 'Buy my s p a m!');
    await line(ada, 'Buy my ****!').waitFor();
    await line(bob, 'warning 1 of 3').waitFor();
    const masked = await line(bob, 'Buy my').allTextContents();
    // In a room of their own.
    await enter(ada, 'tea');
    await ada.getByText('1 person').waitFor();
    await bob.getByRole('button', { name: 'Rooms and people' }).click();
    await bob.getByRole('button', { name: '# tea' }).click();
    await ada.getByText('2 people').waitFor();
    await say(bob, 'With milk?');
    await line(ada, 'With milk?').waitFor();
    // In private.
    await ada.getByRole('button', { name: 'Bob', exact: true }).click();
    await say(ada, 'A word between us.');
    await line(ada, 'A word between us.').getByText('Delivered').waitFor();
    await bob.getByRole('button', { name: 'Rooms and people, 1 unread' }).click();
    await bob.getByRole('button', { name: 'Ada 1 unread' }).click();
    await line(bob, 'A word between us.').waitFor();
    await line(ada, 'A word between us.').getByText('Read').waitFor();
    await say(bob, 'I am all ears, and this line is long enough to be broken on a telephone, if not elsewhere.');
    await line(ada, 'all ears').waitFor();
    await ada.getByRole('button', { name: '# lobby' }).click();
    const entries = await ada.getByRole('navigation').locator('li .name').allTextContents();
    const found = (await Promise.all([ada, bob].map(async (page) => [...await barriers(page), ...await lowContrast(page)]))).flat();
    await Promise.all([ada.screenshot({ path: picture('chat-wide') }), bob.screenshot({ path: picture('chat-narrow') })]);

    expect(masked).to.have.length(1);
    expect(entries).to.deep.equal(['lobby', 'tea', 'Bob']);
    expect(await ada.title()).to.equal('Chat');
    expect(await bob.evaluate('document.documentElement.scrollWidth')).to.equal(narrow.width);
    expect(found).to.deep.equal([]);
    expect([...complaints, ...others]).to.deep.equal([]);
  });
});
