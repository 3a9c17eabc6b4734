import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { cleanup } from './cleanup.ts';

/** One connection through the proxy. */
export interface ProxyLink {
  /** The first bytes that the client sent, as text: they tell what the connection is for. */
  readonly sent: string;
}

type Which = (link: ProxyLink) => boolean;

interface Link extends ProxyLink {
  sent: string;
  isSilent: boolean;
  readonly near: Socket;
  readonly far: Socket;
}

/** A TCP proxy that can make everything between a client and a server go wrong. */
export interface FaultProxy {
  readonly port: number;
  /** Connections that are open. */
  readonly size: number;
  /** Connections that there were until now. */
  readonly count: number;
  /** Holds every byte back for so long, both ways. */
  delay(milliseconds: number): void;
  /** Lets so many bytes a second through, each way of each connection. */
  throttle(bytesPerSecond: number): void;
  /** Nothing more passes on the open connections, and neither side is told. New ones pass. */
  silence(which?: Which): void;
  /** New connections open, and nothing passes on them. */
  swallow(): void;
  /** Resets the open connections. */
  reset(which?: Which): void;
  /** Undoes delay, throttle and swallow. */
  heal(): void;
}

const KEPT = 10_000;

/** Starts a proxy to a port of this machine, on a free port. Closed when the test is over. */
export async function faultProxy(port: number): Promise<FaultProxy> {
  const links = new Set<Link>();
  let [latency, rate, swallows, count] = [0, Infinity, false, 0];

  const proxy = createServer({ noDelay: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    const link: Link = { sent: '', isSilent: swallows, near, far };
    links.add(link);
    count++;
    near.on('data', (chunk: Buffer) => {
      if (link.sent.length < KEPT) link.sent += chunk.toString('latin1');
    });
    for (const [from, to] of [[near, far], [far, near]] as const) carry(link, from, to);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  cleanup(() => {
    for (const { near, far } of links) for (const socket of [near, far]) socket.destroy();
    proxy.close();
  });

  function carry(link: Link, from: Socket, to: Socket): void {
    let freeAt = 0;
    from.on('error', () => { /* its end follows */ });
    from.on('close', () => {
      if (!link.isSilent) to.destroy();
      // A side that was not told of the end is still open.
      if (to.destroyed) links.delete(link);
    });
    from.on('data', (chunk: Buffer) => {
      const now = performance.now();
      freeAt = Math.max(freeAt, now) + chunk.length / rate * 1_000;
      const wait = freeAt - now + latency;
      const write = (): void => { if (!link.isSilent && !to.destroyed) to.write(chunk); };
      if (wait < 1) write();
      else setTimeout(write, wait);
    });
  }

  const chosen = (which: Which = () => true): Link[] => [...links].filter(which);
  return {
    port: (proxy.address() as AddressInfo).port,
    get size() { return links.size; },
    get count() { return count; },
    delay(milliseconds) { latency = milliseconds; },
    throttle(bytesPerSecond) { rate = bytesPerSecond; },
    silence(which) { for (const link of chosen(which)) link.isSilent = true; },
    swallow() { swallows = true; },
    reset(which) {
      for (const { near, far } of chosen(which)) {
        near.resetAndDestroy();
        far.destroy();
      }
    },
    heal() { [latency, rate, swallows] = [0, Infinity, false]; },
  };
}

/** Whether a connection to Redis receives what is published. */
export const subscribes = ({ sent }: ProxyLink): boolean => /\bsubscribe\b/i.test(sent);
