import { defineErrors, type ErrorsOf } from '../../src/index.ts';

export const privateMessageErrors = defineErrors('private-messages', {
  USER_OFFLINE: [(_: { to: string }) => 'the recipient is offline', { expose: true }],
  MESSAGE_UNKNOWN: [
    (_: { messageId: string }) => 'no message to you with this id awaits a receipt', { expose: true },
  ],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof privateMessageErrors> {} }
