import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { gracefulShutdown, WebSocketModule, type Options, type WebSocketManager } from '../../../src/index.ts';
import { serve } from '../child.ts';

let manager: WebSocketManager;
let handled = 0;

/** What the process of an application can be asked for that ends gracefully when it is told to. */
export const calls = {
  /** @param work milliseconds that a handler takes; `null` for ever */
  async start(options: Partial<Options>, work: number | null, retryWithin: number) {
    const server = createServer((_request, response) => { response.writeHead(404).end(); });
    manager = WebSocketModule.create({ server, ...options });
    manager.registerHandler('work', async () => {
      await (work === null ? new Promise(() => {}) : delay(work));
      handled++;
      return 'done';
    });
    gracefulShutdown(manager, { server, retryWithin, onExit: () => new Promise((resolve) => process.stdout.write(`handled ${handled}`, () => { resolve(); })) });
    server.listen(0, '127.0.0.1', 4_096);
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port, pid: process.pid };
  },
  count: () => manager.connections.size,
};

serve(calls);
