import { Redis as IoRedis } from 'ioredis';
import { createClient } from 'redis';
import { RedisAdapter } from '../../adapters/redis.ts';
import type { HealthReport } from '../../src/index.ts';
import { cleanup } from './cleanup.ts';

/** The ways to give a Redis to the adapter. */
export const CLIENTS = {
  'redis': (port: number) => ({ url: `redis://127.0.0.1:${port}` }),
  'a client of redis': (port: number) => ({ client: createClient({ url: `redis://127.0.0.1:${port}` }) }),
  'a client of ioredis': (port: number) => ({ client: new IoRedis(port, '127.0.0.1', { lazyConnect: true }) }),
} as const;

export interface RedisPeer {
  readonly adapter: RedisAdapter;
  readonly received: { readonly topic: string; readonly text: string }[];
  /** Each report since the start in which the status or the reason was another one, with its time. */
  readonly reports: { readonly report: HealthReport; readonly at: number }[];
  readonly interruptions: string[];
  publish(topic: string, text: string): Promise<void>;
  subscribe(...topics: string[]): Promise<void>;
  status(): Promise<string>;
}

/** A started adapter that keeps what it receives. Stopped when the test is over. */
export async function redisPeer(options: ConstructorParameters<typeof RedisAdapter>[0]): Promise<RedisPeer> {
  const adapter = new RedisAdapter(options);
  const received: RedisPeer['received'] = [];
  const reports: RedisPeer['reports'] = [];
  const interruptions: string[] = [];
  cleanup(() => adapter.stop());
  await adapter.start({
    id: 'node',
    receive: (topic, packet) => received.push({ topic, text: Buffer.from(packet).toString() }),
    healthChanged() {
      const at = performance.now();
      void adapter.check().then((report) => reports.push({ report, at }));
    },
    interrupted: (reason) => interruptions.push(reason),
  });
  return {
    adapter,
    received,
    reports,
    interruptions,
    publish: (topic, text) => adapter.publish(topic, Buffer.from(text)),
    async subscribe(...topics) { await Promise.all(topics.map(async (topic) => adapter.subscribe(topic))); },
    status: async () => (await adapter.check()).status,
  };
}
