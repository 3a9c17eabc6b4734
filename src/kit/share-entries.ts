import type { PluginContext } from '../contracts.ts';

/** Entries in one packet. */
const MAX_PAGE = 1_000;

/** A word of another node: new entries, or from where on it wants to have those of this node. */
interface Word { readonly entries?: unknown; readonly from?: unknown }

/**
 * Shares a table of a plugin with its like on other nodes: new entries are told to all of them, and nodes that meet ask
 * each other for everything, in pages.
 * @param name of the channel
 * @param all the entries of this node, as JSON
 * @param follow takes one entry of another node, unchecked. What it throws is reported.
 * @returns a function that tells the other nodes of new entries
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
        // A full table refuses one entry; the others may replace some that it has.
        context.report(error);
      }
    }
  };
  const channel = context.channel<Word, unknown>(name, ({ entries, from }) => {
    followAll(entries);
    return Number.isSafeInteger(from) ? all().slice(from as number, from as number + MAX_PAGE) : undefined;
  });
  // Nodes ask, and are not told unasked: the plugin may be loaded later on one of both.
  const learn = async (node: string): Promise<void> => {
    for (let from = 0; ; from += MAX_PAGE) {
      const { answers: [given] } = await channel.ask({ from }, { node });
      followAll(given?.answer);
      if (!Array.isArray(given?.answer) || given.answer.length < MAX_PAGE) return;
    }
  };
  const learnFrom = (node: string): void => void learn(node).catch((error: unknown) => context.report(error));
  context.on('node:joined', ({ node }) => learnFrom(node));
  for (const node of context.node.peers) learnFrom(node);
  return (entries) => channel.tell({ entries });
}
