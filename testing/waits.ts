/**
 * Milliseconds that the test helpers wait if a test names no time: for a message to a client, and for a condition. A
 * test may run on a machine that others use; the tests of this package set longer times.
 */
export const waits = { message: 2_000, condition: 5_000 };
