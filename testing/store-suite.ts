import { register, type SuiteOptions, type TestCase } from './cases.ts';
import { runStoreTest, type MakeStore } from './store-bench.ts';
import { documentTests } from './store-document-cases.ts';
import { leaseTests } from './store-lease-cases.ts';
import { forgetTests } from './store-loss-cases.ts';
import { setTests } from './store-set-cases.ts';

export interface StoreSuiteOptions extends SuiteOptions {
  /** Whether the backends have `forget()`: its tests run, too. @default false */
  readonly forgets?: boolean | undefined;
}

/**
 * Registers the tests that every store must pass. They use several nodes on one backend, with leases that expire.
 *
 * @param make creates a backend without data
 * @throws OPTION_INVALID if no runner is given, and there are no globals `describe` and `it`
 * @example
 * storeSuite('memory', () => {
 *   const bus = {};
 *   return { store: () => new MemoryAdapter(bus).store };
 * });
 */
export function storeSuite(name: string, make: MakeStore, { runner, forgets }: StoreSuiteOptions = {}): void {
  register(`store ${name}`, storeCases(make, { forgets }), runner);
}

/** The tests of `storeSuite()` as a list, for a runner without `describe` and `it`. */
export function storeCases(
  make: MakeStore, { forgets = false }: Pick<StoreSuiteOptions, 'forgets'> = {},
): readonly TestCase[] {
  const tests = [...leaseTests, ...documentTests, ...setTests, ...(forgets ? forgetTests : [])];
  return tests.map((test) => ({ title: test.title, run: () => runStoreTest(test, make) }));
}
