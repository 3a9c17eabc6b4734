import type { Connection } from '../../src/index.ts';
import type { NamespacesApi } from '../namespaces.ts';
import type { EventMembers } from './event-members.ts';
import { EventSocket } from './event-socket.ts';
import { nextTurn, reasonOf, type EventsHost } from './events-host.ts';

/**
 * Opens a namespace beside the main one: the namespace of its name of the plugin `namespaces`. Returns the undo.
 * @throws NAMESPACE_NAME_INVALID, DUPLICATE when the namespace has a handler of `*` already
 */
export function openNamed(members: EventMembers, host: EventsHost, namespaces: NamespacesApi): () => void {
  const isOurs = namespaces.get(members.name) === undefined;
  const namespace = namespaces.of(members.name);
  const { arriving } = members;
  /** Sockets that our layers let in. A check of the namespace may still refuse them. */
  const admitted = new WeakMap<Connection, EventSocket>();

  const admit = async (connection: Connection, credentials: unknown): Promise<() => void> => {
    try {
      const socket = await members.prepare(connection, host.handshakes.of(connection, credentials));
      admitted.set(connection, socket);
      return () => {
        admitted.delete(connection);
        EventSocket.end(socket, 'server namespace disconnect');
      };
    } catch (error) {
      host.refused(connection, error);
      throw error;
    }
  };
  const enter = (connection: Connection): void => {
    const socket = admitted.get(connection);
    if (!socket) return;
    admitted.delete(connection);
    // An earlier listener may have put it out of the namespace.
    if (namespace.connections.has(connection.id)) members.enter(socket);
    else EventSocket.end(socket, 'server namespace disconnect');
  };
  /** A connection that was in the namespace before. */
  const arrive = async (connection: Connection): Promise<void> => {
    try {
      const socket = await members.prepare(connection, host.handshakes.of(connection));
      // It may have left meanwhile, and even entered again.
      if (arriving.has(connection.id)) members.enter(socket);
      else EventSocket.end(socket, 'server namespace disconnect');
    } catch (error) {
      if (!arriving.has(connection.id) || !connection.isOpen) return;
      members.report(error, connection);
      namespace.disconnect(connection, 'refused');
      host.refused(connection, error);
    } finally {
      arriving.delete(connection.id);
    }
  };

  const undos = [
    // First: it is refused when the application handles `*` itself.
    namespace.registerHandler('*', (message, connection) => members.receive(message, connection), { raw: true }),
    namespace.route((message, connection) => members.find(message, connection)),
    namespace.admit(admit),
    namespace.on('connect', enter),
    namespace.on('disconnect', ({ id }, reason) => {
      arriving.delete(id);
      // When the connection is gone, the kernel tells why, see below. The reason given here may be any text.
      if (!host.context.node.connections.has(id)) return;
      members.leave(id, reason === 'left' ? 'client namespace disconnect' : 'server namespace disconnect');
    }),
  ];
  members.door = { host, opened: nextTurn(), expel: (connection, reason) => namespace.disconnect(connection, reason) };
  host.context.on('connection:removed', (connection, end) => members.leave(connection.id, reasonOf(end)));
  for (const connection of namespace.connections.values()) arriving.set(connection.id, arrive(connection));
  return () => {
    for (const undo of undos) undo();
    // They stay in the namespace when the application made it.
    arriving.clear();
    for (const id of [...members.sockets.keys()]) members.leave(id, 'server namespace disconnect');
    members.door = undefined;
    // Unless the application has put another namespace in its place.
    if (isOurs && namespaces.get(members.name) === namespace) namespaces.delete(members.name);
  };
}
