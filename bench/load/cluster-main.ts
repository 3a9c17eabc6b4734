import { setTimeout as sleep } from 'node:timers/promises';
import { clusterScenarios } from '../cluster/cluster-scenarios.ts';
import { answer } from '../ipc.ts';
import { Client } from './client.ts';
import { assertAnswer, dialects } from './dialects.ts';
import { fanOut } from './fan-out.ts';
import { textFrame } from './frames.ts';
import type { LoadSample } from './main.ts';
import { answerTo } from './pipeline.ts';
import type { Traffic } from './traffic.ts';

export interface OpenClusterOptions {
  readonly scenario: string;
  readonly dialect: keyof typeof dialects;
  /** One for each node. */
  readonly ports: readonly number[];
  readonly groups: number;
}

/** Handshakes at a time. */
const AT_ONCE = 64;
/** Milliseconds until what clients joined is known to all nodes: the sharded adapter does not tell when. */
const SETTLING = 1_000;

let clients: Client[] = [];
let traffic: Traffic | undefined;
let connected = 0;

async function open({ scenario: name, dialect: words, ports, groups }: OpenClusterOptions): Promise<void> {
  const { burst, clientsPerGroup, join, nodeOf, request } = clusterScenarios.find((one) => one.name === name)!;
  const dialect = dialects[words];
  const total = groups * clientsPerGroup;
  const connect = (index: number): Promise<Client> => {
    const port = ports[nodeOf(index % groups, Math.floor(index / groups))]!;
    return Client.connect({ port, dialect, compression: false }, `127.0.0.${2 + connected++ % 200}`);
  };
  clients = [];
  while (clients.length < total) {
    const length = Math.min(AT_ONCE, total - clients.length);
    const first = clients.length;
    clients.push(...await Promise.all(Array.from({ length }, (_, index) => connect(first + index))));
    if (!join) continue;
    await Promise.all(clients.slice(first).map(async (client, index) => {
      const question = join((first + index) % groups);
      const joined = client.collect(1);
      client.send(textFrame(dialect.encode(question, 0)));
      assertAnswer((await joined)[0]!, dialect, answerTo(question, dialect.nameOf(question, 0)));
    }));
  }
  await sleep(SETTLING);
  traffic = fanOut({ clients, dialect, connect: () => connect(0) }, { request, groups, burst });
  await traffic.prove();
}

async function close(): Promise<void> {
  await traffic?.stop?.();
  for (const client of clients) client.destroy();
}

const sample = (): LoadSample => ({ at: performance.now(), count: traffic!.count });

answer({ open, start: () => traffic!.start(), sample, close });
