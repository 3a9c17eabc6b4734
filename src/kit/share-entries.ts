import type { PluginContext } from '../contracts.ts';

/** Maximum number of entries in one packet. */
const MAX_PAGE = 1_000;

/** A message of another node: its new entries, or the index of the first entry that it requests. */
interface EntriesMessage { readonly entries?: unknown; readonly from?: unknown }

/**
 * Shares a table of a plugin with the same plugin on other nodes. New entries are sent to all nodes. When two nodes
 * meet, each requests all entries of the other, in pages.
 * @param name the name of the channel
 * @param all returns the entries of this node, as JSON
 * @param follow adds an entry of another node. The entry is not checked yet. An error that it throws is reported.
 * @returns a function that sends new entries to the other nodes
 */
export function shareEntries<Entry>(
  context: PluginContext,
  name: string,
  all: () => readonly Entry[],
  follow: (entry: unknown) => void,
): (entries: readonly Entry[]) => void {
  const followAll = (entries: unknown): void => {
    for (const entry of Array.isArray(entries) ? entries : []) {
      try {
        follow(entry);
      } catch (error) {
        // A full table rejects this entry, but later ones may replace existing entries.
        context.report(error);
      }
    }
  };
  const channel = context.channel<EntriesMessage, unknown>(name, ({ entries, from }) => {
    followAll(entries);
    return Number.isSafeInteger(from) ? all().slice(from as number, from as number + MAX_PAGE) : undefined;
  });
  // Each node requests the entries, because the plugin may be loaded later on one of the two nodes.
  const requestAll = async (node: string): Promise<void> => {
    for (let from = 0; ; from += MAX_PAGE) {
      const { answers: [given] } = await channel.ask({ from }, { node });
      followAll(given?.answer);
      if (!Array.isArray(given?.answer) || given.answer.length < MAX_PAGE) return;
    }
  };
  const meet = (node: string): void => void requestAll(node).catch((error: unknown) => context.report(error));
  context.on('node:joined', ({ node }) => meet(node));
  for (const node of context.node.peers) meet(node);
  return (entries) => channel.tell({ entries });
}
