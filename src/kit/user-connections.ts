import { userTopic, type Connection, type Node } from '../contracts.ts';

/** The connections of a user on this node. Other connections may subscribe to the user's topic, and are left out. */
export const userConnections = (node: Node, userId: string): Connection[] =>
  [...node.subscribers(userTopic(userId))].filter(({ user }) => user?.id === userId);
