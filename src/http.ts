// The types of HTTP handlers and upgrade handlers of plugins, and of transport settings.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Codec } from './protocol.ts';

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => unknown;
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
export interface TransportSettings {
  /**
   * `threshold`: bytes from which a message is compressed. `level`, `memLevel`: zlib's, 1 to 9. `concurrency`: messages
   * inflated at once.
   */
  readonly compression?: {
    readonly threshold: number;
    readonly level?: number | undefined;
    readonly memLevel?: number | undefined;
    readonly concurrency?: number | undefined;
  } | undefined;
  /** Codecs that clients may choose by subprotocol. */
  readonly codecs?: readonly Codec[] | undefined;
}

/** The socket as connection layers see it. With `ws` it is the WebSocket itself. */
export interface Peer {
  readonly protocol: string; readonly readyState: number;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

/** The request of a handshake. Node always sets its `url`, but the types of Node do not say so. */
export interface UpgradeRequest extends IncomingMessage { url: string }
