import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { serve } from '../child.ts';
import { percentile } from '../timing.ts';

interface Report { readonly count: number; readonly p50: number; readonly p99: number; readonly max: number }

const clients: WebSocket[] = [];
let measuring: Promise<number[]> | undefined;
let running = false;

/** How many numbered messages each client has got in order, or -1 once one was out of order. */
let progress: number[] = [];
let told: { upTo: number; resolve: () => void } | undefined;

function roundTrip(client: WebSocket): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    client.once('message', () => { resolve(performance.now() - start); });
    client.once('close', () => { reject(new Error('an honest client was closed')); });
    client.send('{"type":"echo","content":"probe"}');
  });
}

async function sample(): Promise<number[]> {
  const samples: number[] = [];
  await Promise.all(clients.map(async (client) => {
    client.setMaxListeners(0);
    while (running) {
      samples.push(await roundTrip(client));
      client.removeAllListeners('close');
      await delay(10);
    }
  }));
  return samples;
}

function report(samples: readonly number[]): Report {
  return { count: samples.length, p50: percentile(samples, 0.5), p99: percentile(samples, 0.99), max: Math.max(...samples) };
}

/** Honest clients in a process of their own, so that their latency is the server's and not the attacker's. */
export const calls = {
  async connect(port: number, count: number, localAddress = '127.0.0.1') {
    await Promise.all(Array.from({ length: count }, () => new Promise((resolve, reject) => {
      const client = new WebSocket(`ws://127.0.0.1:${port}/ws`, { localAddress, perMessageDeflate: false });
      client.on('error', reject);
      client.once('open', resolve);
      clients.push(client);
    })));
  },
  /** Begins to measure round trips. */
  begin() {
    running = true;
    measuring = sample();
    measuring.catch(() => { /* told by `finish` */ });
  },
  /** Ends it, and tells how they were. */
  async finish(): Promise<Report> {
    running = false;
    return report(await measuring ?? []);
  },
  open: () => clients.filter((client) => client.readyState === WebSocket.OPEN).length,
  /** From now on counts the messages `{"n":0…}`, `{"n":1…}` that each client gets. */
  countNumbered() {
    progress = clients.map(() => 0);
    clients.forEach((client, index) => {
      client.on('message', (data: Buffer) => {
        const at = data.indexOf('"n":');
        if (at < 0 || progress[index]! < 0) return;
        progress[index] = parseInt(data.toString('latin1', at + 4, at + 16), 10) === progress[index] ? progress[index] + 1 : -1;
        if (told && progress.every((count) => count < 0 || count >= told!.upTo)) {
          told.resolve();
          told = undefined;
        }
      });
    });
  },
  /** Resolves when every client has got so many, or one is out of order. */
  async numbered(upTo: number) {
    if (!progress.every((count) => count < 0 || count >= upTo)) await new Promise<void>((resolve) => { told = { upTo, resolve }; });
    return progress.filter((count) => count < 0).length;
  },
  progress: () => [Math.min(...progress), Math.max(...progress)] as const,
};

serve(calls);
