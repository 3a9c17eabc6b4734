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

/** The router of a server. All managers of the server share it. */
export function routerOf(server: AnyServer): Router {
  let router = routers.get(server);
  if (!router) routers.set(server, (router = new Router(server)));
  return router;
}

interface UpgradePath {
  readonly handler: UpgradeHandler;
  /** Milliseconds after which the socket of an upgrade is destroyed that no listener of the server answers. */
  readonly timeout: number;
  /** Whether the path serves only WebSocket upgrades. Offers of other protocols are ignored. */
  readonly isWebSocket: boolean;
}

/**
 * What happens to an upgrade: the handler of a path answers it, `others` (listeners of the server) answer it, the
 * upgrade is `ignored` and the request answered as plain HTTP, or it is refused with an error.
 */
type Decision = UpgradePath | 'others' | 'ignored' | ModuleError;

/** Routes upgrades and requests of an http server to handlers by path. Other paths stay with its other listeners. */
export class Router {
  readonly #server: AnyServer;
  readonly #upgrades = new Registry<UpgradePath>('upgrade path');
  readonly #requests = new Registry<HttpHandler>('http path');
  readonly #tap: ServerTap;
  /** The upgrade that the tap has seen and leaves to other listeners, until the listener below is called. */
  #passed: IncomingMessage | undefined;
  // Node emits upgrades only if there is a listener. This one answers if another library emits past the tap.
  readonly #listener = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (this.#passed !== request) this.#upgrade(request, socket, head);
    this.#passed = undefined;
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
   * @param timeout milliseconds after which the socket of an upgrade is destroyed that no listener answers
   * @param isWebSocket whether the path serves only WebSocket upgrades, and ignores other protocols
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

  /** @param failed called with the error of a request that was answered with 500 */
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

  /** Returns whether the upgrade is answered, so that other listeners must not see it. */
  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const decision = this.#decide(request);
    if (decision === 'ignored' && this.#ignoreUpgrade(request, socket, head)) return true;
    // Node has removed its own error listener. Without one, a reset by the peer would end the process.
    socket.on('error', destroyed);
    if (decision === 'others') {
      this.#passed = request;
      this.#destroyUnanswered(request, socket);
      return false;
    }
    if (decision === 'ignored') refuse(socket, notWebSocket());
    else if (decision instanceof ModuleError) refuse(socket, decision);
    else decision.handler(request, socket, head);
    return true;
  }

  #ignoreUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    // If Node asks shouldUpgradeCallback, the upgrade was ignored there already, and another library emitted it anyway.
    return !this.#tap.isAsked && ignoreUpgrade(this.#server, request, socket as Socket, head);
  }

  #isUpgrade(request: IncomingMessage, before: () => boolean): boolean {
    const decision = this.#decide(request);
    if (decision === 'ignored') return false;
    return (typeof decision === 'object' && !(decision instanceof ModuleError)) || before();
  }

  #decide(request: IncomingMessage): Decision {
    const path = pathOf(request);
    const served = path === undefined ? undefined : this.#upgrades.get(path);
    const isWebSocket = offersWebSocket(request);
    if (served && (isWebSocket || !(served.isWebSocket || offersHttp2(request)))) return served;
    if (this.#server.listeners('upgrade').some((listener) => listener !== this.#listener)) return 'others';
    const hasHttp = this.#server.listenerCount('request') > 0 || this.#requests.get(path ?? '') !== undefined;
    if (!isWebSocket && hasHttp) return 'ignored';
    if (path === undefined) return new ModuleError('HANDSHAKE_INVALID', { reason: 'malformed URL' });
    return served ? notWebSocket() : new ModuleError('PATH_UNKNOWN');
  }

  // Node has removed its timeouts from the socket, so an upgrade that no listener answers would stay open forever.
  #destroyUnanswered({ socket: connection }: IncomingMessage, socket: Duplex): void {
    // Read before the listeners run: if one of them writes anything, the socket is theirs.
    const written = connection.bytesWritten;
    const timeout = Math.max(...this.#upgrades.names().map((name) => this.#upgrades.get(name)!.timeout));
    const timer = setTimeout(() => connection.bytesWritten === written && socket.destroy(), timeout);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
  }
}

const notWebSocket = (): ModuleError => new ModuleError('HANDSHAKE_INVALID', { reason: 'Upgrade must be "websocket"' });

/** The path of a request, or undefined if its URL is malformed. */
function pathOf({ url = '' }: IncomingMessage): string | undefined {
  if (!/^\/[\x21-\x7e]*$/.test(url)) return undefined;
  // After two slashes follows a host, which may be invalid. After one slash, everything is a path.
  if (/^\/[/\\]/.test(url) && !URL.canParse(url, 'http://localhost')) return undefined;
  return url.split(/[?#]/, 1)[0];
}

/** The error listener of an upgrade's socket, until another one takes over. */
export function destroyed(this: Duplex): void { this.destroy(); }

/** Answers an upgrade with an HTTP error, and closes the socket. */
export function refuse(socket: Duplex, error: ModuleError): void {
  const status = error.status !== undefined && error.status in STATUS_CODES ? error.status : 500;
  const body = JSON.stringify({ code: error.code, message: error.message });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]!}`,
    // RFC 9110 15.5.22: a 426 response names the protocol in an Upgrade header.
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
