import { isRecord, shareEntries, type PluginContext } from '../../src/index.ts';
import type { MemoryBans } from './ban-store.ts';

/** A ban as nodes tell each other. Milliseconds, and no date: the clocks of two nodes may differ. */
export interface SharedBan {
  readonly key: string;
  /** Milliseconds until it ends. Without it, the ban never ends. */
  readonly endsIn?: number | undefined;
}

const isShared = (given: unknown): given is SharedBan =>
  isRecord(given) && typeof given.key === 'string' && given.key.length <= 300
  && (given.endsIn === undefined || Number.isSafeInteger(given.endsIn));

/**
 * Makes bans in memory hold on all nodes. A ban that another node made is bounded by `maxBans` alone.
 * @returns a function that tells the other nodes of new bans
 */
export function shareBans(context: PluginContext, bans: MemoryBans): (entries: readonly SharedBan[]) => void {
  return shareEntries(context, 'bans', () => bans.all(), (entry) => {
    if (!isShared(entry)) return;
    const at = Date.now();
    bans.add(entry.key, { by: 'server', at, until: entry.endsIn === undefined ? undefined : at + entry.endsIn });
  });
}
