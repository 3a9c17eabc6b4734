import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { HttpHandler, UpgradeHandler } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import type { AnyServer } from '../runtime/options.ts';
import { Registry } from '../runtime/registry.ts';
import type { Labelled, Undo } from '../runtime/scope.ts';

const routers = new WeakMap<AnyServer, Router>();

/** The router of a server: all managers on it share one. */
export function routerOf(server: AnyServer): Router {
  let router = routers.get(server);
  if (!router) routers.set(server, (router = new Router(server)));
  return router;
}

/** The paths of an http server that are ours; everything else stays with whoever else listens on it. */
export class Router {
  readonly #server: AnyServer;
  readonly #upgrades = new Registry<{ readonly handler: UpgradeHandler; readonly patience: number }>('upgrade path');
  readonly #requests = new Registry<HttpHandler>('http path');
  #release: () => void = () => undefined;
  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => this.#upgrade(request, socket, head);

  constructor(server: AnyServer) {
    this.#server = server;
  }

  inventory(): Labelled[] { return [...this.#upgrades.inventory(), ...this.#requests.inventory()]; }

  /** @param patience milliseconds until an upgrade on the server that nobody answers is destroyed */
  onUpgrade(path: string, handler: UpgradeHandler, owner: string, patience: number): Undo {
    const remove = this.#upgrades.add(path, { handler, patience }, owner);
    if (this.#upgrades.size === 1) this.#server.on('upgrade', this.#onUpgrade);
    return () => {
      remove();
      if (this.#upgrades.size === 0) this.#server.off('upgrade', this.#onUpgrade);
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
    if (this.#requests.size === 1) this.#release = this.#intercept();
    return () => {
      remove();
      if (this.#requests.size === 0) this.#release();
    };
  }

  // The server's other listeners (Express answers whatever comes) must not see a request for our paths, however late
  // they were added: so it is
  // taken at the one place all of them hang on. Returns the undo.
  #intercept(): () => void {
    const server = this.#server;
    const before = Object.getOwnPropertyDescriptor(server, 'emit');
    const emit = server.emit.bind(server) as (...args: unknown[]) => boolean;
    const intercepted = (event: string, ...args: unknown[]): boolean => {
      const handler = event === 'request' ? this.#requests.get(pathOf(args[0] as IncomingMessage) ?? '') : undefined;
      if (!handler) return emit(event, ...args);
      void handler(args[0] as IncomingMessage, args[1] as ServerResponse);
      return true;
    };
    Object.defineProperty(server, 'emit', { value: intercepted, configurable: true, writable: true });
    return () => {
      // Who took the same place after us keeps it; without paths, what is ours there lets everything through.
      if (server.emit !== intercepted) return;
      if (before) Object.defineProperty(server, 'emit', before);
      else Reflect.deleteProperty(server, 'emit');
    };
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Node has taken its own listener off: without one, a reset by the peer would end the process.
    socket.on('error', destroyed);
    const path = pathOf(request);
    const ours = path === undefined ? undefined : this.#upgrades.get(path);
    if (ours) return ours.handler(request, socket, head);
    if (this.#server.listenerCount('upgrade') === 1) {
      refuse(socket, path === undefined ? new ModuleError('HANDSHAKE_INVALID', { reason: 'malformed URL' }) : new ModuleError('PATH_UNKNOWN'));
      return;
    }
    // Somebody else's, it seems. Node has let go of the socket's timeouts: when nobody answers, it would stay for ever.
    const written = bytesWritten(socket);
    const patience = Math.max(...this.#upgrades.names().map((name) => this.#upgrades.get(name)!.patience));
    const timer = setTimeout(() => bytesWritten(socket) === written && socket.destroy(), patience);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
  }
}

const bytesWritten = (socket: Duplex): number => (socket as Duplex & { bytesWritten?: number }).bytesWritten ?? 0;

/** The path of a request, or undefined where its target is none. */
function pathOf({ url = '' }: IncomingMessage): string | undefined {
  if (!/^\/[\x21-\x7e]*$/.test(url)) return undefined;
  // Two slashes begin a host, which may be none; behind one, everything is a path.
  if (/^\/[/\\]/.test(url) && !URL.canParse(url, 'http://localhost')) return undefined;
  return url.split(/[?#]/, 1)[0];
}

/** What listens for the errors of an upgrade's socket until somebody else does. */
export function destroyed(this: Duplex): void { this.destroy(); }

/** Answers an upgrade with an error, and ends it. */
export function refuse(socket: Duplex, error: ModuleError): void {
  const status = error.status !== undefined && error.status in STATUS_CODES ? error.status : 500;
  const body = JSON.stringify({ code: error.code, message: error.message });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]!}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(error.code === 'HANDSHAKE_INVALID' ? ['Sec-WebSocket-Version: 13'] : []),
    ...(status === 401 ? ['WWW-Authenticate: Bearer'] : []),
    ...(status === 503 || status === 429 ? ['Retry-After: 1'] : []),
  ];
  socket.once('finish', () => socket.destroy());
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
