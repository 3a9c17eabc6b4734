import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketModule, type Options, type Usable, type WebSocketManager } from '../index.ts';
import { cleanup, CleanupList } from './cleanup.ts';
import { connect, type Client, type ConnectOptions } from './client.ts';

export type Manager = WebSocketManager;

/** The options of `WebSocketModule.create()`, without `server` and `port`. */
export type StartOptions = Omit<Options, 'server' | 'port'> & {
  /** Items for use(): plugins, layers, and names of built-ins. */
  use?: readonly Usable[] | undefined;
  /** Creates the manager. @default WebSocketModule.create */
  create?: ((options: Options) => Manager) | undefined;
};

export interface Started {
  readonly manager: Manager;
  readonly server: Server;
  readonly port: number;
  /** The URL for clients, with the path. */
  readonly url: string;
  /** Connects a client to this server. `search` is added to the URL: `?token=…`. */
  readonly connect: (options?: ConnectOptions & { search?: string | undefined }) => Promise<Client>;
  /** Stops the clients, then the manager, then the server. A second call does nothing. */
  readonly stop: () => Promise<void>;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
}

/**
 * Starts a server with a manager on a free port of 127.0.0.1. Resolves when everything in `use` is loaded, and rejects
 * with the first failure. `stop()`, `await using` and `stopAll()` stop it.
 *
 * @example
 * await using started = await start({ use: [rooms(), polls()] });
 * const client = await started.connect();
 */
export async function start(given: StartOptions = {}): Promise<Started> {
  const { use = [], create = WebSocketModule.create, ...options } = given;
  const server = createServer();
  const manager = create({ server, ...options });
  const cleanups = new CleanupList();
  const stop = cleanup(() => cleanups.run());
  cleanups.add(() => close(server));
  cleanups.add(() => manager.stop());
  try {
    manager.use(use);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    await manager.ready();
  } catch (error) {
    await stop();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  const url = `ws://127.0.0.1:${port}${options.path ?? '/ws'}`;
  return {
    manager,
    server,
    port,
    url,
    async connect({ search = '', ...rest } = {}) {
      const client = await connect(url + search, rest);
      cleanups.add(() => client.terminate());
      return client;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Closes a server and its connections. */
export async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
