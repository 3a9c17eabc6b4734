import { defineErrors, type ErrorsOf } from '../../src/index.ts';

/** What `auth` alone raises. */
export const authErrors = defineErrors('auth', {
  AUTH_TIMEOUT: [(d: { timeout: number }) => `no valid token came within ${d.timeout} ms`, { expose: true, status: 401, closeCode: 4001 }],
  TOKEN_EXPIRED: [() => 'the token is expired', { expose: true, status: 401, closeCode: 4001 }],
  TOKEN_REVOKED: [() => 'the token is revoked', { expose: true, status: 401, closeCode: 4001 }],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof authErrors> {} }
