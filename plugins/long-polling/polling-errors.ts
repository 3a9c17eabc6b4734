import { defineErrors, type ErrorsOf } from '../../src/index.ts';

export const pollingErrors = defineErrors('long-polling', {
  POLLING_INVALID: [(d: { reason: string }) => `invalid polling request: ${d.reason}`, { expose: true, status: 400 }],
  // Ids that never existed and sessions that ended have the same answer, so that guessing ids tells nothing.
  POLLING_SESSION_UNKNOWN: [() => 'there is no such session; open a new one', { expose: true, status: 404 }],
  POLLING_TYPE_INVALID: [
    () => 'the Content-Type must be application/octet-stream', { expose: true, status: 415 },
  ],
  POLLING_BODY_TOO_LONG: [
    (d: { limit: number }) => `the body is longer than ${d.limit} bytes`, { expose: true, status: 413 },
  ],
  POLLING_BUSY: [
    () => 'two requests of this session are already sending; wait for their answers', { expose: true, status: 429 },
  ],
  POLLING_NODE_UNREACHABLE: [
    () => 'the node of this session did not answer', { expose: true, status: 503 },
  ],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof pollingErrors> {} }
