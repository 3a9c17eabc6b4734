import type { Connection } from '../../src/index.ts';
import type { NamespacesApi } from '../namespaces.ts';
import type { EventMembers } from './event-members.ts';
import { EventSocket } from './event-socket.ts';
import { nextTurn, disconnectReasonOf, type EventsRuntime } from './events-runtime.ts';

/**
 * Opens a namespace other than the main one, on the namespace of the plugin `namespaces`. Returns its undo.
 * @throws NAMESPACE_NAME_INVALID, DUPLICATE when the namespace has a handler of `*` already
 */
export function openNamedNamespace(
  members: EventMembers, runtime: EventsRuntime, namespaces: NamespacesApi,
): () => void {
  const isCreatedHere = namespaces.get(members.name) === undefined;
  const namespace = namespaces.of(members.name);
  const { arriving } = members;
  /** Sockets that passed the layers. Another check of the namespace may still reject them. */
  const admitted = new WeakMap<Connection, EventSocket>();

  const admit = async (connection: Connection, credentials: unknown): Promise<() => void> => {
    try {
      const socket = await members.prepare(connection, runtime.handshakes.of(connection, credentials));
      admitted.set(connection, socket);
      return () => {
        admitted.delete(connection);
        EventSocket.end(socket, 'server namespace disconnect');
      };
    } catch (error) {
      runtime.closeUnlessEntered(connection, error);
      throw error;
    }
  };
  const enter = (connection: Connection): void => {
    const socket = admitted.get(connection);
    if (!socket) return;
    admitted.delete(connection);
    // An earlier listener may have disconnected it.
    if (namespace.connections.has(connection.id)) members.enter(socket);
    else EventSocket.end(socket, 'server namespace disconnect');
  };
  /** Creates a socket for a connection that is in the namespace already. */
  const arrive = async (connection: Connection): Promise<void> => {
    try {
      const socket = await members.prepare(connection, runtime.handshakes.of(connection));
      // The connection may have left meanwhile, or left and entered again.
      if (arriving.has(connection.id)) members.enter(socket);
      else EventSocket.end(socket, 'server namespace disconnect');
    } catch (error) {
      if (!arriving.has(connection.id) || !connection.isOpen) return;
      members.report(error, connection);
      namespace.disconnect(connection, 'refused');
      runtime.closeUnlessEntered(connection, error);
    } finally {
      arriving.delete(connection.id);
    }
  };

  const undos = [
    // First, because it throws if the application handles `*` itself.
    namespace.registerHandler('*', (message, connection) => members.receive(message, connection), { raw: true }),
    namespace.route((message, connection) => members.find(message, connection)),
    namespace.admit(admit),
    namespace.on('connect', enter),
    namespace.on('disconnect', ({ id }, reason) => {
      arriving.delete(id);
      // If the connection closed, `connection:removed` below has the reason. This reason may be any text.
      if (!runtime.context.node.connections.has(id)) return;
      members.leave(id, reason === 'left' ? 'client namespace disconnect' : 'server namespace disconnect');
    }),
  ];
  members.binding = {
    runtime,
    opened: nextTurn(),
    disconnect: (connection, reason) => namespace.disconnect(connection, reason),
  };
  runtime.context.on('connection:removed', (connection, end) => members.leave(connection.id, disconnectReasonOf(end)));
  for (const connection of namespace.connections.values()) arriving.set(connection.id, arrive(connection));
  return () => {
    for (const undo of undos) undo();
    // The connections stay in the namespace if the application created it.
    arriving.clear();
    for (const id of [...members.sockets.keys()]) members.leave(id, 'server namespace disconnect');
    members.binding = undefined;
    // Not if the application has replaced the namespace.
    if (isCreatedHere && namespaces.get(members.name) === namespace) namespaces.delete(members.name);
  };
}
