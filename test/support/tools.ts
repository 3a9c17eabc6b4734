import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where a program is that `scripts/setup.mjs` brings. Nothing is skipped: without it the test fails. */
export function tool(program: 'promtool' | 'chromium' | 'redis-server'): string {
  for (const folder of (process.env.PATH ?? '').split(delimiter).concat('/usr/sbin')) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch { /* not in this folder */ }
  }
  throw new Error(`${program} is not on this machine; run: node scripts/setup.mjs`);
}
