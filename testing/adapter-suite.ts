import { runAdapterTest, type MakeBus } from './adapter-bench.ts';
import { adapterTests } from './adapter-cases.ts';
import { managerTests } from './adapter-manager-cases.ts';
import { register, type SuiteOptions, type TestCase } from './cases.ts';

/**
 * Registers the tests that every adapter must pass, first without and then with managers. An adapter may deliver a
 * node's packets to the node itself, and may deliver or drop a packet that is published during a subscription.
 *
 * @param make creates a new bus; the function that it returns creates an adapter of that bus
 * @throws OPTION_INVALID if no runner is given and there are no globals `describe` and `it`
 * @example
 * adapterSuite('memory', () => {
 *   const bus = {};
 *   return () => new MemoryAdapter(bus);
 * });
 */
export function adapterSuite(name: string, make: MakeBus, { runner }: SuiteOptions = {}): void {
  const { alone, managed } = casesOf(make);
  register(`adapter ${name}`, alone, runner);
  register(`managers on adapter ${name}`, managed, runner);
}

/** The tests of `adapterSuite()` as a list, for a runner without `describe` and `it`. */
export function adapterCases(make: MakeBus): readonly TestCase[] {
  const { alone, managed } = casesOf(make);
  return [...alone, ...managed.map(({ title, run }) => ({ title: `managers ${title}`, run }))];
}

function casesOf(make: MakeBus): Readonly<Record<'alone' | 'managed', readonly TestCase[]>> {
  const cases = (tests: typeof adapterTests): TestCase[] =>
    tests.map((test) => ({ title: test.title, run: () => runAdapterTest(test, make) }));
  return { alone: cases(adapterTests), managed: cases(managerTests) };
}
