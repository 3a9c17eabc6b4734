import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { HttpHandler, UpgradeHandler } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import type { AnyServer } from '../runtime/options.ts';
import { Registry } from '../runtime/registry.ts';
import type { Labelled, Undo } from '../runtime/scope.ts';
import { ignoreUpgrade } from './ignore-upgrade.ts';
import { offersHttp2, offersWebSocket } from './handshake.ts';
import { ServerTap } from './server-tap.ts';

const routers = new WeakMap<AnyServer, Router>();

/** The router of a server: all managers on it share one. */
export function routerOf(server: AnyServer): Router {
  let router = routers.get(server);
  if (!router) routers.set(server, (router = new Router(server)));
  return router;
}

interface UpgradePath {
  readonly handler: UpgradeHandler;
  /** Milliseconds until an upgrade on the server that no listener answers is destroyed. */
  readonly timeout: number;
  /** Whether only WebSocket upgrades are meant; other offers on the path are ignored. */
  readonly isWebSocket: boolean;
}

/** Who answers an upgrade: a path of ours, the server's other listeners, its HTTP parser, or we, with an error. */
type Verdict = UpgradePath | 'others' | 'ignored' | ModuleError;

/** The paths of an http server that are ours. Other paths stay with the server's other listeners. */
export class Router {
  readonly #server: AnyServer;
  readonly #upgrades = new Registry<UpgradePath>('upgrade path');
  readonly #requests = new Registry<HttpHandler>('http path');
  readonly #tap: ServerTap;
  /** Upgrades that the tap has seen. */
  readonly #seen = new WeakSet<IncomingMessage>();
  // Node regards offers to upgrade only where there is a listener. Where others emit past the tap, this one answers.
  readonly #listener = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (!this.#seen.has(request)) this.#upgrade(request, socket, head);
  };

  constructor(server: AnyServer) {
    this.#server = server;
    this.#tap = new ServerTap(server, {
      handle: (event, args) => {
        if (event === 'request') return this.#request(...(args as [IncomingMessage, ServerResponse]));
        if (event !== 'upgrade' || this.#upgrades.size === 0) return false;
        return this.#upgrade(...(args as [IncomingMessage, Duplex, Buffer]));
      },
      isUpgrade: (request, before) => this.#isUpgrade(request, before),
    });
  }

  inventory(): Labelled[] { return [...this.#upgrades.inventory(), ...this.#requests.inventory()]; }

  /**
   * @param timeout milliseconds until an upgrade on the server that nothing answers is destroyed
   * @param isWebSocket whether only WebSocket upgrades are meant, and other protocols on offer are ignored
   */
  onUpgrade(path: string, handler: UpgradeHandler, owner: string, timeout: number, isWebSocket = false): Undo {
    const remove = this.#upgrades.add(path, { handler, timeout, isWebSocket }, owner);
    if (this.#upgrades.size === 1) this.#server.on('upgrade', this.#listener);
    this.#tap.open();
    return () => {
      remove();
      if (this.#upgrades.size === 0) this.#server.off('upgrade', this.#listener);
      this.#closeTap();
    };
  }

  /** @param failed is told why a request was answered 500 */
  onRequest(path: string, handler: HttpHandler, owner: string, failed: (error: unknown) => void): Undo {
    const remove = this.#requests.add(path, async (request, response) => {
      try {
        await handler(request, response);
      } catch (error) {
        failed(error);
        if (!response.headersSent) response.writeHead(500);
        response.end();
      }
    }, owner);
    this.#tap.open();
    return () => {
      remove();
      this.#closeTap();
    };
  }

  #closeTap(): void {
    if (this.#upgrades.size === 0 && this.#requests.size === 0) this.#tap.close();
  }

  #request(request: IncomingMessage, response: ServerResponse): boolean {
    const handler = this.#requests.get(pathOf(request) ?? '');
    if (handler) void handler(request, response);
    return handler !== undefined;
  }

  /** Whether it is answered, so that no other listener is to see it. */
  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    this.#seen.add(request);
    const verdict = this.#judge(request);
    if (verdict === 'ignored' && this.#ignoreUpgrade(request, socket, head)) return true;
    // Node has taken its own listener off: without one, a reset by the peer would end the process.
    socket.on('error', destroyed);
    if (verdict === 'others') {
      this.#watch(request, socket);
      return false;
    }
    if (verdict === 'ignored') refuse(socket, notWebSocket());
    else if (verdict instanceof ModuleError) refuse(socket, verdict);
    else verdict.handler(request, socket, head);
    return true;
  }

  #ignoreUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    // A server that asks first has ignored the offer itself. It comes here only where another part insists on it.
    return !this.#tap.isAsked && ignoreUpgrade(this.#server, request, socket as Socket, head);
  }

  #isUpgrade(request: IncomingMessage, before: () => boolean): boolean {
    const verdict = this.#judge(request);
    if (verdict === 'ignored') return false;
    return (typeof verdict === 'object' && !(verdict instanceof ModuleError)) || before();
  }

  #judge(request: IncomingMessage): Verdict {
    const path = pathOf(request);
    const ours = path === undefined ? undefined : this.#upgrades.get(path);
    const isWebSocket = offersWebSocket(request);
    if (ours && (isWebSocket || !(ours.isWebSocket || offersHttp2(request)))) return ours;
    if (this.#server.listeners('upgrade').some((listener) => listener !== this.#listener)) return 'others';
    const isServed = this.#server.listenerCount('request') > 0 || this.#requests.get(path ?? '') !== undefined;
    if (!isWebSocket && isServed) return 'ignored';
    if (path === undefined) return new ModuleError('HANDSHAKE_INVALID', { reason: 'malformed URL' });
    return ours ? notWebSocket() : new ModuleError('PATH_UNKNOWN');
  }

  // Node has let go of the socket's timeouts: an upgrade that no listener answers would stay for ever.
  #watch({ socket: connection }: IncomingMessage, socket: Duplex): void {
    // Taken before the others see it: a client that is answered at once, and is silent from then on, is theirs to keep.
    const written = connection.bytesWritten;
    const timeout = Math.max(...this.#upgrades.names().map((name) => this.#upgrades.get(name)!.timeout));
    const timer = setTimeout(() => connection.bytesWritten === written && socket.destroy(), timeout);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
  }
}

const notWebSocket = (): ModuleError => new ModuleError('HANDSHAKE_INVALID', { reason: 'Upgrade must be "websocket"' });

/** The path of a request, or undefined where its target has none. */
function pathOf({ url = '' }: IncomingMessage): string | undefined {
  if (!/^\/[\x21-\x7e]*$/.test(url)) return undefined;
  // Two slashes begin a host, which may be none; behind one, everything is a path.
  if (/^\/[/\\]/.test(url) && !URL.canParse(url, 'http://localhost')) return undefined;
  return url.split(/[?#]/, 1)[0];
}

/** Listens for the errors of an upgrade's socket until another part does. */
export function destroyed(this: Duplex): void { this.destroy(); }

/** Answers an upgrade with an error, and ends it. */
export function refuse(socket: Duplex, error: ModuleError): void {
  const status = error.status !== undefined && error.status in STATUS_CODES ? error.status : 500;
  const body = JSON.stringify({ code: error.code, message: error.message });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]!}`,
    // RFC 9110 15.5.22: what to upgrade to is told with 426.
    ...(status === 426 ? ['Connection: close, Upgrade', 'Upgrade: websocket'] : ['Connection: close']),
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(error.code === 'HANDSHAKE_INVALID' ? ['Sec-WebSocket-Version: 13'] : []),
    ...(status === 401 ? ['WWW-Authenticate: Bearer'] : []),
    ...(status === 503 || status === 429 ? ['Retry-After: 1'] : []),
  ];
  socket.once('finish', () => socket.destroy());
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
