import { isRecord, shareEntries, type PluginContext } from '../../src/index.ts';
import type { SharedRevocation } from './revocations.ts';

/** The members of an AuthHandler that this file uses. */
export interface Revoker {
  revoke(id: string): number;
  revoked(id?: string): readonly SharedRevocation[];
  applyRevocation(revocation: SharedRevocation): void;
}

const isRevocation = (given: unknown): given is SharedRevocation =>
  isRecord(given) && typeof given.id === 'string' && given.id !== '' && Number.isSafeInteger(given.until);

/**
 * Applies revocations on all nodes.
 * @returns a `revoke()` that also sends the revocation to the other nodes
 */
export function shareRevocations(context: PluginContext, handler: Revoker): (id: string) => number {
  const share = shareEntries(context, 'revocations', () => handler.revoked(), (entry) => {
    if (isRevocation(entry)) handler.applyRevocation(entry);
  });
  return (id) => {
    try {
      return handler.revoke(id);
    } finally {
      // Sent even if the table of this node is full, because those of other nodes may not be.
      const revoked = handler.revoked(id);
      if (typeof id === 'string' && id !== '') share(revoked.length > 0 ? revoked : [{ id, until: now() }]);
    }
  };
}

const now = (): number => Math.floor(Date.now() / 1_000);
