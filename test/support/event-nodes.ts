import { MemoryAdapter } from '../../adapters/memory.ts';
import { encodePacket } from '../../src/cluster/packet.ts';
import type { EventsOptions } from '../../plugins/events.ts';
import { cleanup } from './cleanup.ts';
import { errorsOf, serve, type Served } from './events.ts';
import type { StartOptions } from './start.ts';
import { eventually } from './timing.ts';

/** An adapter that can be cut off: it hears nothing, as a node that hangs. */
export class DeafAdapter extends MemoryAdapter {
  isDeaf = false;

  override async start(node: Parameters<MemoryAdapter['start']>[0]): Promise<void> {
    return super.start({ ...node, receive: (topic, packet) => { if (!this.isDeaf) node.receive(topic, packet); } });
  }
}

export interface EventNode extends Served { readonly adapter: DeafAdapter; readonly errors: Error[] }

/** Servers of sockets on one bus, which know each other. */
export async function eventNodes(ids: readonly string[], options: EventsOptions = {}, more: StartOptions = {}, bus: object = {}): Promise<EventNode[]> {
  const nodes = await Promise.all(ids.map(async (nodeId) => {
    const adapter = new DeafAdapter(bus);
    const served = await serve(options, { ...more, nodeId, adapter });
    return { ...served, adapter, errors: errorsOf(served) };
  }));
  const known = () => nodes.map(({ manager }) => manager.inspect()['nodes']);
  await eventually('all nodes know each other', () => known().every((count) => count! >= nodes.length - 1) || known());
  return nodes;
}

/** Sends forged packets to the channel of the sockets on all nodes of a bus. */
export async function forger(bus: object): Promise<(payload: unknown, ask?: number) => void> {
  const adapter = new MemoryAdapter(bus);
  await adapter.start({ id: 'forger', receive: () => undefined });
  cleanup(() => adapter.stop());
  let n = 0;
  return (payload, ask) => adapter.publish('*', encodePacket({ from: 'forger', run: 'r', n: ++n, prev: 0 }, { channel: 'events:sockets', payload, ask }));
}
