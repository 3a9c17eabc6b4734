import type { IncomingMessage } from 'node:http';
import type { Socket as NetSocket } from 'node:net';
import { Writable, type Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { ConnectionTerms, SocketSink, TransportSettings, TransportSocket } from '../contracts.ts';
import { ModuleError, toError } from '../errors.ts';
import type { Settings } from '../runtime/options.ts';
import { json, type Codec, type Outgoing } from '../protocol.ts';
import { UndoList } from '../runtime/scope.ts';
import { Deflater } from './deflater.ts';
import { BINARY, Frame, isBinary, TEXT, type Binary } from './frame.ts';

/** The parser of `ws`. */
interface Receiver extends Writable {
  /** Bytes that were read and are not parsed yet. */
  _buffers: Buffer[];
  _bufferedBytes: number;
  /** The fragments of the incomplete message. A new list replaces it when the message ends. */
  _fragments: Buffer[];
  readonly _messageLength: number;
  /** The opcode of the message whose last fragment has not arrived, or 0. */
  readonly _fragmented: number;
  /** 0 if the next byte begins a frame. */
  readonly _state: number;
}

/** Bytes counted for each buffer in addition to its content: a client may send a message one byte at a time. */
const BUFFER_OVERHEAD = 256;

/** A negotiated extension, as `ws` keeps it. */
interface Extension { readonly params: { readonly server_max_window_bits?: number | undefined } }

/**
 * A server-side WebSocket that calls its sink instead of listeners: a connection needs no closure and no array of
 * listeners. Listeners that a connection layer adds are still called.
 */
export class ServerWebSocket extends WebSocket implements TransportSocket {
  sink: SocketSink | undefined = undefined;
  /** The code of the close frame that the server sent. */
  closedWith: number | undefined = undefined;
  /** Node creates the table of listeners (184 bytes) when the first listener is added. */
  readonly _events: object | undefined = undefined;

  get unsent(): number { return raw(this)?.writableLength ?? 0; }

  get isOpen(): boolean { return this.readyState === WebSocket.OPEN; }

  /**
   * Whether messages to the client are compressed. A client that negotiated a window smaller than zlib's default gets
   * uncompressed messages, which RFC 7692 allows: the compressed frame that all clients share does not fit its window.
   */
  get deflates(): boolean {
    const { _extensions: extensions } = this as unknown as { _extensions: Record<string, Extension | undefined> };
    const accepted = extensions['permessage-deflate'];
    return accepted !== undefined && (accepted.params.server_max_window_bits ?? 15) === 15;
  }

  get bytesRead(): number { return raw(this)?.bytesRead ?? 0; }

  /** The incomplete message or control frame. `ws` has a new list of fragments for each message. */
  get unfinished(): { readonly bytes: number; readonly mark: object } | undefined {
    const { _receiver: receiver } = this as unknown as { _receiver: Receiver | null };
    if (!receiver) return undefined;
    const { _fragments: mark, _buffers, _bufferedBytes, _messageLength } = receiver;
    if (receiver._fragmented === 0 && _bufferedBytes === 0 && receiver._state === 0) return undefined;
    return { bytes: _bufferedBytes + _messageLength + BUFFER_OVERHEAD * (_buffers.length + mark.length + 1), mark };
  }

  write(frames: Buffer): boolean { return raw(this)!.write(frames); }

  onceDrained(listener: () => void): void { raw(this)?.once('drain', listener); }

  onceClosed(listener: () => void): void { this.once('close', listener); }

  // Otherwise `ws` would continue to inflate messages: 40 messages of 1 MB fit in one read of 79 KB.
  discard(): void {
    const { _receiver: receiver } = this as unknown as { _receiver: Receiver };
    receiver._buffers = [];
    receiver._fragments = [];
    receiver._bufferedBytes = 0;
    raw(this)?.pause();
  }

  override send(data: any, options?: any, callback?: any): void {
    this.sink?.flush();
    // `ws` compresses asynchronously: frames written later by the outbox would overtake a compressed message.
    if (typeof options === 'function') super.send(data, { compress: false }, options);
    else super.send(data, { ...options, compress: false }, callback);
  }

  override close(code?: number, reason?: string | Buffer): void {
    this.sink?.flush();
    if (this.isOpen) this.closedWith = code;
    super.close(code, reason);
    const inner = this as unknown as { readonly _closeFrameReceived: boolean; readonly _receiver: Receiver };
    if (!inner._closeFrameReceived) return;
    inner._receiver.end = endOnce;
    // `ws` also calls this when the client's close frame arrives. Then the server ends the TCP connection (RFC 6455
    // 7.1.1). Waiting for the client to end it would take until a timeout with some clients, and costs a fifth more.
    const socket = raw(this);
    if (socket?.listenerCount('finish') === 0) socket.once('finish', () => socket.destroy());
  }

  override emit(event: string | symbol, a?: any, b?: any): boolean {
    const { sink } = this;
    if (sink === undefined) return (event === 'error' && this.listenerCount(event) === 0) || super.emit(event, a, b);
    try {
      if (event === 'message') sink.received(a, b);
      else if (event === 'ping' || event === 'pong') sink.controlFrame();
      else if (event === 'error') sink.failed(a, 'socket', this.closedWith);
      else if (event === 'close') sink.closed(a, String(b));
      return this.listenerCount(event) > 0 && super.emit(event, a, b);
    } catch (error) {
      // A listener of a layer threw. In the frame parser of `ws`, the error would end the process.
      sink.failed(toError(error), 'listener');
      return true;
    }
  }
}

/**
 * `ws` ends its parser again when the TCP connection has closed. Node would then make an error with a stack, which is
 * not used: 4 % of what a short connection costs.
 */
function endOnce<Parser extends Writable>(this: Parser): Parser {
  if (!this.writableEnded) Writable.prototype.end.call(this, undefined, 'utf8');
  return this;
}

const raw = (socket: WebSocket): NetSocket | null => (socket as unknown as { _socket: NetSocket | null })._socket;

const NO_TAKEOVER = { serverNoContextTakeover: true, clientNoContextTakeover: true } as const;

/** Completes handshakes, selects codecs, and encodes frames. */
export class Transport implements ConnectionTerms {
  readonly #options: Settings;
  readonly #deflater = new Deflater();
  /** What plugins add to later handshakes: compression and codecs. */
  readonly settings = new UndoList<TransportSettings>(() => (this.#server = this.#build()));
  #server: WebSocketServer;

  constructor(options: Settings) {
    this.#options = options;
    this.#server = this.#build();
  }

  get maxPayload(): number { return this.#options.maxPayload; }

  get closeTimeout(): number { return this.#options.heartbeat ? this.#options.heartbeat.timeout : 5_000; }

  selectProtocol(offered: Iterable<string>): string {
    const real = [...offered].filter((name) => !/^bearer\./i.test(name));
    const codecs = [...this.settings].flatMap((one) => one.codecs ?? []);
    const known = [...(this.#options.protocols ?? []), ...codecs.map(({ name }) => name)];
    return (known.length > 0 ? known.find((name) => real.includes(name)) : real[0]) ?? '';
  }

  get #compression(): TransportSettings['compression'] {
    return [...this.settings].findLast(({ compression }) => compression)?.compression;
  }

  /** Completes a handshake. Returns nothing if the client has disconnected meanwhile. @throws HANDSHAKE_INVALID */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): ServerWebSocket | undefined {
    let accepted: ServerWebSocket | undefined;
    this.#server.handleUpgrade(request, socket, head, (ws) => (accepted = ws as ServerWebSocket));
    return accepted;
  }

  /** The codec that a negotiated subprotocol selects. */
  codec(protocol: string): Codec {
    for (const { codecs } of this.settings) for (const codec of codecs ?? []) if (codec.name === protocol) return codec;
    return json;
  }

  /** Encodes a message as a frame. @throws UNSENDABLE_MESSAGE if the codec cannot encode it */
  prepare(message: Outgoing | Binary, codec: Codec, deflates: boolean): Frame {
    const isBytes = isBinary(message);
    const opcode = isBytes || codec.binary ? BINARY : TEXT;
    let frame: Frame;
    try {
      const payload = isBytes ? message : codec.encode(message);
      if (typeof payload === 'string') frame = new Frame(payload, Buffer.byteLength(payload), opcode);
      else frame = Frame.copyOf(viewOf(payload), opcode);
    } catch (cause) {
      throw new ModuleError('UNSENDABLE_MESSAGE', { reason: toError(cause).message }, { cause });
    }
    const compression = deflates ? this.#compression : undefined;
    if (compression !== undefined && frame.size >= compression.threshold) this.#deflater.compress(frame, compression);
    return frame;
  }

  #build(): WebSocketServer {
    const { maxPayload, closeTimeout } = this;
    const compression = this.#compression;
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      WebSocket: ServerWebSocket,
      maxPayload,
      // Each fragment or chunk takes memory, however few bytes it has.
      maxFragments: 1_024,
      maxBufferedChunks: 4_096,
      closeTimeout,
      // Without context takeover, a compressed frame does not depend on earlier ones, so all recipients can share it.
      perMessageDeflate: compression
        ? { ...NO_TAKEOVER, concurrencyLimit: compression.concurrency ?? 4 }
        : false,
      handleProtocols: (offered) => this.selectProtocol(offered) || false,
    } as ConstructorParameters<typeof WebSocketServer>[0]);
    // The event is emitted within handleUpgrade(), so upgrade() throws the error.
    return server.on('wsClientError', (error) => {
      throw new ModuleError('HANDSHAKE_INVALID', { reason: error.message });
    });
  }
}

/** The bytes in a view of fixed length. @throws TypeError if their buffer was transferred */
function viewOf(bytes: Binary): Uint8Array {
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isBinary(bytes)) throw new TypeError('the codec must return a string or bytes');
  return new Uint8Array(bytes);
}
