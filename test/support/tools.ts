import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Context } from 'mocha';

/** Where a program is that `scripts/setup.mjs` brings. Without it the test is skipped, but in CI it fails. */
export function tool(test: Context, program: 'promtool' | 'chromium' | 'redis-server'): string {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch { /* not in this folder */ }
  }
  if (process.env.CI) throw new Error(`${program} is not on this machine; \`node scripts/setup.mjs\` installs it`);
  return test.skip();
}
