import { canonical, type Connection, type Message } from '../../src/index.ts';
import type { EventMembers } from './event-members.ts';
import { EventSocket } from './event-socket.ts';
import { nextTurn, disconnectReasonOf, exposedError, type EventsRuntime } from './events-runtime.ts';
import type { DisconnectReason } from './typed-events.ts';

/** Opens the main namespace, for all connections and for messages without another handler. Returns its undo. */
export function openMainNamespace(
  members: EventMembers, runtime: EventsRuntime, connect: 'implicit' | 'explicit',
): () => void {
  const { context } = runtime;
  const { node } = context;
  const { arriving } = members;

  const leave = (connection: Connection, reason: DisconnectReason): void => {
    node.unsubscribe(connection, members.topic);
    members.leave(connection.id, reason);
  };
  const disconnectedMessage = (reason: DisconnectReason) =>
    ({ type: context.named('disconnected'), content: { namespace: '/', reason } });

  /** @param welcome called when the layers allow entering; `false` cancels it. @throws the error that rejects */
  const enter = (connection: Connection, credentials: unknown, welcome: () => boolean): Promise<void> => {
    const entering = async (): Promise<void> => {
      const socket = await members.prepare(connection, runtime.handshakes.of(connection, credentials));
      if (!welcome()) return EventSocket.end(socket, 'server namespace disconnect');
      node.subscribe(connection, members.topic);
      members.enter(socket);
      runtime.entered(connection);
    };
    const entered = entering();
    const settled = entered.catch((error: unknown) => runtime.closeUnlessEntered(connection, error));
    arriving.set(connection.id, settled.then(() => void arriving.delete(connection.id)));
    return entered;
  };

  const arrive = (connection: Connection): void => {
    enter(connection, undefined, () => true).catch((error: unknown) => {
      if (!connection.isOpen) return;
      const told = exposedError(error);
      if (told !== error) members.report(error, connection);
      const { code, message, details } = told;
      const content = { code, message, namespace: '/' };
      // If the details cannot be encoded, send the code and the message.
      const isSent = connection.send({ type: 'error', content: { ...details, ...content } });
      if (!isSent) connection.send({ type: 'error', content });
    });
  };

  const connected = async (message: Message, connection: Connection): Promise<unknown> => {
    const content = { namespace: '/', connectionId: connection.id };
    const replyTo = message.id === undefined ? {} : { replyTo: message.id };
    const welcome = { type: context.named('connected'), content, ...replyTo };
    for (let arrival = arriving.get(connection.id); arrival; arrival = arriving.get(connection.id)) await arrival;
    if (members.sockets.has(connection.id)) return welcome;
    await enter(connection, message.payload, () => {
      // After HANDLER_TIMEOUT, the client would not know that it has entered.
      if (message.isAnswered) return false;
      message.ack = false;
      message.isAnswered = true;
      connection.send(welcome);
      return true;
    });
    return undefined;
  };

  const disconnected = (message: Message, connection: Connection): unknown => {
    const arrival = arriving.get(connection.id);
    if (arrival) return arrival.then(() => disconnected(message, connection));
    if (!members.sockets.has(connection.id)) throw members.notJoined();
    leave(connection, 'client namespace disconnect');
    return disconnectedMessage('client namespace disconnect');
  };

  members.binding = {
    runtime,
    opened: nextTurn(),
    disconnect(connection, reason) {
      leave(connection, reason);
      if (connection.isOpen) connection.send(disconnectedMessage(reason));
    },
    isHandled: (type) => node.types().some((known) => canonical(known) === canonical(type)),
  };
  // Listeners of a socket precede built-in handlers that yield, but not handlers of the application.
  context.route((message, connection) => members.find(message, connection), { yields: true });
  const builtIn = { yields: true, raw: true };
  context.registerHandler('*', (message, connection) => members.receive(message, connection), builtIn);
  context.registerHandler('connect', connected, builtIn);
  context.registerHandler('disconnect', disconnected, builtIn);
  context.on('connection:removed', (connection, end) => members.leave(connection.id, disconnectReasonOf(end)));
  if (connect === 'implicit') {
    context.on('connection:added', arrive);
    for (const connection of node.connections.values()) arrive(connection);
  }
  return () => {
    for (const { connection } of [...members.sockets.values()]) leave(connection, 'server namespace disconnect');
    members.binding = undefined;
  };
}
