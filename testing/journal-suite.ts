import { register, type SuiteOptions, type TestCase } from './cases.ts';
import { runJournalTest, type MakeJournal } from './journal-bench.ts';
import { appendTests } from './journal-append-cases.ts';
import { journalModelTest } from './journal-model-case.ts';
import { readTests } from './journal-read-cases.ts';

/**
 * Registers the tests that every journal must pass. They use several nodes on one backend.
 *
 * @param make creates a backend without data
 * @throws OPTION_INVALID if no runner is given, and there are no globals `describe` and `it`
 * @example
 * journalSuite('memory', () => {
 *   const bus = {};
 *   return { journal: () => new MemoryAdapter(bus).journal };
 * });
 */
export function journalSuite(name: string, make: MakeJournal, { runner }: SuiteOptions = {}): void {
  register(`journal ${name}`, journalCases(make), runner);
}

/** The tests of `journalSuite()` as a list, for a runner without `describe` and `it`. */
export function journalCases(make: MakeJournal): readonly TestCase[] {
  const tests = [...appendTests, ...readTests, journalModelTest];
  return tests.map((test) => ({ title: test.title, run: () => runJournalTest(test, make) }));
}
