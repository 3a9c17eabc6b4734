import type { Adapter } from '../index.ts';
import { withCleanups, type CleanupList } from './cleanup.ts';
import type { Client } from './client.ts';
import { start, type Manager, type Started, type StartOptions } from './start.ts';

/** Creates an adapter of a bus. */
export type MakeAdapter = () => Adapter;
/** Creates a new bus without nodes. Returns a function that creates its adapters. */
export type MakeBus = () => MakeAdapter | Promise<MakeAdapter>;

interface Packet { readonly topic: string; readonly text: string; readonly packet: Uint8Array }

/** A node that uses an adapter without a manager. */
export interface Peer {
  readonly adapter: Adapter;
  readonly received: Packet[];
  publish(topic: string, text: string): Promise<void>;
  subscribe(topic: string): Promise<void>;
}

interface Cluster { readonly managers: Manager[]; readonly clients: Client[]; readonly errors: Error[] }

export interface AdapterTest { readonly title: string; readonly body: (bench: AdapterBench) => Promise<void> }

export const adapterTest = (title: string, body: AdapterTest['body']): AdapterTest => ({ title, body });

/** Runs one test with a new bench, and stops everything that the test started. */
export const runAdapterTest = ({ body }: AdapterTest, make: MakeBus): Promise<void> =>
  withCleanups((cleanups) => body(new AdapterBench(make, cleanups)));

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const ignore = () => undefined;
const QUIET = { debug: ignore, info: ignore, warn: ignore, error: ignore };
const asUser = { type: 'connection', handler: () => ({ user: { id: 'user' } }) } as const;

/** Creates the nodes and managers of one test. */
export class AdapterBench {
  readonly make: MakeBus;
  readonly cleanups: CleanupList;

  constructor(make: MakeBus, cleanups: CleanupList) {
    this.make = make;
    this.cleanups = cleanups;
  }

  /** Creates nodes on a new bus. */
  async peers(count: number): Promise<Peer[]> {
    const adapter = await this.make();
    return Promise.all(Array.from({ length: count }, (_, index) => this.peer(adapter(), `node-${index}`)));
  }

  async peer(adapter: Adapter, id: string): Promise<Peer> {
    const received: Packet[] = [];
    this.cleanups.add(() => adapter.stop());
    await adapter.start({
      id,
      receive(topic, packet) {
        received.push({ topic, packet: Uint8Array.from(packet), text: Buffer.from(packet).toString() });
      },
    });
    return {
      adapter,
      received,
      publish: async (topic, text) => adapter.publish(topic, bytes(text)),
      subscribe: async (topic) => adapter.subscribe(topic),
    };
  }

  /** Starts a manager that logs nothing. */
  async manager(options: StartOptions): Promise<Started> {
    const started = await start({ logger: QUIET, ...options });
    this.cleanups.add(started.stop);
    return started;
  }

  /** Starts managers on a new bus, and connects a client to each. The user of every client has the id `user`. */
  async cluster(count: number): Promise<Cluster> {
    const adapter = await this.make();
    const errors: Error[] = [];
    const started: Started[] = [];
    for (let index = 0; index < count; index++) {
      const one = await this.manager({ adapter: adapter(), nodeId: `n${index}`, use: [asUser] });
      one.manager.on('error', (error) => errors.push(error));
      started.push(one);
    }
    return {
      managers: started.map(({ manager }) => manager),
      clients: await Promise.all(started.map(({ connect }) => connect())),
      errors,
    };
  }
}
