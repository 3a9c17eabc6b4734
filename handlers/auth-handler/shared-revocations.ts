import { isRecord, shareEntries, type PluginContext } from '../../src/index.ts';
import type { SharedRevocation } from './revocations.ts';

/** The members of an AuthHandler that revoke tokens. */
export interface Revoker {
  revoke(id: string): number;
  revoked(id?: string): readonly SharedRevocation[];
  follow(revocation: SharedRevocation): void;
}

const isRevocation = (given: unknown): given is SharedRevocation =>
  isRecord(given) && typeof given.id === 'string' && given.id !== '' && Number.isSafeInteger(given.until);

/**
 * Applies revocations on all nodes.
 * @returns revoke()
 */
export function shareRevocations(context: PluginContext, handler: Revoker): (id: string) => number {
  const tell = shareEntries(context, 'revocations', () => handler.revoked(), (entry) => {
    if (isRevocation(entry)) handler.follow(entry);
  });
  return (id) => {
    try {
      return handler.revoke(id);
    } finally {
      // Sent even if the table of this node is full, because other nodes may have room.
      const told = handler.revoked(id);
      if (typeof id === 'string' && id !== '') tell(told.length > 0 ? told : [{ id, until: now() }]);
    }
  };
}

const now = (): number => Math.floor(Date.now() / 1_000);
