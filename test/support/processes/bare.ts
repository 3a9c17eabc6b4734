import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ServerOptions, WebSocketServer } from 'ws';
import { serve } from '../child.ts';

let sockets: WebSocketServer;

/** What the control's process can be asked for: plain `ws`, with a cap on its clients where one is given. */
export const calls = {
  async start({ cap = Infinity, ...options }: ServerOptions & { cap?: number } = {}) {
    const server = createServer((_request, response) => { response.writeHead(404).end(); });
    sockets = new WebSocketServer({
      ...options, server, path: '/ws',
      verifyClient: (_info, next) => { if (sockets.clients.size < cap) next(true); else next(false, 503); },
    });
    sockets.on('connection', (socket) => {
      socket.on('error', () => { /* 'close' follows */ });
      socket.on('message', (data: Buffer) => { socket.send(data.toString()); });
    });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', 4_096, resolve); });
    return (server.address() as AddressInfo).port;
  },
  memory() {
    global.gc!();
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
    return { rss, heapUsed, external, arrayBuffers };
  },
  count: () => sockets.clients.size,
};

serve(calls);
