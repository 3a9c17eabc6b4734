import type { Connection, Message } from '../../src/index.ts';
import type { NamespacesApi } from '../namespaces.ts';
import { reasonOf } from './disconnect-reason.ts';
import type { Handshakes } from './handshake.ts';
import { nextTurn, type Host } from './host.ts';
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
  /** Those who were in it before, while our layers are asked. What they send meanwhile waits. */
  const arriving = new Map<string, Promise<void>>();

  const receive = (message: Message, connection: Connection): unknown => {
    const arrival = arriving.get(connection.id);
    return arrival ? arrival.then(() => members.receive(message, connection)) : members.receive(message, connection);
  };
  const admit = async (connection: Connection, credentials: unknown): Promise<() => void> => {
    const membership = await members.prepare(connection, handshakes.of(connection, credentials));
    admitted.set(connection, membership);
    return () => {
      admitted.delete(connection);
      membership.end('server namespace disconnect');
    };
  };
  const enter = (connection: Connection): void => {
    const membership = admitted.get(connection);
    if (!membership) return;
    admitted.delete(connection);
    // Whoever heard of it before us may have put it out.
    if (namespace.connections.has(connection.id)) members.enter(membership);
    else membership.end('server namespace disconnect');
  };
  const arrive = async (connection: Connection): Promise<void> => {
    try {
      const membership = await members.prepare(connection, handshakes.of(connection));
      // Left since, and perhaps in again, it is not this one's any more.
      if (arriving.has(connection.id)) members.enter(membership);
      else membership.end('server namespace disconnect');
    } catch (error) {
      if (!arriving.has(connection.id) || !connection.isOpen) return;
      members.report(error, connection);
      namespace.disconnect(connection, 'refused');
    } finally {
      arriving.delete(connection.id);
    }
  };

  const undos = [
    // First: it is refused where somebody else handles what has no handler.
    namespace.registerHandler('*', receive),
    namespace.admit(admit),
    namespace.on('connect', enter),
    namespace.on('disconnect', ({ id }, reason) => {
      arriving.delete(id);
      // Of a connection that is gone the kernel tells more: see below. By the reason it cannot be told, which may be anybody's.
      if (host.context.node.connections.has(id)) members.leave(id, reason === 'left' ? 'client namespace disconnect' : 'server namespace disconnect');
    }),
  ];
  members.door = { host, opened: nextTurn(), expel: (connection, reason) => namespace.disconnect(connection, reason) };
  host.context.on('connection:removed', (connection, end) => members.leave(connection.id, reasonOf(end)));
  // Who was in it before has a socket now, too.
  for (const connection of namespace.connections.values()) arriving.set(connection.id, arrive(connection));
  return () => {
    for (const undo of undos) undo();
    // They stay in the namespace, where it is not ours.
    arriving.clear();
    for (const id of [...members.sockets.keys()]) members.leave(id, 'server namespace disconnect');
    members.door = undefined;
    // Unless the application has put another in its place.
    if (isOurs && namespaces.get(members.name) === namespace) namespaces.delete(members.name);
  };
}
