import { defineErrors, type ErrorsOf } from '../../src/index.ts';
import type { Target } from './admin-request.ts';

const exposed = { expose: true } as const;

/** The codes of `admin`. */
export const adminErrors = defineErrors('admin', {
  TARGET_UNKNOWN: [(_: Pick<Target, keyof Target>) => 'no such client is connected', exposed],
  ADDRESS_UNKNOWN: [
    (_: { connectionId: string }) => 'the address of this client is unknown; it can be kicked, but not banned',
    exposed,
  ],
  BANS_FULL: [
    ({ limit, of }: { limit: number; of: 'owner' | 'all' }) => (of === 'owner'
      ? `you have added ${limit} bans already; lift one first`
      : `there are ${limit} bans already; lift one first`),
    exposed,
  ],
  ADMIN_NODE_SILENT: [
    ({ node, action }: { node: string; action: string }) => `node "${node}" did not answer the action "${action}"`,
    {},
  ],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof adminErrors> {} }
