import { register, type SuiteOptions, type TestCase } from './cases.ts';
import { withCleanups } from './cleanup.ts';
import { runTransportTest, transportTests, type TransportBackend } from './transport-cases.ts';

/**
 * Registers the tests that every transport must pass: connections, messages in both directions, limits, close codes,
 * deadlines, layers, events and metrics. They are the same for all transports.
 *
 * @throws OPTION_INVALID if no runner is given and there are no globals `describe` and `it`
 * @example transportSuite('long polling', { use: () => [longPolling()], connect: (url) => connectByPolling(url) });
 */
export function transportSuite(name: string, backend: TransportBackend, { runner }: SuiteOptions = {}): void {
  register(`transport ${name}`, transportCases(backend), runner);
}

/** The tests of `transportSuite()` as a list, for a runner without `describe` and `it`. */
export function transportCases(backend: TransportBackend): readonly TestCase[] {
  return transportTests.map((test) => ({
    title: test.title,
    run: () => withCleanups((cleanups) => runTransportTest(test, backend, cleanups)),
  }));
}
