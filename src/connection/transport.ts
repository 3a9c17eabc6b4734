import type { IncomingMessage } from 'node:http';
import type { Socket as NetSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { constants, deflateRawSync } from 'node:zlib';
import { WebSocket, WebSocketServer } from 'ws';
import type { TransportSettings } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import type { Settings } from '../runtime/options.ts';
import { json, type Codec, type Outgoing } from '../protocol.ts';
import { UndoList } from '../runtime/scope.ts';

/** What a socket tells its connection. */
export interface Sink {
  received(data: Buffer, binary: boolean): void;
  /** A ping or a pong came. */
  controlled(): void;
  /** Something else is about to be written; what waits goes first. */
  flush(): void;
  failed(error: Error, phase: 'socket' | 'listener'): void;
  closed(code: number, reason: string): void;
}

/**
 * A server-side WebSocket that calls its sink instead of holding listeners: a connection costs no closure and no
 * listener array. Listeners that a connection layer adds are still called.
 */
export class Socket extends WebSocket {
  sink: Sink | undefined = undefined;
  /** The table of listeners, 184 bytes, is made when there is one: Node's emitters take its absence for no listener. */
  readonly _events: object | undefined = undefined;

  /** Bytes handed to the operating system's socket that it has not taken yet. */
  get unsent(): number { return raw(this)?.writableLength ?? 0; }

  get isOpen(): boolean { return this.readyState === WebSocket.OPEN; }

  /**
   * Whether our compressed frames are for it. One that asked for a smaller window than zlib's gets its messages as they
   * are, which RFC 7692 leaves to the sender: a frame that all others share does not fit it.
   */
  get deflates(): boolean {
    const accepted = (this as unknown as { _extensions: Record<string, { params: { server_max_window_bits?: number } } | undefined> })._extensions['permessage-deflate'];
    return accepted !== undefined && (accepted.params.server_max_window_bits ?? 15) === 15;
  }

  /** Bytes that came, also those of a message that is not whole yet. */
  get bytesRead(): number { return raw(this)?.bytesRead ?? 0; }

  /** Writes finished frames; only while open. `false`: the socket is full, wait until it has drained. */
  write(frames: Buffer): boolean { return raw(this)!.write(frames); }

  onceDrained(listener: () => void): void { raw(this)?.once('drain', listener); }

  override send(...args: [any, any?, any?]): void {
    this.sink?.flush();
    super.send(...args);
  }

  override close(code?: number, reason?: string | Buffer): void {
    this.sink?.flush();
    super.close(code, reason);
    // `ws` calls this too, when the peer's close frame comes. Then it is for the server to end the TCP connection (RFC
    // 6455 7.1.1): a peer that
    // leaves that to us would hold it until a timeout, and one that ends it first costs a fifth more.
    const socket = (this as unknown as { _closeFrameReceived: boolean })._closeFrameReceived ? raw(this) : null;
    if (socket?.listenerCount('finish') === 0) socket.once('finish', () => socket.destroy());
  }

  override emit(event: string | symbol, a?: any, b?: any): boolean {
    const { sink } = this;
    if (sink === undefined) return (event === 'error' && this.listenerCount(event) === 0) || super.emit(event, a, b);
    try {
      if (event === 'message') sink.received(a, b);
      else if (event === 'ping' || event === 'pong') sink.controlled();
      else if (event === 'error') sink.failed(a, 'socket');
      else if (event === 'close') sink.closed(a, String(b));
      return this.listenerCount(event) > 0 && super.emit(event, a, b);
    } catch (error) {
      // A listener of somebody else's threw: it must not escape into the frame parser and out of the process.
      sink.failed(toError(error), 'listener');
      return true;
    }
  }
}

const raw = (socket: WebSocket): NetSocket | null => (socket as unknown as { _socket: NetSocket | null })._socket;

/** The one place that knows `ws`: handshakes, codecs, frames. */
export class Transport {
  readonly #options: Settings;
  /** What later handshakes negotiate. */
  readonly settings = new UndoList<TransportSettings>(() => (this.#server = this.#build()));
  #server: WebSocketServer;

  constructor(options: Settings) {
    this.#options = options;
    this.#server = this.#build();
  }

  get #compression(): TransportSettings['compression'] { return [...this.settings].findLast(({ compression }) => compression)?.compression; }

  /** Finishes a handshake. Gives nothing where the client has gone meanwhile. @throws HANDSHAKE_INVALID */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Socket | undefined {
    let accepted: Socket | undefined;
    this.#server.handleUpgrade(request, socket, head, (ws) => (accepted = ws as Socket));
    return accepted;
  }

  /** The codec that a negotiated subprotocol selects. */
  codec(protocol: string): Codec {
    for (const { codecs } of this.settings) for (const codec of codecs ?? []) if (codec.name === protocol) return codec;
    return json;
  }

  /** A message as a frame. @throws MESSAGE_INVALID where the codec cannot encode it */
  prepare(message: Outgoing | Uint8Array, codec: Codec, deflates: boolean): Frame {
    const binary = message instanceof Uint8Array;
    let payload: string | Uint8Array;
    try {
      payload = binary ? message : codec.encode(message);
    } catch (cause) {
      throw new ModuleError('MESSAGE_INVALID', { reason: toError(cause).message }, { cause });
    }
    const opcode = binary || codec.binary ? BINARY : TEXT;
    const size = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.byteLength;
    const compression = deflates ? this.#compression : undefined;
    if (compression === undefined || size < compression.threshold) return new Frame(payload, size, opcode);
    const { level = constants.Z_DEFAULT_COMPRESSION, memLevel = 8 } = compression;
    const deflated = deflateRawSync(payload, { level, memLevel, finishFlush: constants.Z_SYNC_FLUSH });
    // RFC 7692 7.2.1: the tail 00 00 ff ff of the sync flush is not sent, and RSV1 marks the message.
    return new Frame(deflated.subarray(0, -4), deflated.length - 4, opcode | RSV1);
  }

  #build(): WebSocketServer {
    const { maxPayload, protocols, heartbeat } = this.#options;
    const offered = [...(protocols ?? []), ...[...this.settings].flatMap(({ codecs }) => (codecs ?? []).map((codec) => codec.name))];
    const compression = this.#compression;
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      WebSocket: Socket,
      maxPayload,
      // A fragment or a chunk costs its bookkeeping however few bytes it brings.
      maxFragments: 1_024,
      maxBufferedChunks: 4_096,
      // How long a peer may take to answer our close frame.
      closeTimeout: heartbeat ? heartbeat.timeout : 5_000,
      // Without context takeover a frame stands for itself, so one serves every recipient.
      perMessageDeflate: compression
        ? { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: compression.threshold, concurrencyLimit: compression.concurrency ?? 4 }
        : false,
      handleProtocols: (requested) => {
        const real = [...requested].filter((name) => !/^bearer\./i.test(name));
        return (offered.length > 0 ? offered.find((name) => real.includes(name)) : real[0]) ?? false;
      },
    } as ConstructorParameters<typeof WebSocketServer>[0]);
    // Told within handleUpgrade(), out of which it is thrown.
    return server.on('wsClientError', (error) => {
      throw new ModuleError('HANDSHAKE_INVALID', { reason: error.message });
    });
  }
}

const FIN = 0x80;
const RSV1 = 0x40;
const TEXT = 0x1;
const BINARY = 0x2;

/**
 * An unmasked frame: RFC 6455 5.2. It stays a text until it is written, straight into the buffer that leaves: a buffer
 * of its own for each message costs the garbage collector as much as all the rest of a message.
 */
export class Frame {
  /** Bytes, with the header. */
  readonly length: number;
  readonly #payload: string | Uint8Array;
  readonly #size: number;
  readonly #opcode: number;
  #bytes: Buffer | undefined = undefined;

  /** @param size bytes of the payload */
  constructor(payload: string | Uint8Array, size: number, opcode: number) {
    this.length = size + (size < 126 ? 2 : size < 65_536 ? 4 : 10);
    this.#payload = payload;
    this.#size = size;
    this.#opcode = opcode;
  }

  /** By itself: the same buffer, however many it is for. */
  get bytes(): Buffer {
    if (this.#bytes === undefined) this.writeTo((this.#bytes = Buffer.allocUnsafe(this.length)), 0);
    return this.#bytes;
  }

  /** Returns where the next one begins. */
  writeTo(buffer: Buffer, start: number): number {
    const size = this.#size;
    const payload = this.#payload;
    let at = start;
    buffer[at++] = FIN | this.#opcode;
    if (size < 126) buffer[at++] = size;
    else if (size < 65_536) {
      buffer[at++] = 126;
      at = buffer.writeUInt16BE(size, at);
    } else {
      buffer[at++] = 127;
      at = buffer.writeBigUInt64BE(BigInt(size), at);
    }
    if (typeof payload === 'string') buffer.write(payload, at, size);
    else buffer.set(payload, at);
    return at + size;
  }
}

/** Whether a code may stand in a close frame (RFC 6455 7.4): 1004 to 1006 and 1015 never do. */
export function isCloseCode(code: number): boolean {
  return Number.isInteger(code) && ((code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999));
}

/** A close reason cut to the 123 bytes a close frame has room for (RFC 6455 5.5), never within a character. */
export function clip(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= 123) return reason;
  let end = 123;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
