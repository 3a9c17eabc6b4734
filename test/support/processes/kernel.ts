import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketModule } from '../../../index.ts';
import { definePlugin, type Node } from '../../../src/index.ts';
import { serve } from '../child.ts';
import { brief } from '../conformance.ts';

type Options = Parameters<typeof WebSocketModule.create>[0];
type Manager = ReturnType<typeof WebSocketModule.create>;

let manager: Manager;
let node: Node;
let deepest = 0;
const removals: { readonly code: number; readonly at: number }[] = [];
const drops: number[] = [];
const failures: string[] = [];

process.on('uncaughtException', (error) => { failures.push(error.stack ?? error.message); });
process.on('unhandledRejection', (error) => { failures.push(String(error)); });

/** Looks at the kernel from where plugins do. */
const lab = definePlugin({
  name: 'lab',
  setup(context) {
    ({ node } = context);
    context.on('connection:removed', (_connection, { code }) => { removals.push({ code, at: performance.now() }); });
    context.on('message:dropped', ({ code }) => { if (code === 'OUTBOX_FULL') drops.push(performance.now()); });
  },
});

/** Bytes that wait for the slowest client. */
function queued(): number {
  const connections = [...node.connections.values()] as unknown as { outbox: { bytes: number } }[];
  return Math.max(0, ...connections.map(({ outbox }) => outbox.bytes));
}

/** What the kernel's process can be asked for. */
export const calls = {
  async start(options: Options = {}, layers: readonly (readonly [file: string, options?: object])[] = [], others = false) {
    const server = createServer({ connectionsCheckingInterval: 500 }, (_request, response) => { response.writeHead(404).end(); });
    manager = WebSocketModule.create({ server, ...options });
    manager.use(lab);
    for (const [file, settings] of layers) {
      const { default: layer } = await import(new URL(`../../../${file}`, import.meta.url).href) as { default: (options?: object) => any };
      manager.use(layer(settings));
    }
    manager.registerHandler('echo', (message) => ({ type: 'echo', content: message.content }));
    manager.registerHandler('binary', (message) => ({ type: 'binary', content: brief(message.content as Buffer) }));
    // Fails, and quotes what a client sent.
    manager.registerHandler('fail', ({ content }) => { throw new Error(`no: ${String(content)}`); });
    // Settles when the manager stops, and not before.
    manager.registerHandler('slow', () => new Promise<void>((resolve) => { manager.on('stopping', resolve); }));
    if (others) server.on('upgrade', () => { /* takes it, and forgets it */ });
    server.listen(0, '127.0.0.1', 4_096);
    await once(server, 'listening');
    await manager.ready();
    return (server.address() as AddressInfo).port;
  },
  memory() {
    global.gc!();
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
    return { rss, heapUsed, external, arrayBuffers };
  },
  /** Milliseconds of processor time that this process has used. */
  cpu() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
  count: () => manager.getHealth().connections.active,
  metrics: () => JSON.parse(JSON.stringify(manager.getMetrics())) as Record<string, any>,
  /** Publishes distinct numbered messages of so many bytes to everyone. Tells the most bytes that ever waited for one client. */
  broadcast(from: number, count: number, size: number) {
    for (let n = from; n < from + count; n++) {
      manager.broadcast({ type: 'tick', content: { n, text: String(n).padEnd(size, 'abcdefgh') } });
      deepest = Math.max(deepest, queued());
    }
    return deepest;
  },
  queued,
  /** Every connection that ended, and the milliseconds from the first message that it could not be given. */
  removals: () => removals.map(({ code, at }) => ({ code, after: at - (drops[0] ?? at) })),
  /** What went uncaught in this process. */
  failures: () => failures,
};

serve(calls);
