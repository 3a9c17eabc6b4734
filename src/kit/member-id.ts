import type { Connection } from '../contracts.ts';

/**
 * The id under which a client takes part: the user's, or the connection's while the client is anonymous. A user's id is
 * never one of a connection.
 *
 * @example context.node.publish(topic, { type: 'typing', content: { userId: memberId(connection) } });
 */
export const memberId = ({ id, user }: Pick<Connection, 'id' | 'user'>): string => user?.id ?? id;
