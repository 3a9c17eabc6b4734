import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketModule } from '../../index.ts';
import { cleanup } from './cleanup.ts';
import { LIMIT, brief } from './conformance.ts';
import type { Address } from './raw.ts';
import { close, type Manager, type StartOptions } from './start.ts';

export interface EchoServer extends Address {
  readonly manager: Manager;
  readonly server: Server;
  /** Every `error` event since the start. */
  readonly errors: readonly Error[];
  /** Connections this manager holds. */
  readonly count: () => number;
}

export interface EchoOptions extends StartOptions {
  /** The address to listen on. @default '127.0.0.1' */
  readonly listen?: string;
  readonly http?: ServerOptions;
  /** Answers the requests that are no upgrades. @default 404 */
  readonly onRequest?: RequestListener;
}

/** The kernel with the handlers that the case tables speak of: `echo`, `binary` and `whoami`. */
export async function echoServer({ use = [], listen = '127.0.0.1', http = {}, onRequest, ...options }: EchoOptions = {}): Promise<EchoServer> {
  const server = createServer(http, onRequest ?? ((_request, response) => { response.writeHead(404).end(); }));
  const manager = WebSocketModule.create({ server, maxPayload: LIMIT, ...options });
  cleanup(() => close(server));
  cleanup(() => manager.stop());
  const errors: Error[] = [];
  manager.on('error', (error: Error) => { errors.push(error); });
  for (const item of use) manager.use(item);
  manager.registerHandler('echo', (message) => ({ type: 'echo', content: message.content }));
  manager.registerHandler('binary', (message) => ({ type: 'binary', content: brief(message.content as Buffer) }));
  manager.registerHandler('whoami', (_message, connection) => ({ type: 'whoami', content: connection.ip }));
  server.listen(0, listen);
  await once(server, 'listening');
  await manager.ready();
  return {
    manager, server, errors,
    port: (server.address() as AddressInfo).port,
    path: options.path ?? '/ws',
    count: () => manager.getHealth().connections.active,
  };
}
