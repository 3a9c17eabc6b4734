import type { Connection } from '../contracts.ts';

/**
 * The id of a client as a member: that of its user, or that of the connection while it is anonymous. No user can have
 * the id of a connection.
 *
 * @example context.node.publish(topic, { type: 'typing', content: { userId: memberId(connection) } });
 */
export const memberId = ({ id, user }: Pick<Connection, 'id' | 'user'>): string => user?.id ?? id;
