import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { cleanup } from './cleanup.ts';

/** How a proxy treats what passes. It may be changed at any time. */
export interface WebProxyRules {
  /**
   * `refuse`: answered with 403; `hang`: never answered; `mute`: the handshake passes, and no frame of the server does.
   * @default 'pass'
   */
  upgrades: 'pass' | 'refuse' | 'hang' | 'mute';
  /** `buffer`: sent on when they have ended; `html`: everything is answered with a page, as portals do. @default 'pass' */
  answers: 'pass' | 'buffer' | 'html';
  /** Milliseconds of silence after which a connection is cut; read at the start. @default 0, never */
  idle: number;
}

export interface WebProxy extends WebProxyRules {
  readonly port: number;
  /** Upgrades and other requests until now. */
  readonly upgradeCount: number;
  readonly requestCount: number;
  /** The methods of the requests, in order. */
  readonly methods: readonly string[];
  /** Bytes of bodies until now, both ways. */
  readonly bodyBytes: number;
  /** Resets the upgraded connections. */
  cut(): void;
}

const PAGE = '<!doctype html><title>Sign in</title><p>Please accept our terms.</p>';

/**
 * Starts an HTTP proxy to servers of this machine, which it takes in turn for each request and upgrade. Closed when the
 * test is over.
 */
export async function webProxy(ports: number | readonly number[], given: Partial<WebProxyRules> = {}): Promise<WebProxy> {
  const targets = [ports].flat();
  const rules: WebProxyRules = { upgrades: 'pass', answers: 'pass', idle: 0, ...given };
  const sockets = new Set<Duplex>();
  const upgraded = new Set<Duplex>();
  const methods: string[] = [];
  let [turn, upgradeCount, bodyBytes] = [0, 0, 0];
  const target = (): number => targets[turn++ % targets.length]!;

  const server = createServer((incoming, response) => {
    methods.push(incoming.method!);
    if (rules.answers === 'html') return void response.setHeader('content-type', 'text/html').end(PAGE);
    forward(incoming, response);
  });

  function forward(incoming: IncomingMessage, response: ServerResponse): void {
    const { method, url, headers } = incoming;
    const outgoing = request({ host: '127.0.0.1', port: target(), method, path: url, headers, agent: false });
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
    incoming.on('data', (chunk: Buffer) => { bodyBytes += chunk.length; });
    incoming.pipe(outgoing);
    outgoing.on('response', (answer) => {
      answer.on('error', () => response.destroy());
      answer.on('data', (chunk: Buffer) => { bodyBytes += chunk.length; });
      const pieces: Buffer[] = [];
      if (rules.answers === 'buffer') {
        answer.on('data', (chunk: Buffer) => pieces.push(chunk));
        answer.on('end', () => response.writeHead(answer.statusCode!, answer.headers).end(Buffer.concat(pieces)));
      } else answer.pipe(response.writeHead(answer.statusCode!, answer.headers));
    });
  }

  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });

  server.on('upgrade', (incoming: IncomingMessage, near: Socket, head: Buffer) => {
    upgradeCount++;
    near.on('error', () => { /* its end follows */ });
    if (rules.upgrades === 'hang') return;
    if (rules.upgrades === 'refuse' || rules.answers === 'html') {
      near.end(`HTTP/1.1 ${rules.answers === 'html' ? '200 OK' : '403 Forbidden'}\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n${PAGE}`);
      return;
    }
    const isMute = rules.upgrades === 'mute';
    const far = connect({ port: target(), host: '127.0.0.1', noDelay: true });
    const lines = Object.entries(incoming.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
    far.write(`GET ${incoming.url} HTTP/1.1\r\n${lines.join('')}\r\n`);
    far.write(head);
    far.on('error', () => { /* its end follows */ });
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from);
      upgraded.add(from);
      from.on('close', () => {
        sockets.delete(from);
        upgraded.delete(from);
        to.destroy();
      });
    }
    near.pipe(far);
    let answer = '';
    if (isMute) {
      far.on('data', (chunk: Buffer) => {
        if (answer.includes('\r\n\r\n')) return;
        answer += chunk.toString('latin1');
        const end = answer.indexOf('\r\n\r\n');
        if (end > 0) near.write(answer.slice(0, end + 4), 'latin1');
      });
    } else far.pipe(near);
  });

  server.setTimeout(rules.idle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    server.closeAllConnections();
  });
  const members = {
    port: (server.address() as AddressInfo).port,
    methods,
    get upgradeCount() { return upgradeCount; },
    get requestCount() { return methods.length; },
    get bodyBytes() { return bodyBytes; },
    cut() { for (const socket of upgraded) socket.destroy(); },
  };
  // The rules stay one object, which the requests read.
  return Object.defineProperties(rules, Object.getOwnPropertyDescriptors(members)) as WebProxy;
}
