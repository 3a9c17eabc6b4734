import { defineErrors, type ErrorsOf } from '../../src/index.ts';

export const recoveryErrors = defineErrors('recovery', {
  MESSAGE_TOO_OLD: [
    (d: { window: number }) =>
      `this message was first sent more than ${d.window} ms ago, or too many came after it; it may have been handled`,
    { expose: true },
  ],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof recoveryErrors> {} }
