import { defineErrors, type ErrorsOf } from '../../src/index.ts';

/** Codes that only `private-messages` raises. */
export const privateMessageErrors = defineErrors('private-messages', {
  USER_OFFLINE: [(_: { to: string }) => 'this user is offline', { expose: true }],
  MESSAGE_UNKNOWN: [
    (_: { messageId: string }) => 'there is no such message to you, or it can no longer be confirmed', { expose: true },
  ],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof privateMessageErrors> {} }
