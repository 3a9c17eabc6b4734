import { ModuleError } from '../index.ts';

/** One test. It cleans up after itself, so any runner can run it. */
export interface TestCase {
  readonly title: string;
  readonly run: () => Promise<void>;
}

/** The functions that register tests. mocha, Jest, `node:test` and vitest have both. */
export interface Runner {
  describe(title: string, body: () => void): unknown;
  it(title: string, body: () => Promise<void>): unknown;
}

export interface SuiteOptions {
  /**
   * The module with `describe` and `it`: `import * as runner from 'node:test'`, or from `'vitest'`.
   *
   * @default the globals `describe` and `it`
   */
  readonly runner?: Runner | undefined;
}

/** Registers tests under one title. @throws OPTION_INVALID if no runner is given and there are no globals */
export function register(title: string, cases: readonly TestCase[], runner = globalRunner()): void {
  runner.describe(title, () => {
    for (const { title: name, run } of cases) runner.it(name, () => run());
  });
}

function globalRunner(): Runner {
  const { describe, it } = globalThis as Partial<Runner>;
  if (typeof describe === 'function' && typeof it === 'function') return { describe, it };
  const expected = 'an object with describe() and it(), because there are no globals of these names';
  const hint = 'with node:test, write import * as runner from \'node:test\'';
  throw new ModuleError('OPTION_INVALID', { path: 'runner', given: 'missing', expected, hint });
}
