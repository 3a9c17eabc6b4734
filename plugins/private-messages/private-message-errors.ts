import { defineErrors, type ErrorsOf } from '../../src/index.ts';

export const privateMessageErrors = defineErrors('private-messages', {
  USER_OFFLINE: [(_: { to: string }) => 'the recipient is offline', { expose: true }],
  MESSAGE_UNKNOWN: [
    (_: { messageId: string }) => 'no message to you with this id awaits a receipt', { expose: true },
  ],
  INBOX_LIMIT: [
    (d: { of: 'user' | 'all'; limit: number }) =>
      `the inbox of ${d.of === 'user' ? 'the recipient' : 'all users'} is full (${d.limit} messages)`,
    { expose: true },
  ],
  INBOX_UNSHARED: [
    () => 'the option "inbox" needs an adapter with a store, such as RedisAdapter or MemoryAdapter', {},
  ],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof privateMessageErrors> {} }
