import { defineErrors, type ErrorsOf } from '../../src/index.ts';

const refused = { expose: true, status: 401, closeCode: 4001 } as const;

/** The codes of `auth`. */
export const authErrors = defineErrors('auth', {
  AUTH_TIMEOUT: [(d: { timeout: number }) => `no valid token arrived within ${d.timeout} ms`, refused],
  TOKEN_EXPIRED: [() => 'the token is expired', refused],
  TOKEN_REVOKED: [() => 'the token is revoked', refused],
  TOKEN_OUTDATED: [() => 'the token was issued before the one in use', refused],
  REVOCATIONS_FULL: [
    (d: { limit: number; closed: number }) => `there are ${d.limit} revocations already: ${d.closed} connections were `
      + 'closed, but their tokens are still accepted. Raise "maxRevocations"',
    {},
  ],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof authErrors> {} }
