import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds wrong with the page as it is now, in the light and in the dark scheme. */
export async function barriers(page: Page): Promise<string[]> {
  const found: string[] = [];
  // Evaluated, not loaded as a script: the content security policy of the page forbids other scripts.
  await page.evaluate(source);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    found.push(...(await page.evaluate<string[]>(`axe.run().then(({ violations }) => violations.flatMap(({ id, nodes }) => (
      nodes.map(({ target, failureSummary }) => id + ': ' + target + ': ' + failureSummary)
    )))`)).map((text) => `${colorScheme}: ${text}`));
  }
  return found;
}
