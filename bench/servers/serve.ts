import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { Session } from 'node:inspector';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer, type Answers } from '../ipc.ts';

export interface ServerSettings { readonly compression: boolean }
/** How a node of several reaches the others. */
export interface NodeSettings { readonly url: string; readonly isSharded: boolean }

/** CPU in microseconds, of all threads, and milliseconds, both since some time. */
export interface ServerSample { readonly at: number; readonly cpu: number }
/** Bytes, after a garbage collection. */
export interface MemorySample { readonly heap: number; readonly rss: number }

async function listen(attach: (server: Server) => void | Promise<void>): Promise<number> {
  const server = createServer();
  await attach(server);
  server.listen(0, '127.0.0.1', 4_096);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function sample(): ServerSample {
  const { user, system } = process.cpuUsage();
  return { at: performance.now(), cpu: user + system };
}

/** One of several server processes that Redis connects. `more` has further questions that it answers. */
export function serveNode(
  attach: (server: Server, settings: NodeSettings) => void | Promise<void>, more: Answers = {},
): void {
  answer({ listen: (settings: NodeSettings) => listen((server) => attach(server, settings)), sample, ...more });
}

/** A server process: an http server, what a contender puts on it, and how it is measured, which is the same for all. */
export function serve(attach: (server: Server, settings: ServerSettings) => void | Promise<void>): void {
  const profiler = new Session();

  answer({
    listen: (settings: ServerSettings) => listen((server) => attach(server, settings)),
    sample,
    async memory(): Promise<MemorySample> {
      // What was closed or handed to other threads needs a while to be garbage.
      for (let times = 0; times < 4; times++) {
        await sleep(50);
        gc!();
      }
      const { heapUsed, external, rss } = process.memoryUsage();
      return { heap: heapUsed + external, rss };
    },
    startProfile(): void {
      profiler.connect();
      profiler.post('Profiler.enable');
      profiler.post('Profiler.setSamplingInterval', { interval: 200 });
      profiler.post('Profiler.start');
    },
    stopProfile: () => new Promise((resolve, reject) => {
      profiler.post('Profiler.stop', (error, { profile }) => error ? reject(error) : resolve(profile));
    }),
  });
}
