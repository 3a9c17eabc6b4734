import { expect } from 'chai';
import sinon from 'sinon';
import type { WebSocketClient } from '../../client/index.ts';
import { clientOf, fakeNetwork } from '../client/around.ts';
import { cleanup } from '../support/cleanup.ts';

function fakeTime(): sinon.SinonFakeTimers {
  const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
  cleanup(() => clock.restore());
  return clock;
}

/** Random numbers that are the same in each run (mulberry32). */
function seededRandom(seed: number): void {
  const stub = sinon.stub(Math, 'random').callsFake(() => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  });
  cleanup(() => stub.restore());
}

describe('ten thousand clients of a server that restarts', () => {
  it('come back spread over its window: at most 2.5 % of them in 100 ms', async () => {
    const clock = fakeTime();
    seededRandom(1);
    const network = fakeNetwork();
    for (let index = 0; index < 10_000; index++) {
      void clientOf({ url: 'ws://example.com', WebSocket: network.WebSocket, heartbeat: { enabled: false } }).connect();
    }
    const first = [...network.sockets];
    for (const socket of first) socket.open();

    for (const socket of first) socket.end(4200, `retry=${Math.floor(Math.random() * 5_000)}`);
    const bins: number[] = [];
    for (let time = 0; time < 6_500; time += 100) {
      const before = network.sockets.length;
      await clock.tickAsync(100);
      bins.push(network.sockets.length - before);
    }

    expect(bins.reduce((sum, bin) => sum + bin, 0)).to.equal(10_000);
    expect(Math.max(...bins), bins.join(' ')).to.be.at.most(250);
  });
});

describe('a client that connects and disconnects a thousand times', () => {
  it('leaves the heap, the listeners and the timers as they were', async () => {
    const clock = fakeTime();
    let listeners = 0;
    const scope = globalThis as unknown as Record<string, unknown>;
    scope['addEventListener'] = () => { listeners++; };
    scope['removeEventListener'] = () => { listeners--; };
    cleanup(() => {
      delete scope['addEventListener'];
      delete scope['removeEventListener'];
    });
    let opened = 0;
    /** Opens at once, and is not kept by the test. */
    class Socket {
      binaryType = '';
      readyState = 1;
      bufferedAmount = 0;
      onopen: ((event: any) => void) | null = null;
      onmessage: ((event: any) => void) | null = null;
      onclose: ((event: any) => void) | null = null;
      onerror: ((event: any) => void) | null = null;
      constructor() {
        opened++;
        queueMicrotask(() => this.onopen?.({}));
      }

      send(data: string): void {
        const { id } = JSON.parse(data) as { id: string };
        queueMicrotask(() => this.onmessage?.({ data: JSON.stringify({ type: 'pong', replyTo: id }) }));
      }

      close(): void { this.readyState = 3; }
    }
    const client: WebSocketClient = clientOf({ url: 'ws://example.com', WebSocket: Socket });
    const cycles = async (count: number): Promise<number> => {
      for (let cycle = 0; cycle < count; cycle++) {
        await client.connect();
        await client.disconnect();
      }
      global.gc!();
      return process.memoryUsage().heapUsed;
    };

    const before = await cycles(200);
    const after = await cycles(1_000);

    expect([opened, listeners, clock.countTimers()]).to.deep.equal([1_200, 0, 0]);
    // The steps that explain() tells, and what the engine keeps.
    expect(after - before).to.be.below(500_000);
  });
});
