import { isRecord, shareEntries, type PluginContext } from '../../src/index.ts';
import type { MemoryBans } from './ban-store.ts';

/** A ban as it is sent to other nodes: with a duration and no date, because the clocks of two nodes may differ. */
export interface SharedBan {
  readonly key: string;
  /** Milliseconds until it ends. Without it, the ban never ends. */
  readonly endsIn?: number | undefined;
}

const isShared = (given: unknown): given is SharedBan =>
  isRecord(given) && typeof given.key === 'string' && given.key.length <= 300
  && (given.endsIn === undefined || Number.isSafeInteger(given.endsIn));

/**
 * Applies bans in memory on all nodes. Of the limits, only `maxBans` applies to bans of other nodes.
 * @returns a function that sends new bans to the other nodes
 */
export function shareBans(context: PluginContext, bans: MemoryBans): (entries: readonly SharedBan[]) => void {
  return shareEntries(context, 'bans', () => bans.all(), (entry) => {
    if (!isShared(entry)) return;
    const at = Date.now();
    bans.add(entry.key, { by: 'server', at, until: entry.endsIn === undefined ? undefined : at + entry.endsIn });
  });
}
