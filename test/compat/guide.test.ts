import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import ts from 'typescript';
import type { Page } from 'playwright-core';
import { root } from '../support/sources.ts';
import { browse } from '../support/browse.ts';
import { cleanup } from '../support/cleanup.ts';
import { connect, UpgradeRefused } from '../support/client.ts';
import { blocks, documents } from '../support/documents.ts';
import { packed } from '../support/packed.ts';
import { serve, type Serving } from '../support/snippets.ts';
import { tool } from '../support/tools.ts';

const guide = 'INTEGRATION_GUIDE.md';

/** A block of the guide, by its name, as JavaScript. */
function example(name: string): string {
  const found = blocks(guide).find(({ info }) => info === `run ${name}`);
  if (!found) throw new Error(`${guide} has no example "${name}"`);
  if (found.language !== 'ts') return found.code;
  const { ESNext: module } = ts.ModuleKind;
  return ts.transpileModule(found.code, { compilerOptions: { module, target: ts.ScriptTarget.ES2023 } }).outputText;
}

describe('the integration guide', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  for (const version of ['express', 'express4']) {
    it(`adds WebSockets to ${version}, whose routes reach the clients`, async () => {
      const { http, connect: join } = await serve('esm', example('express').replace('\'express\'', `'${version}'`));
      const client = await join();

      const echo = await client.request({ type: 'text', content: { text: 'Hello' } });
      const health = await fetch(`${http}/api/websocket/health`);
      const posted = await fetch(
        `${http}/api/announcements`,
        { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"title":"Lunch"}' },
      );

      expect(echo.content).to.deep.equal({ text: 'Echo: Hello' });
      expect(await health.json()).to.include({ status: 'healthy' });
      expect(await posted.json()).to.deep.equal({ reached: 1 });
      expect((await client.next('announcement')).content).to.deep.equal({ title: 'Lunch' });
    });
  }

  it('shares a session of Express\'s', async () => {
    const { connect: join } = await serve('esm', example('express-session'));
    const ada = await join({ headers: { cookie: 'user=ada' } });
    const anonymous = await join();

    expect((await ada.request({ type: 'who' })).content).to.equal('ada');
    expect(await anonymous.closed).to.deep.equal({ code: 4001, reason: 'AUTH_REQUIRED: authentication is required' });
  });

  it('adds WebSockets to Fastify, which closes in order', async () => {
    const after = 'process.on(\'SIGTERM\', () => app.close().then(() => console.log(\'closed\')));';
    const { http, connect: join, stop } = await serve('esm', example('fastify'), { after });
    const client = await join();

    const echo = await client.request({ type: 'text', content: { text: 'Hello' } });
    const health = await (await fetch(`${http}/api/websocket/health`, { headers: { connection: 'close' } })).json();
    const [{ code, stdout }, closed] = await Promise.all([stop('SIGTERM'), client.closed]);

    expect(echo.content).to.deep.equal({ text: 'Echo: Hello' });
    expect(health).to.include({ status: 'healthy' });
    expect(closed.code).to.equal(4200);
    expect(stdout).to.match(/closed\n$/);
    expect(code).to.equal(0);
  });

  for (const name of ['http', 'port']) {
    it(`serves on a server of its own (${name})`, async () => {
      const { connect: join } = await serve('esm', example(name));
      const client = await join();

      expect((await client.request({ type: 'text', content: { text: 'Hello' } })).content).to.deep.equal({
        text: 'Echo: Hello',
      });
    });
  }

  it('works with require', async () => {
    const { connect: join } = await serve('cjs', example('commonjs'));
    const client = await join();

    expect((await client.request({ type: 'text', content: { text: 'Hello' } })).content).to.deep.equal({
      text: 'Echo: Hello',
    });
    expect((await client.request({ type: 'text', content: { text: 'x'.repeat(9_000) } })).content.code).to.equal('MESSAGE_TOO_LONG');
  });

  it('puts several managers on one server', async () => {
    const { port } = await serve('esm', example('several'));
    const client = await connect(`ws://127.0.0.1:${port}/chat`);
    const admin = await connect(`ws://127.0.0.1:${port}/admin`);

    const reply = await admin.request({ type: 'announce', content: { title: 'Lunch' } });
    const elsewhere = await connect(`ws://127.0.0.1:${port}/ws`).catch((error: unknown) => error as UpgradeRefused);

    expect(reply.content).to.deep.equal({ reached: 1 });
    expect((await client.next('announcement')).content).to.deep.equal({ title: 'Lunch' });
    expect(elsewhere).to.be.instanceOf(UpgradeRefused).and.to.include({ status: 404 });
  });

  it('works beside a bare ws server', async () => {
    const { port } = await serve('esm', example('beside'));
    const old = await connect(`ws://127.0.0.1:${port}/old`);
    const client = await connect(`ws://127.0.0.1:${port}/ws`);

    await old.send('hello');

    expect(await old.next()).to.deep.equal({ type: 'not-json', content: 'old echo: hello' });
    expect((await client.request({ type: 'ping' })).type).to.equal('pong');
  });

  it('migrates a bare ws server whose clients stay as they are', async () => {
    const { connect: join } = await serve('esm', example('migrated'));
    const [one, other] = [await join(), await join()];

    await one.send({ type: 'say', text: 'hello' });

    expect(await other.next('said')).to.include({ text: 'hello' });
    expect(await one.next('said')).to.include({ text: 'hello' });
  });

  it('keeps rooms by hand, apart from what is a user\'s', async () => {
    const { connect: join } = await serve('esm', example('topics'));
    const [one, other] = [await join(), await join()];
    await one.request({ type: 'join', room: 'lobby' });
    await other.request({ type: 'join', room: 'lobby' });

    await one.send({ type: 'talk', room: 'lobby', text: 'hello' });
    const refused = await one.request({ type: 'join', room: 'user:ada' });

    expect(await other.next('talk')).to.include({ room: 'lobby', text: 'hello' });
    expect(refused.content).to.include({ code: 'ROOM_UNKNOWN' });
  });

  it('shuts down gracefully', async () => {
    const { connect: join, stop } = await serve('esm', example('graceful'));
    const client = await join();

    const [{ code }, closed] = await Promise.all([stop('SIGTERM'), client.closed]);

    expect(code).to.equal(0);
    expect(closed.code).to.equal(4200);
  });
});

/**
 * Serves an example, and opens the page that its document gives for it. A client that sends `restart` closes all
 * connections as a restart does.
 */
async function open(file: string, info: string, chromium: string): Promise<{ page: Page; complaints: string[]; server: Serving }> {
  mkdirSync(join(root, '.tmp'), { recursive: true });
  const folder = mkdtempSync(join(root, '.tmp', 'page-'));
  cleanup(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'index.html'), blocks(file).find(({ language }) => language === 'html')!.code);
  const after = `process.chdir(${JSON.stringify(folder)});
  manager.registerHandler('restart', () => {
    for (const connection of manager.connections.values()) connection.close(4200, 'retry=0');
  });`;
  const server = await serve('esm', blocks(file).find((block) => block.info === info)!.code, { after });
  const { page, complaints } = await browse(chromium, { width: 800, height: 600 });
  await page.addInitScript(() => { Math.random = () => 0; });
  await page.goto(server.http);
  await page.getByText('Status: connected').waitFor();
  return { page, complaints, server };
}

describe('a page with reconnection, in a browser', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  for (const { file, info, button, prefix } of [
    { file: 'README.md', info: 'run', button: 'Send', prefix: 'text: Echo: ' },
    { file: guide, info: 'run page', button: 'Post', prefix: '' },
  ]) {
    it(`exchanges messages again after the server closed its connection (${file})`, async function () {
      const { page, complaints, server } = await open(file, info, tool('chromium'));
      const say = async (text: string) => {
        await page.getByLabel('Text').fill(text);
        await page.getByRole('button', { name: button }).click();
        await page.getByText(`${prefix}${text}`, { exact: true }).waitFor();
      };
      await say('one');

      const reconnected = page.waitForEvent('websocket');
      await (await server.connect()).send({ type: 'restart' });
      await reconnected;
      await page.getByText('Status: connected').waitFor();
      await say('two');

      expect(complaints).to.deep.equal([]);
    });
  }
});

describe('the examples in the documents', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  for (const file of ['README.md', 'docs/API.md']) {
    for (const [index, { code, heading }] of blocks(file).filter(({ info }) => info.startsWith('run')).entries()) {
      it(`serve: ${file}, ${heading}${index > 0 ? `, ${index + 1}` : ''}`, async () => {
        const { connect: join } = await serve('esm', code);
        const client = await join();

        expect((await client.request({ type: 'ping' })).type).to.equal('pong');
      });
    }
  }

  it('are all JavaScript or TypeScript that can be read', () => {
    const wrong = documents().flatMap((file) => blocks(file).filter(({ language }) => ['js', 'cjs', 'ts'].includes(language)).flatMap(({ code, heading }) => {
      const compilerOptions = { target: ts.ScriptTarget.ESNext, experimentalDecorators: true };
      const { diagnostics = [] } = ts.transpileModule(code, { reportDiagnostics: true, compilerOptions });
      return diagnostics.map(
        ({ messageText }) => `${file}, ${heading}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
      );
    }));

    expect(wrong).to.deep.equal([]);
  });

  it('that run are all tested', () => {
    // Those for Jest are run beside it, in test/compat.
    const named = blocks(guide).map(({ info }) => info).filter((info) => info !== '' && !info.startsWith('jest '))
      .map((info) => info.replace('run ', ''));

    expect(named).to.have.members([
      'express',
      'express-session',
      'fastify',
      'http',
      'port',
      'page',
      'commonjs',
      'several',
      'beside',
      'migrated',
      'topics',
      'graceful',
    ]);
  });
});
