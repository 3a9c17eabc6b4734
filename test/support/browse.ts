import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Page } from 'playwright-core';
import { cleanup } from './cleanup.ts';

const pictures = fileURLToPath(new URL('../../.tmp/screenshots/', import.meta.url));

const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync',
];

/** A real browser's page, and what its console complained of. Closed when the test is over. */
export async function browse(executablePath: string, viewport: { width: number; height: number }): Promise<{ page: Page; complaints: string[] }> {
  const browser = await chromium.launch({ executablePath, args: flags });
  cleanup(() => browser.close());
  const page = await browser.newPage({ viewport });
  const complaints: string[] = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.setDefaultTimeout(5_000);
  return { page, complaints };
}

/** Where a screenshot goes, for whoever wants to look. */
export function picture(name: string): string {
  mkdirSync(pictures, { recursive: true });
  return join(pictures, `${name}.png`);
}
