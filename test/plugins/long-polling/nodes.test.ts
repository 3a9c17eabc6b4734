import { once } from 'node:events';
import { request } from 'node:http';
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net';
import { expect } from 'chai';
import { MemoryAdapter } from '../../../adapters/memory.ts';
import { longPolling, type LongPollingOptions } from '../../../plugins/long-polling.ts';
import { cleanup } from '../../support/cleanup.ts';
import { knowEachOther } from '../../support/nodes.ts';
import { connectPolling } from '../../support/polling-client.ts';
import { start } from '../../support/start.ts';
import { eventually } from '../../support/timing.ts';

/** Hands each TCP connection to the next of these ports; without keep-alive, each request goes to another one. */
async function roundRobin(ports: readonly number[]): Promise<number> {
  let turn = 0;
  const server = createServer((client) => {
    const upstream = connectTcp(ports[turn++ % ports.length]!, '127.0.0.1');
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  }).listen(0, '127.0.0.1');
  cleanup(() => { server.close(); });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function twoNodes(options: LongPollingOptions = {}) {
  const bus = {};
  const nodes = await Promise.all(['a', 'b'].map(async (nodeId) => {
    const node = await start({ nodeId, adapter: new MemoryAdapter(bus), use: [longPolling(options)] });
    node.manager.registerHandler('double', ({ content }) => Number(content) * 2);
    return node;
  }));
  await knowEachOther(...nodes);
  const port = await roundRobin(nodes.map((node) => node.port));
  const connect = () => connectPolling(`ws://127.0.0.1:${port}/ws`, { headers: { connection: 'close' } });
  return { nodes, connect };
}

describe('long polling on two nodes behind a round-robin proxy', () => {
  it('neither loses, repeats nor reorders messages', async () => {
    const { nodes, connect } = await twoNodes();
    const client = await connect();

    const replies = await Promise.all(Array.from({ length: 60 }, (_, n) => client.request({ type: 'double', content: n }, 8_000)));
    for (let n = 0; n < 60; n++) nodes[n % 2]!.manager.broadcast({ type: `tick-${n % 2}`, content: n });
    const ticks = (type: string) => client.messages.filter((message) => message.type === type).map(({ content }) => content as number);
    await eventually('all ticks', () => ticks('tick-0').length + ticks('tick-1').length === 60, 8_000);

    expect(replies.map(({ content }) => content as number)).to.deep.equal(Array.from({ length: 60 }, (_, n) => 2 * n));
    for (const own of [0, 1]) expect(ticks(`tick-${own}`)).to.deep.equal(Array.from({ length: 30 }, (_, n) => 2 * n + own));
    const requests = nodes.map(({ manager }) => Number(manager.getMetrics().plugins['long-polling']?.['requests']));
    expect(Math.min(...requests), 'requests reached both nodes').to.be.above(1);
  });

  it('ends a request whose body is too slow, also for a session of the other node', async () => {
    const { nodes: [holder, other] } = await twoNodes({ sessionTimeout: 300 });
    const type = { 'content-type': 'application/octet-stream' };
    const opened = await fetch(holder!.url.replace('ws', 'http'), { method: 'POST', headers: type });
    const { session } = await opened.json() as { session: string };

    const slow = request(other!.url.replace('ws', 'http'), {
      method: 'POST', headers: { ...type, 'polling-session': session, 'polling-position': 0, 'content-length': 100 },
    });
    slow.write('half');
    const [error] = await once(slow, 'error') as [Error & { code: string }];

    expect(error.code).to.equal('ECONNRESET');
  });

  it('closes the connection with a code that means reconnecting, when its node has stopped', async () => {
    const { nodes, connect } = await twoNodes();
    const client = await connect();
    await client.request({ type: 'double', content: 1 });
    const holder = nodes.find(({ manager }) => manager.connections.size === 1)!;

    await holder.manager.stop();

    expect((await client.closed).code).to.be.oneOf([1006, 4200]);
  });
});
