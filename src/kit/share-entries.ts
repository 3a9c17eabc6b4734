import type { PluginContext } from '../contracts.ts';

/** Maximum number of entries in one packet. */
const MAX_PAGE = 1_000;

/** A message of another node: its new entries, or a request for the entries of this node from the index `from` on. */
interface EntriesMessage { readonly entries?: unknown; readonly from?: unknown }

/**
 * Shares a table of a plugin with the same plugin on other nodes. When a node joins, it requests all entries of each
 * other node, and each other node requests all of its entries, in pages. Later entries are sent one by one.
 * @param name the name of the channel
 * @param all returns the entries of this node, as JSON
 * @param apply adds an entry of the given node. The entry is not checked yet. An error that it throws is reported.
 * @returns a function that sends new entries to the other nodes; it does not add them to the table of this node
 * @example
 * const share = shareEntries(context, 'mutes', () => [...mutes], (entry) => { if (isMute(entry)) mutes.add(entry); });
 * mutes.add(mute);
 * share([mute]);
 */
export function shareEntries<Entry>(
  context: PluginContext,
  name: string,
  all: () => readonly Entry[],
  apply: (entry: unknown, node: string) => void,
): (entries: readonly Entry[]) => void {
  const applyAll = (entries: unknown, node: string): void => {
    for (const entry of Array.isArray(entries) ? entries : []) {
      try {
        apply(entry, node);
      } catch (error) {
        // A full table rejects this entry, but later ones may replace existing entries.
        context.report(error);
      }
    }
  };
  const channel = context.channel<EntriesMessage, unknown>(name, ({ entries, from }, node) => {
    applyAll(entries, node);
    return Number.isSafeInteger(from) ? all().slice(from as number, from as number + MAX_PAGE) : undefined;
  });
  // Each node requests the entries, because the plugin may be loaded later on one of the two nodes.
  const requestAll = async (node: string): Promise<void> => {
    for (let from = 0; ; from += MAX_PAGE) {
      const { answers: [given] } = await channel.ask({ from }, { node });
      applyAll(given?.answer, node);
      if (!Array.isArray(given?.answer) || given.answer.length < MAX_PAGE) return;
    }
  };
  const request = (node: string): void => void requestAll(node).catch((error: unknown) => context.report(error));
  context.on('node:joined', ({ node }) => request(node));
  for (const node of context.node.peers) request(node);
  return (entries) => channel.tell({ entries });
}
