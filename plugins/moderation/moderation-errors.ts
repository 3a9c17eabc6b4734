import { defineErrors, type ErrorsOf } from '../../src/index.ts';

const reject = (_: { room?: string | undefined; to?: string | undefined; words: readonly string[] }): string =>
  'the message contains words that are not allowed here';

/** The codes of `moderation`. The details name the room, or the recipient of the private message. */
export const moderationErrors = defineErrors('moderation', { CONTENT_REJECTED: [reject, { expose: true }] });

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof moderationErrors> {} }
