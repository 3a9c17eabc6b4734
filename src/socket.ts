// The port to transports. WebSocket is one implementation; plugins may add others.

import type { ModuleError } from './errors.ts';
import type { Peer, UpgradeRequest } from './http.ts';

/**
 * The socket of a connection. What the server writes are whole, unmasked WebSocket frames (RFC 6455 5.2), on every
 * transport: so all recipients of a message share its bytes. What it receives are messages, in order.
 */
export interface TransportSocket extends Peer {
  /** Set by the connection, before anything is received. */
  sink: SocketSink | undefined;
  readonly isOpen: boolean;
  readonly isPaused: boolean;
  /** Whether messages to the client may be compressed as RFC 7692 describes it. */
  readonly deflates: boolean;
  /** Bytes that were written, and have not left the process yet. */
  readonly unsent: number;
  /** Bytes received so far, including those of an incomplete message. A ping is answered by receiving anything. */
  readonly bytesRead: number;
  /**
   * The incomplete message: its bytes with the overhead of each buffer, and an object that stays the same until the
   * message ends. Undefined between two messages.
   */
  readonly unfinished: { readonly bytes: number; readonly mark: object } | undefined;
  /** Writes whole frames; only while open. Returns `false` if the socket is full: wait until it has drained. */
  write(frames: Buffer): boolean;
  onceDrained(listener: () => void): void;
  onceClosed(listener: () => void): void;
  /** Stops reading. Messages that were read already may still arrive. */
  pause(): void;
  resume(): void;
  ping(): void;
  /** Sends a close frame, after everything that was written. */
  close(code?: number, reason?: string): void;
  /** Closes without a close frame, with the code 1006. */
  terminate(): void;
  /** Drops the bytes that were read and are no message yet, and stops reading. */
  discard(): void;
}

/** The methods of a connection that its socket calls. */
export interface SocketSink {
  received(data: Buffer, binary: boolean): void;
  /** Called for each ping and pong. */
  controlFrame(): void;
  /** Called before the socket writes something itself; waiting frames are written first. */
  flush(): void;
  /** @param code the close code, if the socket closes because of the error */
  failed(error: Error, phase: 'socket' | 'listener', code?: number): void;
  /** Called once, in a later turn than the call that closed the socket. */
  closed(code: number, reason: string): void;
}

/** What the server grants to a new connection. */
export interface ConnectionTerms {
  /** Bytes of the longest message that the client may send. */
  readonly maxPayload: number;
  /** Milliseconds until a client must answer a close frame. */
  readonly closeTimeout: number;
  /** The subprotocol, of those that the client offers; an empty string for none. */
  selectProtocol(offered: Iterable<string>): string;
}

/** A client that wants to connect, over any transport. */
export interface ConnectionOffer {
  readonly request: UpgradeRequest;
  /** Whether the client has disconnected. */
  readonly isGone: boolean;
  /** Whether the client sees the HTTP status of a refusal. If not, it may get a close code instead. */
  readonly seesStatus: boolean;
  /** Called before everything else. @throws HANDSHAKE_INVALID */
  check(): void;
  /**
   * Completes the handshake: called once at most. Returns undefined if the client has disconnected meanwhile.
   * @throws HANDSHAKE_INVALID
   */
  complete(terms: ConnectionTerms): TransportSocket | undefined;
  /** Answers with the error, if the handshake is not completed. */
  refuse(error: ModuleError): void;
}
