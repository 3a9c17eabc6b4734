import type { Manager } from './start.ts';
import { eventually } from './timing.ts';

/** Resolves when each of these nodes, all those of a bus, knows the others. */
export async function knowEachOther(...nodes: readonly { readonly manager: Manager }[]): Promise<void> {
  const counts = () => nodes.map(({ manager }) => manager.inspect()['nodes']);
  await eventually('all nodes know each other', () => counts().every((count) => count === nodes.length - 1) || counts());
}
