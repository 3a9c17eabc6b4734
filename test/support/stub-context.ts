import type { Collector, Connection, FrameGuard, Hooks, Layer, Metric, Metadata, Plugin, PluginContext } from '../../index.ts';

/** A plugin set up without a server: what it added is there to be called. */
export interface Stub {
  readonly layers: readonly Layer[];
  readonly guards: readonly FrameGuard[];
  readonly periodic: readonly (() => unknown)[];
  readonly later: { readonly milliseconds: number; readonly work: () => void }[];
  readonly metrics: () => Readonly<Record<string, Metric | number>>;
  tell<E extends keyof Hooks>(event: E, ...args: Parameters<Hooks[E]>): void;
  unload(): void;
}

/** For tests of many thousand calls, where a server's own work would hide what is measured. */
export function setUp(plugin: Plugin<any, any, any>, connections: readonly Connection[] = [], more: Partial<PluginContext> = {}): Stub {
  const abort = new AbortController();
  const layers: Layer[] = [];
  const guards: FrameGuard[] = [];
  const periodic: (() => unknown)[] = [];
  const later: { milliseconds: number; work: () => void }[] = [];
  const cleanups: (() => unknown)[] = [];
  const listeners: { event: keyof Hooks; listener: (...args: any[]) => void }[] = [];
  let collect: Collector = () => ({});
  const context: Partial<PluginContext> = {
    name: plugin.name,
    signal: abort.signal,
    node: { connections: new Map(connections.map((connection) => [connection.id, connection])) } as unknown as PluginContext['node'],
    use: (layer) => void layers.push(layer),
    guardFrames: (guard) => void guards.push(guard),
    on: (event, listener) => void listeners.push({ event, listener }),
    every: (_milliseconds, work) => void periodic.push(work),
    after(milliseconds, work) {
      later.push({ milliseconds, work });
      return () => {};
    },
    metrics: (collector) => { collect = collector; },
    onUnload: (cleanup) => void cleanups.push(cleanup),
    ...more,
  };
  void plugin.setup(context as PluginContext, {});
  return {
    layers, guards, periodic, later,
    metrics: () => collect(),
    tell: (told, ...args) => { for (const { event, listener } of listeners) if (event === told) listener(...args); },
    unload() {
      abort.abort();
      for (const cleanup of cleanups.reverse()) void cleanup();
    },
  };
}

/** A connection that is nothing but its own. */
export function stubConnection(more: Partial<Connection> & { id: string }): Connection {
  const metadata: Metadata = { ip: more.ip ?? '192.0.2.1' };
  return { sessionId: '', protocol: '', connectedAt: 0, age: 0, isOpen: true, isPaused: false, isHeld: false, waitingBytes: 0, metadata, ip: metadata.ip, send: () => true, close() {}, request: () => Promise.reject(new Error('none')), ...more };
}
