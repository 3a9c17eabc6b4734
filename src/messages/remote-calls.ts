import { userTopic, type Connection, type RequestOptions } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import { isRecord, toMessage, type Message, type Outgoing } from '../protocol.ts';
import { nodeOf } from '../runtime/ids.ts';
import type { Hub } from './hub.ts';
import { APPLICATION, KERNEL } from './topic-table.ts';

/** Milliseconds added to the timeout of a request to another node, for the transport through the adapter. */
const ADAPTER_DELAY = 2_000;

/** An action that one node asks another to run. */
type Call =
  | {
    readonly do: 'request';
    readonly connection: string;
    readonly message: Outgoing;
    readonly timeout: number;
    readonly retries: number;
  }
  | { readonly do: 'update'; readonly user: string; readonly changes: Readonly<Record<string, unknown>> }
  | { readonly do: 'disconnect'; readonly user: string; readonly code: number; readonly reason: string };

/** RemoteCalls runs requests, user updates and disconnections on other nodes. */
export class RemoteCalls {
  readonly #hub: Hub;

  constructor(hub: Hub) {
    this.#hub = hub;
    hub.cluster.channels.add('kernel', (call: unknown) => this.#answer(call), KERNEL);
  }

  /**
   * Sends a request to a connection of another node.
   * @throws CONNECTION_UNKNOWN if that node is not running, and the codes of `connection.request()`
   */
  async request(connection: string, message: Outgoing, { timeout, retries, signal }: RequestOptions): Promise<Message> {
    const { cluster, core: { settings: { message: defaults } } } = this.#hub;
    if (signal?.aborted) throw aborted(message, signal);
    const wait = timeout ?? defaults.timeout;
    const attempts = 1 + (retries ?? defaults.maxRetries);
    const call: Call = { do: 'request', connection, message, timeout: wait, retries: attempts - 1 };
    const options = { node: nodeOf(connection), timeout: wait * attempts + ADAPTER_DELAY };
    const work = cluster.channels.ask('kernel', call, options);
    const { answers: [reply], failed: [failure], missing } = await (signal ? abortable(work, message, signal) : work);
    if (failure) throw failure.error;
    if (reply) return toMessage(reply.answer, Infinity);
    if (missing.length > 0 && cluster.peers.has(options.node)) {
      throw new ModuleError('REQUEST_TIMEOUT', { type: message.type, attempts });
    }
    throw new ModuleError('CONNECTION_UNKNOWN', { connection });
  }

  /** Changes a user on all nodes. Returns the number of the user's connections on this one. */
  updateUser(user: string, changes: Readonly<Record<string, unknown>>): number {
    this.#tell({ do: 'update', user, changes });
    return this.#update(user, changes);
  }

  /** Closes a user's connections on all nodes. Returns how many were on this one. */
  disconnectUser(user: string, code: number, reason: string): number {
    this.#tell({ do: 'disconnect', user, code, reason });
    return this.#disconnect(user, code, reason);
  }

  #tell(call: Call): void { this.#hub.cluster.channels.tell('kernel', call); }

  #answer(given: unknown): unknown {
    const call = isRecord(given) ? given as unknown as Call : undefined;
    switch (call?.do) {
      case 'request': {
        const { connection, message, timeout, retries } = call;
        return this.#hub.connection(connection).request(message, { timeout, retries });
      }
      case 'update': return this.#update(call.user, call.changes);
      case 'disconnect': return this.#disconnect(call.user, call.code, call.reason);
      // A later version may have further calls.
      default: throw new ModuleError('PACKET_INVALID', { reason: 'its call is unknown' });
    }
  }

  #update(user: string, changes: Readonly<Record<string, unknown>>): number {
    const connections = this.#connectionsOf(user);
    for (const connection of connections) {
      this.#hub.identify(connection, { ...connection.user, ...changes, id: user }, APPLICATION);
    }
    return connections.length;
  }

  #disconnect(user: string, code: number, reason: string): number {
    const connections = this.#connectionsOf(user);
    for (const connection of connections) connection.close(code, reason);
    return connections.length;
  }

  // An application may have subscribed other connections to the topic.
  #connectionsOf(userId: string): Connection[] {
    return [...this.#hub.subscribers(userTopic(userId))].filter(({ user }) => user?.id === userId);
  }
}

const aborted = ({ type }: Outgoing, { reason }: AbortSignal): ModuleError =>
  new ModuleError('REQUEST_ABORTED', { type }, { cause: reason });

async function abortable<T>(work: Promise<T>, message: Outgoing, signal: AbortSignal): Promise<T> {
  let abort = (): void => undefined;
  const whenAborted = new Promise<never>((_, reject) => (abort = () => reject(aborted(message, signal))));
  signal.addEventListener('abort', abort);
  return Promise.race([work, whenAborted]).finally(() => signal.removeEventListener('abort', abort));
}
