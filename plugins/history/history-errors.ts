import { defineErrors, type ErrorsOf } from '../../src/index.ts';

export const historyErrors = defineErrors('history', {
  HISTORY_UNSHARED: [
    () => 'the adapter has no journal, so the nodes cannot share a history; pass one as the option "journal"', {},
  ],
  // The same error for a topic without a history, and for one that the client may not read.
  HISTORY_UNKNOWN: [(d: { topic: string }) => `there is no history of "${d.topic}"`, { expose: true }],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof historyErrors> {} }
