import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { cleanup, cleanupOfFile } from './cleanup.ts';

const pictures = fileURLToPath(new URL('../../.tmp/screenshots/', import.meta.url));

const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

let shared: Promise<Browser> | undefined;

/** One browser for the tests of a file: starting it takes longer than most of them. */
function browserOfFile(executablePath: string): Promise<Browser> {
  shared ??= chromium.launch({ executablePath, args: flags }).then((browser) => {
    cleanupOfFile(async () => {
      shared = undefined;
      await browser.close();
    });
    return browser;
  });
  return shared;
}

/**
 * A page in a real browser, and the errors and warnings of its console. It shares no cookies, storage or cache with
 * other pages. Closed when the test is over.
 */
export async function browse(
  executablePath: string, viewport: { width: number; height: number },
): Promise<{ page: Page; complaints: string[] }> {
  const browser = await browserOfFile(executablePath);
  const context = await browser.newContext({ viewport });
  cleanup(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.setDefaultTimeout(5_000);
  return { page, complaints };
}

/** Where a screenshot goes, for a reader who wants to look. */
export function picture(name: string): string {
  mkdirSync(pictures, { recursive: true });
  return join(pictures, `${name}.png`);
}
