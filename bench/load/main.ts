import { answer } from '../ipc.ts';
import { scenarioOf } from '../scenarios/index.ts';
import { Client, type Address } from './client.ts';
import { dialects } from './dialects.ts';
import type { Traffic } from './traffic.ts';

export interface OpenOptions {
  readonly scenario: string;
  readonly dialect: keyof typeof dialects;
  readonly port: number;
  readonly clients: number;
}

/** What came until now, by the load's own clock. */
export interface LoadSample { readonly at: number; readonly count: number; readonly latencies?: number[] }

/** Handshakes at a time. */
const AT_ONCE = 64;

let clients: Client[] = [];
let traffic: Traffic | undefined;
let connected = 0;

// Some systems have one loopback address. On Linux there are enough that no number of connections runs out of ports.
const addressOf = (index: number): string | undefined =>
  process.platform === 'linux' ? `127.0.0.${2 + index % 200}` : undefined;

async function open({ scenario: name, dialect: words, port, clients: count }: OpenOptions): Promise<void> {
  const scenario = scenarioOf(name);
  const dialect = dialects[words];
  const address: Address = { port, dialect, compression: scenario.compression ?? false };
  const connect = (): Promise<Client> => Client.connect(address, addressOf(connected++));
  clients = [];
  while (clients.length < count) {
    const length = Math.min(AT_ONCE, count - clients.length);
    clients.push(...await Promise.all(Array.from({ length }, connect)));
  }
  traffic = scenario.traffic({ clients, dialect, connect });
  await traffic.prove();
}

async function close(): Promise<void> {
  await traffic?.stop?.();
  for (const client of clients) client.destroy();
}

function sample(): LoadSample {
  const latencies = traffic!.latencies?.();
  return { at: performance.now(), count: traffic!.count, ...(latencies ? { latencies } : {}) };
}

answer({ open, start: () => traffic!.start(), sample, close });
