import { check, rules } from '../../src/index.ts';

export interface RecoveryOptions {
  /** Milliseconds for which the session of a disconnected client is kept. @default 120_000 */
  readonly sessionTtl?: number | undefined;
  /** Maximum number of sessions of disconnected clients that this node keeps. @default 10_000 */
  readonly maxSessions?: number | undefined;
  /**
   * Maximum number of these sessions for one user, or for the anonymous clients of one address. Beyond it, the oldest
   * one is dropped.
   * @default 100
   */
  readonly maxSessionsPerActor?: number | undefined;
  /** Milliseconds for which the answers to a client's messages are remembered. @default 120_000 */
  readonly answerWindow?: number | undefined;
  /** Maximum number of answers of one session. @default 100 */
  readonly maxAnswers?: number | undefined;
  /** Maximum characters of an answer that is remembered. @default 16_384 */
  readonly maxAnswerLength?: number | undefined;
  /** Maximum characters of all answers. @default 67_108_864 */
  readonly maxAnswersLength?: number | undefined;
  /** Maximum bytes of the missed messages in one answer. It must be well below `outbox.limit`. @default 524_288 */
  readonly maxBytes?: number | undefined;
  /** Maximum number of positions in one `recover`. @default 500 */
  readonly maxPositions?: number | undefined;
}

export type RecoverySettings = ReturnType<typeof resolveOptions>;

const { duration, integer } = rules;
const RULES = {
  sessionTtl: duration,
  maxSessions: integer(1, 10_000_000),
  maxSessionsPerActor: integer(1, 10_000_000),
  answerWindow: duration,
  maxAnswers: integer(0, 100_000),
  maxAnswerLength: integer(0, 2 ** 30),
  maxAnswersLength: integer(0, 2 ** 40),
  maxBytes: integer(1, 2 ** 30),
  maxPositions: integer(1, 10_000),
};

/** @throws OPTION_INVALID, OPTION_UNKNOWN */
export function resolveOptions(options: RecoveryOptions) {
  return Object.freeze({
    sessionTtl: 120_000, maxSessions: 10_000, maxSessionsPerActor: 100, answerWindow: 120_000, maxAnswers: 100,
    maxAnswerLength: 16_384, maxAnswersLength: 67_108_864, maxBytes: 524_288, maxPositions: 500,
    ...check<RecoveryOptions>(options, RULES, 'recovery'),
  });
}
