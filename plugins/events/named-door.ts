import type { Connection } from '../../src/index.ts';
import type { NamespacesApi } from '../namespaces.ts';
import { reasonOf } from './disconnect-reason.ts';
import type { Handshakes } from './handshake.ts';
import type { Host } from './host.ts';
import type { Members } from './members.ts';
import type { Membership } from './membership.ts';

/**
 * Opens a namespace beside the main one: the namespace of its name of the plugin `namespaces`. Returns the undo.
 * @throws NAMESPACE_NAME_INVALID, DUPLICATE where what has no handler there is handled already
 */
export function openNamed(members: Members, host: Host, handshakes: Handshakes, namespaces: NamespacesApi): () => void {
  const isOurs = namespaces.get(members.name) === undefined;
  const namespace = namespaces.of(members.name);
  /** Those whom our layers let in, and perhaps another check does not. */
  const admitted = new WeakMap<Connection, Membership>();

  const admit = async (connection: Connection, credentials: unknown): Promise<void> => {
    admitted.set(connection, await members.prepare(connection, handshakes.of(connection, credentials)));
  };
  const enter = (connection: Connection): void => {
    const membership = admitted.get(connection);
    if (!membership) return;
    admitted.delete(connection);
    members.enter(membership);
  };

  const undos = [
    // First: it is refused where somebody else handles what has no handler.
    namespace.registerHandler('*', (message, connection) => members.receive(message, connection)),
    namespace.admit(admit),
    namespace.on('connect', enter),
    namespace.on('disconnect', ({ id }, reason) => {
      // Of a connection that is closed the kernel tells more: see below.
      if (reason !== 'closed') members.leave(id, reason === 'left' ? 'client namespace disconnect' : 'server namespace disconnect');
    }),
  ];
  members.door = { host, expel: (connection, reason) => namespace.disconnect(connection, reason) };
  host.context.on('connection:removed', (connection, end) => members.leave(connection.id, reasonOf(end)));
  // Who was in it before has a socket now, too.
  for (const connection of namespace.connections.values()) {
    admit(connection, undefined).then(() => enter(connection)).catch((error: unknown) => {
      members.report(error, connection);
      namespace.disconnect(connection, 'refused');
    });
  }
  return () => {
    for (const undo of undos) undo();
    for (const id of [...members.sockets.keys()]) members.leave(id, 'server namespace disconnect');
    members.door = undefined;
    if (isOurs) namespaces.delete(members.name);
  };
}
