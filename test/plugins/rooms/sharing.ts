import { MemoryAdapter } from '../../../adapters/memory.ts';
import { MemoryStore } from '../../../adapters/memory/memory-store.ts';
import { StoreData } from '../../../adapters/memory/store-data.ts';
import type { RoomsOptions } from '../../../plugins/rooms.ts';
import { ModuleError, type Lease, type Store } from '../../../index.ts';
import { knowEachOther } from '../../support/nodes.ts';
import type { StartOptions } from '../../support/start.ts';
import { serve, type Serving } from './serving.ts';

/** A store that a test can cut off. */
export class TestStore extends MemoryStore {
  /** Number of reads of documents so far. */
  reads = 0;
  /** Whether documents cannot be read. */
  isUnreadable = false;
  #gate: Promise<void> | undefined;
  #open: () => void = () => undefined;

  override get(...given: Parameters<Store['get']>): ReturnType<Store['get']> {
    this.reads++;
    if (this.isUnreadable) return Promise.reject(new ModuleError('STORE_UNAVAILABLE', { store: this.name, action: 'get' }));
    return super.get(...given);
  }

  override async lease(...given: Parameters<Store['lease']>): Promise<Lease> {
    await this.#gate;
    return super.lease(...given);
  }

  /** Ends the lease, as if it had expired. The node gets no new one until open() is called. */
  async lapse(): Promise<void> {
    this.#gate = new Promise((resolve) => { this.#open = resolve; });
    await this.release();
  }

  open(): void {
    this.#gate = undefined;
    this.#open();
  }
}

/** An adapter with a store of its own. */
class TestAdapter extends MemoryAdapter {
  override readonly store: Store;
  /** The packets that this node received. */
  readonly packets: string[] = [];

  constructor(bus: object, store: Store) {
    super(bus);
    this.store = store;
  }

  override deliver(topic: string, packet: Uint8Array): void {
    this.packets.push(Buffer.from(packet).toString());
    super.deliver(topic, packet);
  }
}

export interface SharedNode extends Serving { readonly store: TestStore; readonly packets: readonly string[] }

export interface Sharing {
  readonly data: StoreData;
  /** Starts another node. */
  readonly start: (options?: RoomsOptions, more?: StartOptions) => Promise<SharedNode>;
}

/** Nodes that share their rooms. */
export function sharing(wrap: (store: TestStore) => Store = (store) => store): Sharing {
  const bus = {};
  const data = new StoreData();
  return {
    data,
    async start(options = {}, more = {}) {
      const store = new TestStore(data);
      const adapter = new TestAdapter(bus, wrap(store));
      return { ...await serve(options, { ...more, adapter }), store, packets: adapter.packets };
    },
  };
}

/** Two nodes with the same options. */
export async function twoNodes(options: RoomsOptions = {}): Promise<[SharedNode, SharedNode]> {
  const { start } = sharing();
  const nodes: [SharedNode, SharedNode] = [await start(options), await start(options)];
  await knowEachOther(...nodes);
  return nodes;
}
