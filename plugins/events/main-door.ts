import { canonical, isRecord, ModuleError, type Connection, type Message } from '../../src/index.ts';
import { reasonOf, type DisconnectReason } from './disconnect-reason.ts';
import type { Handshakes } from './handshake.ts';
import { nextTurn, type Host } from './host.ts';
import type { Members } from './members.ts';

/** Names of events for which a handler that yields has been looked for; a server that listens to more of them makes them up. */
const MOST_NAMES = 1_000;

/** Opens the main namespace: the kernel's own connections, and the messages that have no other handler. Returns the undo. */
export function openMain(members: Members, host: Host, handshakes: Handshakes, connect: 'implicit' | 'explicit'): () => void {
  const { context } = host;
  const { node } = context;
  /** Those on their way in. What they send meanwhile waits. */
  const arriving = new Map<string, Promise<void>>();
  const names = new Set<string>();

  const leave = (connection: Connection, reason: DisconnectReason): void => {
    node.unsubscribe(connection, members.topic);
    members.leave(connection.id, reason);
  };
  const parting = (reason: DisconnectReason) => ({ type: context.named('disconnected'), content: { namespace: '/', reason } });

  /** Does it at once, or when somebody who is on his way in has arrived. */
  const settled = (connection: Connection, work: () => unknown): unknown => {
    const arrival = arriving.get(connection.id);
    return arrival ? arrival.then(work) : work();
  };
  const receive = (message: Message, connection: Connection): unknown => settled(connection, () => members.receive(message, connection));

  /** @param welcome asked when all is well; with `false`, it is not let in. @throws what refuses it */
  const enter = (connection: Connection, credentials: unknown, welcome: () => boolean): Promise<void> => {
    const entering = async (): Promise<void> => {
      const membership = await members.prepare(connection, handshakes.of(connection, credentials));
      if (!welcome()) return membership.end('server namespace disconnect');
      node.subscribe(connection, members.topic);
      members.enter(membership);
    };
    const entered = entering();
    arriving.set(connection.id, entered.catch(() => undefined).then(() => void arriving.delete(connection.id)));
    return entered;
  };

  const arrive = (connection: Connection): void => {
    enter(connection, undefined, () => true).catch((error: unknown) => {
      if (!connection.isOpen) return;
      const isTold = error instanceof ModuleError && error.expose;
      if (!isTold) members.report(error, connection);
      const { code, message, details } = isTold ? error : new ModuleError('INTERNAL_ERROR');
      const told = { code, message, namespace: '/' };
      // Where the details are what cannot be written, the code and the text can.
      if (!connection.send({ type: 'error', content: { ...details, ...told } })) connection.send({ type: 'error', content: told });
    });
  };

  members.door = {
    host,
    opened: nextTurn(),
    expel(connection, reason) {
      leave(connection, reason);
      if (connection.isOpen) connection.send(parting(reason));
    },
    // The built-in handlers yield to an application's, and a listener is the application's word; a handler of its own stands.
    listens(event) {
      const name = canonical(event);
      if (context.signal.aborted || names.has(name) || names.size >= MOST_NAMES || !node.types().includes(name)) return;
      names.add(name);
      try {
        context.registerHandler(name, receive);
      } catch (error) {
        if (!(error instanceof ModuleError) || error.code !== 'DUPLICATE') throw error;
      }
    },
  };

  context.registerHandler('*', receive, { yields: true });
  context.registerHandler('connect', async (message, connection) => {
    const content = { namespace: '/', connectionId: connection.id };
    const connected = { type: context.named('connected'), content, ...(message.id === undefined ? {} : { replyTo: message.id }) };
    for (let arrival = arriving.get(connection.id); arrival; arrival = arriving.get(connection.id)) await arrival;
    if (members.sockets.has(connection.id)) return connected;
    await enter(connection, credentialsOf(message), () => {
      // Told that it took too long, it does not know that it is in.
      if (message.isAnswered) return false;
      message.ack = false;
      message.isAnswered = true;
      connection.send(connected);
      return true;
    });
    return undefined;
  }, { yields: true });
  context.registerHandler('disconnect', (_message, connection) => settled(connection, () => {
    if (!members.sockets.has(connection.id)) throw members.notJoined();
    leave(connection, 'client namespace disconnect');
    return parting('client namespace disconnect');
  }), { yields: true });
  context.on('connection:removed', (connection, end) => members.leave(connection.id, reasonOf(end)));
  if (connect === 'implicit') {
    context.on('connection:added', arrive);
    for (const connection of node.connections.values()) arrive(connection);
  }
  return () => {
    for (const { connection } of [...members.sockets.values()]) leave(connection, 'server namespace disconnect');
    members.door = undefined;
  };
}

/** The content of a message, with the fields beside it. */
function credentialsOf({ content, fields }: Message): unknown { return isRecord(content) ? { ...fields, ...content } : content; }
