import { createServer, type ServerOptions as HttpOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ServerOptions, WebSocketServer } from 'ws';
import { LIMIT, brief } from './conformance.ts';
import type { Address } from './raw.ts';

export interface BareServer extends Address {
  readonly clients: ReadonlySet<unknown>;
  stop(): Promise<void>;
}

/** Plain `ws` with the same echo and nothing else: the control that every number and every case is held against. */
export async function bareEcho(options: ServerOptions = {}, http: HttpOptions = {}): Promise<BareServer> {
  const server = createServer(http, (_request, response) => response.writeHead(404).end());
  const sockets = new WebSocketServer({ server, path: '/ws', maxPayload: LIMIT, ...options });
  sockets.on('connection', (socket) => {
    socket.on('error', () => { /* 'close' follows */ });
    socket.on('message', (data: Buffer, binary) => {
      socket.send(JSON.stringify(binary ? { type: 'binary', content: brief(data) } : answer(data.toString())));
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    port: (server.address() as AddressInfo).port,
    path: '/ws',
    clients: sockets.clients,
    async stop() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.closeAllConnections();
      await new Promise((resolve) => { server.close(resolve); });
    },
  };
}

function answer(text: string): unknown {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === 'object' && message !== null ? message : { type: 'error', content: { code: 'INVALID_MESSAGE' } };
  } catch {
    return { type: 'error', content: { code: 'INVALID_JSON' } };
  }
}
