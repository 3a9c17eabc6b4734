import { createServer } from 'node:net';
import { once } from 'node:events';
import { expect } from 'chai';
import { barriers } from '../support/axe.ts';
import { browse, lowContrast, picture } from '../support/browse.ts';
import { cleanup } from '../support/cleanup.ts';
import { example } from '../support/examples.ts';
import { packed } from '../support/packed.ts';
import { tool } from '../support/tools.ts';

describe('the example basic-usage', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('echoes a text, and answers what it cannot handle', async () => {
    const { connect } = await example('basic-usage');
    const client = await connect();

    const echo = await client.request({ type: 'text', content: { text: 'Hello' } });
    const refusal = await client.request({ type: 'nope', content: {} });

    expect(echo).to.include({ type: 'text' });
    expect(echo.content.text).to.equal('Echo: Hello');
    expect(new Date(echo.content.timestamp).toISOString()).to.equal(echo.content.timestamp);
    expect(refusal.content.code).to.equal('UNKNOWN_TYPE');
  });

  it('serves its page, health and metrics, and nothing else', async () => {
    const { http } = await example('basic-usage');

    const [page, health, metrics, other] = await Promise.all(['/', '/api/websocket/health', '/api/websocket/metrics', '/other'].map((path) => fetch(http + path)));

    expect(page?.headers.get('content-type')).to.equal('text/html; charset=utf-8');
    expect(await health?.json()).to.include({ status: 'healthy' });
    expect(await metrics?.json()).to.have.property('messages');
    expect(other?.status).to.equal(404);
  });

  it('exits with code 0 on SIGTERM, and tells its clients when to reconnect', async () => {
    const { connect, stop } = await example('basic-usage');
    const client = await connect();

    const [{ code }, closed] = await Promise.all([stop('SIGTERM'), client.closed]);

    expect(closed.code).to.equal(4200);
    expect(closed.reason).to.match(/^retry=\d+$/);
    expect(code).to.equal(0);
  });

  it('prints the remedy when its port is taken', async () => {
    const other = createServer().listen(0);
    cleanup(() => other.close());
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const file = new URL('../../examples/basic-usage.js', import.meta.url).href;

    const { code, stderr } = await (await packed()).run(`await import(${JSON.stringify(file)});`, { env: { PORT: String(port) } });

    expect(stderr).to.equal(`Port ${port} is taken; choose another one: PORT=3002 npm start\n`);
    expect(code).to.equal(1);
  });

  describe('its page, in a browser', () => {
    it('connects, sends, and shows replies, errors with their codes, and live metrics', async function () {
      const { page, complaints } = await browse(tool('chromium'), { width: 1_180, height: 900 });
      const { http } = await example('basic-usage');
      const state = page.locator('#state');
      const entries = page.locator('#log li');
      const figure = (name: string) => page.locator(`dt:text-is("${name}") + dd`);

      await page.goto(http);
      await page.getByRole('button', { name: 'Connect' }).click();
      await state.getByText('connected', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Send' }).click();
      await entries.filter({ hasText: 'Echo: Hello' }).filter({ hasText: /answered in [\d.]+ ms/ }).waitFor();
      await page.getByLabel('Content').fill('{ "text": ');
      await page.getByRole('button', { name: 'Send' }).click();
      await page.getByText('The content is not JSON').waitFor();
      await page.getByLabel('Content').fill('{ "text": "<b>two</b>" }');
      await page.getByLabel('Content').press('Control+Enter');
      await entries.filter({ hasText: 'Echo: <b>two</b>' }).waitFor();
      for (const [name, code] of [['unknown type', 'UNKNOWN_TYPE'], ['server-only type', 'SERVER_ONLY'], ['not JSON', 'INVALID_JSON']] as const) {
        await page.getByRole('button', { name }).click();
        await entries.getByText(code, { exact: true }).waitFor();
      }
      await page.getByRole('button', { name: 'ping' }).click();
      await entries.filter({ hasText: 'pong' }).waitFor();
      await figure('Connected now').getByText('1', { exact: true }).waitFor();
      await figure('UNKNOWN_TYPE').getByText('1', { exact: true }).waitFor();
      await page.locator('#health').getByText('healthy').waitFor();
      await page.screenshot({ path: picture('wide') });
      await page.getByRole('button', { name: 'Disconnect' }).click();
      await entries.getByText('Closed with code 1000').waitFor();
      await state.getByText('not connected').waitFor();
      await figure('Connected now').getByText('0', { exact: true }).waitFor();
      await page.getByLabel('Address').fill(`${http.replace('http', 'ws')}/nowhere`);
      await page.getByRole('button', { name: 'Connect' }).click();
      await entries.getByText('Check the address and its path').waitFor();
      await page.getByRole('button', { name: 'Disconnect' }).click();

      expect(await page.getByRole('button', { name: 'Send' }).isDisabled()).to.be.true;
      // The browser's own, of the path that does not exist: one for each attempt.
      expect(complaints).not.to.be.empty;
      for (const complaint of complaints) expect(complaint).to.match(/nowhere.+404/);
    });

    it('fits on a phone, and loads nothing from other hosts', async function () {
      const { page, complaints } = await browse(tool('chromium'), { width: 360, height: 780 });
      const { http } = await example('basic-usage');
      const asked = new Set<string>();
      page.on('request', (request) => asked.add(new URL(request.url()).origin));

      await page.goto(http);
      const title = await page.locator('h1').boundingBox();
      const contrasts = [await lowContrast(page)];
      await page.getByRole('button', { name: 'Connect' }).click();
      await page.getByRole('button', { name: 'unknown type' }).click();
      await page.locator('#log li').filter({ hasText: 'UNKNOWN_TYPE' }).waitFor();
      contrasts.push(await lowContrast(page), await barriers(page));
      await page.getByRole('button', { name: 'init' }).click();
      const reply = page.locator('#log li').filter({ hasText: 'supportedTypes' });
      await reply.waitFor();
      const box = await reply.boundingBox();
      await page.locator('#health').getByText('healthy').waitFor();
      const width = await page.evaluate('document.documentElement.scrollWidth');
      await page.screenshot({ path: picture('narrow'), fullPage: true });

      expect(width).to.equal(360);
      expect(title?.height, 'one line').to.be.below(40);
      expect(box!.y, 'the reply is in view').to.be.within(0, 780 - 40);
      expect(contrasts).to.deep.equal([[], [], []]);
      expect([...asked].filter((origin) => origin !== 'null')).to.deep.equal([http]);
      expect(complaints).to.deep.equal([]);
    });

    it('shows when the server stops', async function () {
      const { page } = await browse(tool('chromium'), { width: 1_180, height: 900 });
      const { http, stop } = await example('basic-usage');

      await page.goto(http);
      await page.getByRole('button', { name: 'Connect' }).click();
      await page.locator('#state').getByText('connected', { exact: true }).waitFor();
      await stop('SIGTERM');

      await page.locator('#log li').filter({ hasText: /Closed with code 4200: retry=\d+/ }).waitFor();
      await page.locator('#health').getByText('unreachable').waitFor();
      await page.locator('#state').getByText('reconnecting').waitFor();
      await page.getByText('How it came here').click();
      await page.locator('#steps').getByText(/waiting: .*4200/).waitFor();
    });
  });
});
