import type { Channel } from '../contracts.ts';

/** Maximum number of times that a node is asked. */
const MAX_ATTEMPTS = 3;

/**
 * Asks one node, up to three times, because a packet may be lost. The node may get the question more than once.
 * @returns the answer, or `undefined` if the node did not answer: it is probably dead
 *
 * @example await askNode(channel, { close: connectionId }, nodeOf(connectionId));
 */
export async function askNode<Payload, Answer>(
  channel: Channel<Payload, Answer>, payload: Payload, node: string,
): Promise<Answer | undefined> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const { answers: [given] } = await channel.ask(payload, { node });
    if (given) return given.answer;
  }
  return undefined;
}
