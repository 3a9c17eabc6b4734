import { MemoryAdapter } from '../../adapters/memory.ts';
import { ModuleError, type Adapter, type Store } from '../../index.ts';

type Calls = Exclude<keyof Store, 'name' | 'watch'>;

/** A store behind a network that the test controls. */
export interface Network {
  readonly store: Store;
  /** `refuse`: calls fail at once. `silence`: calls are done, and their answers wait until the network is `up`. */
  mode: 'up' | 'refuse' | 'silence';
  /** The names of the calls so far. */
  readonly calls: string[];
}

const METHODS: readonly Calls[] = [
  'lease', 'renew', 'release', 'reap', 'held', 'get', 'put', 'delete', 'touch', 'enter', 'leave', 'members', 'sizes', 'take',
];

export function network(inner: Store): Network {
  let waiting: (() => void)[] = [];
  let mode: Network['mode'] = 'up';
  const calls: string[] = [];
  const call = (name: Calls) => async (...given: unknown[]): Promise<unknown> => {
    calls.push(name);
    if (mode === 'refuse') throw new ModuleError('STORE_UNAVAILABLE', { store: 'memory', action: name });
    const isSilent = mode === 'silence';
    const answer = (inner[name] as (...all: unknown[]) => Promise<unknown>)(...given);
    if (isSilent) await new Promise<void>((resolve) => { waiting.push(resolve); });
    return answer;
  };
  const store = {
    name: 'memory',
    watch: (listener: (key: string | undefined) => void) => inner.watch(listener),
    ...Object.fromEntries(METHODS.map((name) => [name, call(name)])),
  } as unknown as Store;
  return {
    store, calls,
    get mode() { return mode; },
    set mode(next) {
      mode = next;
      if (next !== 'up') return;
      for (const resolve of waiting) resolve();
      waiting = [];
    },
  };
}

/** A memory adapter whose store is behind a network that the test controls. */
export function behindNetwork(bus: object = {}): { readonly adapter: Adapter; readonly network: Network } {
  const adapter = new MemoryAdapter(bus);
  const net = network(adapter.store);
  return { adapter: Object.defineProperty(adapter, 'store', { value: net.store }), network: net };
}
