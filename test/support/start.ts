import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketModule, type Options, type Usable, type WebSocketManager } from '../../index.ts';
import { cleanup } from './cleanup.ts';
import { connect, type Client, type ConnectOptions } from './client.ts';

export type Manager = WebSocketManager;

export type StartOptions = Omit<Options, 'server' | 'port'> & {
  use?: readonly Usable[];
  /** Makes the manager. @default the package's door, with its built-ins */
  create?: (options: Options) => Manager;
};

export interface Started {
  readonly manager: Manager;
  readonly server: Server;
  readonly port: number;
  /** Where clients connect, with the path. */
  readonly url: string;
  readonly connect: (options?: ConnectOptions & { search?: string }) => Promise<Client>;
}

/** A server of our own on a free port, ready. Stopped when the test is over, after its clients are gone. */
export async function start({ use = [], create = WebSocketModule.create, ...options }: StartOptions = {}): Promise<Started> {
  const server = createServer();
  const manager = create({ server, ...options });
  cleanup(() => close(server));
  cleanup(() => manager.stop());
  manager.use(use);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await manager.ready();
  const { port } = server.address() as AddressInfo;
  const url = `ws://127.0.0.1:${port}${options.path ?? '/ws'}`;
  return { manager, server, port, url, connect: ({ search = '', ...rest } = {}) => connect(url + search, rest) };
}

/** Closes a server, and what is still connected to it. */
export async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
