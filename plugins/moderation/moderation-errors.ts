import { defineErrors, type ErrorsOf } from '../../src/index.ts';

const reject = (_: { room?: string | undefined; to?: string | undefined; words: readonly string[] }): string =>
  'this has words that are not allowed here';

/** Codes that only `moderation` raises. The details name the room, or the user that a private message was to. */
export const moderationErrors = defineErrors('moderation', { CONTENT_REJECTED: [reject, { expose: true }] });

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof moderationErrors> {} }
