import { namespaces } from '../../../plugins/namespaces.ts';
import { presence, type PresenceOptions } from '../../../plugins/presence.ts';
import { knowEachOther } from '../../support/nodes.ts';
import type { StartOptions } from '../../support/start.ts';
import { serve, type Guest, type Serving } from '../rooms/serving.ts';
import { sharing, type SharedNode, type Sharing } from '../rooms/sharing.ts';

const SIGNS: Readonly<Record<string, string>> = { 'user-online': '+', 'user-offline': '-', 'user-updated': '~' };

/** The users that a client was told of: `+anna` online, `-ben` offline, `~anna` updated. */
export async function heard({ client, ask }: Guest): Promise<string[]> {
  await ask('who');
  return client.messages.flatMap(({ type, content }) => {
    const sign = SIGNS[type];
    return sign ? (content.users as { userId: string }[]).map(({ userId }) => sign + userId) : [];
  });
}

/** The events of presence of these nodes, in order: `+anna`, `-ben`. */
export function eventsOf(...nodes: readonly Serving[]): string[] {
  const events: string[] = [];
  for (const { manager } of nodes) {
    manager.on('presence:online', ({ userId }) => events.push(`+${userId}`));
    manager.on('presence:offline', ({ userId }) => events.push(`-${userId}`));
  }
  return events;
}

/** Options of a node whose rounds are short. */
export const withPresence = (options: PresenceOptions = {}): StartOptions =>
  ({ use: [namespaces({ namespaces: { '/chat': {} } }), presence({ interval: 20, audience: 'everyone', ...options })] });

/** Two nodes with a shared store. */
export async function presentNodes(options?: PresenceOptions): Promise<[SharedNode, SharedNode, Sharing]> {
  const shared = sharing();
  const nodes: [SharedNode, SharedNode] = [
    await shared.start({}, withPresence(options)), await shared.start({}, withPresence(options)),
  ];
  await knowEachOther(...nodes);
  return [...nodes, shared];
}

/** Two nodes with other adapters. */
export async function presentOn(adapters: readonly StartOptions['adapter'][]): Promise<[Serving, Serving]> {
  const nodes = await Promise.all(adapters.map((adapter, index) =>
    serve({}, { ...withPresence(), nodeId: `node-${index}`, adapter })));
  await knowEachOther(...nodes);
  return nodes as [Serving, Serving];
}

export const idsIn = async ({ ask }: Guest, place: object = {}): Promise<unknown[]> => {
  const { content } = await ask('get-online-users', undefined, place as Record<string, unknown>);
  return [(content.users as { userId: string }[]).map(({ userId }) => userId).sort(), content.total, content.guests];
};
