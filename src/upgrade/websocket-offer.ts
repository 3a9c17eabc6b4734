import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Transport } from '../connection/transport.ts';
import type { ConnectionOffer, TransportSocket, UpgradeRequest } from '../contracts.ts';
import type { ModuleError } from '../errors.ts';
import { assertHandshake } from './handshake.ts';
import { destroyed, refuse } from './router.ts';

/** An upgrade of an HTTP request to WebSocket. */
export class WebSocketOffer implements ConnectionOffer {
  readonly request: UpgradeRequest;
  readonly #transport: Transport;
  readonly #socket: Duplex;
  readonly #head: Buffer;

  constructor(transport: Transport, request: IncomingMessage, socket: Duplex, head: Buffer) {
    this.request = request as UpgradeRequest;
    this.#transport = transport;
    this.#socket = socket;
    this.#head = head;
  }

  get isGone(): boolean { return this.#socket.destroyed; }

  // A browser sees no status of a refused upgrade.
  get seesStatus(): boolean { return this.request.headers.origin === undefined; }

  check(): void { assertHandshake(this.request); }

  complete(): TransportSocket | undefined {
    const socket = this.#transport.upgrade(this.request, this.#socket, this.#head);
    if (socket) this.#socket.off('error', destroyed);
    return socket;
  }

  refuse(error: ModuleError): void { refuse(this.#socket, error); }
}
