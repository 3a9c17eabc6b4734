import type { IncomingMessage } from 'node:http';
import type { Socket as NetSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { TransportSettings } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import type { Settings } from '../runtime/options.ts';
import { json, type Codec, type Outgoing } from '../protocol.ts';
import { UndoList } from '../runtime/scope.ts';
import { Deflater } from './deflater.ts';
import { BINARY, Frame, isBinary, TEXT, type Binary } from './frame.ts';

/** What a socket tells its connection. */
export interface Sink {
  received(data: Buffer, binary: boolean): void;
  /** A ping or a pong came. */
  controlled(): void;
  /** Something else is about to be written; what waits is written first. */
  flush(): void;
  /** @param code the close code, where `ws` closes the connection for it */
  failed(error: Error, phase: 'socket' | 'listener', code?: number): void;
  closed(code: number, reason: string): void;
}

/** The parser of `ws`. */
interface Receiver {
  /** What was read and is not parsed yet. */
  _buffers: Buffer[];
  _bufferedBytes: number;
  /** Of the message under way; replaced when it ends. */
  _fragments: Buffer[];
  readonly _messageLength: number;
  /** The opcode of the message whose last fragment has not come, or 0. */
  readonly _fragmented: number;
  /** 0 where the next byte begins a frame. */
  readonly _state: number;
}

/** What a buffer costs beside its bytes: a client may send its message one byte at a time. */
const PIECE = 256;

/** A negotiated extension, as `ws` keeps it. */
interface Extension { readonly params: { readonly server_max_window_bits?: number | undefined } }

/**
 * A server-side WebSocket that calls its sink instead of holding listeners: a connection costs no closure and no
 * listener array. Listeners that a connection layer adds are still called.
 */
export class Socket extends WebSocket {
  sink: Sink | undefined = undefined;
  /** The code that this side closed it with, or answered the client's close frame with. */
  closedWith: number | undefined = undefined;
  /** The table of listeners, 184 bytes, is made when there is one: Node's emitters take its absence for no listener. */
  readonly _events: object | undefined = undefined;

  /** Bytes handed to the operating system's socket that it has not taken yet. */
  get unsent(): number { return raw(this)?.writableLength ?? 0; }

  get isOpen(): boolean { return this.readyState === WebSocket.OPEN; }

  /**
   * Whether it takes our compressed frames. A client that asked for a smaller window than zlib's gets its messages
   * uncompressed, which RFC 7692 leaves to the sender: the frame that all others share does not fit that window.
   */
  get deflates(): boolean {
    const { _extensions: extensions } = this as unknown as { _extensions: Record<string, Extension | undefined> };
    const accepted = extensions['permessage-deflate'];
    return accepted !== undefined && (accepted.params.server_max_window_bits ?? 15) === 15;
  }

  /** Bytes that came, also those of a message that is not whole yet. */
  get bytesRead(): number { return raw(this)?.bytesRead ?? 0; }

  /**
   * The message, or control frame, that has begun and is not whole yet: its bytes with what each piece of it costs, and
   * an object that stays the same until the next message ends. Undefined between two messages.
   */
  get unfinished(): { readonly bytes: number; readonly mark: object } | undefined {
    const { _receiver: receiver } = this as unknown as { _receiver: Receiver | null };
    if (!receiver) return undefined;
    const { _fragments: mark, _buffers, _bufferedBytes, _messageLength } = receiver;
    if (receiver._fragmented === 0 && _bufferedBytes === 0 && receiver._state === 0) return undefined;
    return { bytes: _bufferedBytes + _messageLength + PIECE * (_buffers.length + mark.length + 1), mark };
  }

  /** Writes finished frames; only while open. `false`: the socket is full, wait until it has drained. */
  write(frames: Buffer): boolean { return raw(this)!.write(frames); }

  onceDrained(listener: () => void): void { raw(this)?.once('drain', listener); }

  /**
   * Forgets what was read and is not parsed yet, and reads nothing more. Otherwise `ws` would go on inflating: 40
   * messages of 1 MB fit in one read of 79 KB.
   */
  discard(): void {
    const { _receiver: receiver } = this as unknown as { _receiver: Receiver };
    receiver._buffers = [];
    receiver._fragments = [];
    receiver._bufferedBytes = 0;
    raw(this)?.pause();
  }

  override send(data: any, options?: any, callback?: any): void {
    this.sink?.flush();
    // `ws` compresses asynchronously, and frames of ours would overtake what it compresses.
    if (typeof options === 'function') super.send(data, { compress: false }, options);
    else super.send(data, { ...options, compress: false }, callback);
  }

  override close(code?: number, reason?: string | Buffer): void {
    this.sink?.flush();
    if (this.isOpen) this.closedWith = code;
    super.close(code, reason);
    // `ws` calls this, too, when the peer's close frame comes. Then the server ends the TCP connection (RFC 6455
    // 7.1.1): a peer that leaves this to us would hold it until a timeout; one that ends it first costs a fifth more.
    const socket = (this as unknown as { _closeFrameReceived: boolean })._closeFrameReceived ? raw(this) : null;
    if (socket?.listenerCount('finish') === 0) socket.once('finish', () => socket.destroy());
  }

  override emit(event: string | symbol, a?: any, b?: any): boolean {
    const { sink } = this;
    if (sink === undefined) return (event === 'error' && this.listenerCount(event) === 0) || super.emit(event, a, b);
    try {
      if (event === 'message') sink.received(a, b);
      else if (event === 'ping' || event === 'pong') sink.controlled();
      else if (event === 'error') sink.failed(a, 'socket', this.closedWith);
      else if (event === 'close') sink.closed(a, String(b));
      return this.listenerCount(event) > 0 && super.emit(event, a, b);
    } catch (error) {
      // A listener of a layer threw: the error must not escape into the frame parser and out of the process.
      sink.failed(toError(error), 'listener');
      return true;
    }
  }
}

const raw = (socket: WebSocket): NetSocket | null => (socket as unknown as { _socket: NetSocket | null })._socket;

const NO_TAKEOVER = { serverNoContextTakeover: true, clientNoContextTakeover: true } as const;

/** The one place that knows `ws`: handshakes, codecs, frames. */
export class Transport {
  readonly #options: Settings;
  readonly #deflater = new Deflater();
  /** What later handshakes negotiate. */
  readonly settings = new UndoList<TransportSettings>(() => (this.#server = this.#build()));
  #server: WebSocketServer;

  constructor(options: Settings) {
    this.#options = options;
    this.#server = this.#build();
  }

  get #compression(): TransportSettings['compression'] {
    return [...this.settings].findLast(({ compression }) => compression)?.compression;
  }

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
  prepare(message: Outgoing | Binary, codec: Codec, deflates: boolean): Frame {
    const isBytes = isBinary(message);
    const opcode = isBytes || codec.binary ? BINARY : TEXT;
    let frame: Frame;
    try {
      const payload = isBytes ? message : codec.encode(message);
      if (typeof payload === 'string') frame = new Frame(payload, Buffer.byteLength(payload), opcode);
      else frame = Frame.copyOf(viewOf(payload), opcode);
    } catch (cause) {
      throw new ModuleError('MESSAGE_INVALID', { reason: toError(cause).message }, { cause });
    }
    const compression = deflates ? this.#compression : undefined;
    if (compression !== undefined && frame.size >= compression.threshold) this.#deflater.compress(frame, compression);
    return frame;
  }

  #build(): WebSocketServer {
    const { maxPayload, protocols, heartbeat } = this.#options;
    const codecs = [...this.settings].flatMap((one) => one.codecs ?? []);
    const offered = [...(protocols ?? []), ...codecs.map(({ name }) => name)];
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
        ? { ...NO_TAKEOVER, concurrencyLimit: compression.concurrency ?? 4 }
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

/** Bytes as they are now, in a view of fixed length. @throws TypeError where their buffer was transferred */
function viewOf(bytes: Binary): Uint8Array {
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isBinary(bytes)) throw new TypeError('the codec gave neither a string nor bytes');
  return new Uint8Array(bytes);
}

/** Whether a code may stand in a close frame (RFC 6455 7.4): 1004 to 1006 and 1015 never do. */
export function isCloseCode(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

/** A close reason cut to the 123 bytes a close frame has room for (RFC 6455 5.5), never within a character. */
export function clip(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= 123) return reason;
  let end = 123;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
