import {
  encodeFrame, ModuleError, toError, type ConnectionTerms, type SocketSink, type TransportSocket,
} from '../../src/index.ts';
import { ByteStream } from './byte-stream.ts';
import {
  BINARY, CLOSE, closePayload, FrameFault, FrameParser, PING, PONG, readClose, TEXT, type ClientFrame,
} from './frame-parser.ts';
import './polling-errors.ts';

/** Number of unconfirmed bytes at which the socket is full. Further bytes wait in the outbox, with its policy. */
const HIGH_WATER = 65_536;
/** Requests of one session that may send at the same time: one, and its repetition after the client gave it up. */
const MAX_WRITERS = 2;
const NONE = Buffer.alloc(0);

/** A request that waits for bytes. */
export interface Poll {
  /** Whether it takes bytes more than once. */
  readonly isStream: boolean;
  /** Sends bytes to the client. */
  take(position: number, bytes: Buffer): void;
  /** Ends the answer: the client polls again. */
  end(): void;
}

export interface SocketHost {
  /** Called when no request of the client waits any more (`true`), and when one waits again (`false`). */
  idle(socket: PollingSocket, isIdle: boolean): void;
  /** Called when the session has ended. */
  gone(socket: PollingSocket): void;
}

const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/**
 * PollingSocket is the socket of one session, over separate HTTP requests. In both directions, bytes have positions,
 * and the bytes are unmasked WebSocket frames. If an answer or a request is lost, the bytes after the position that the
 * other side has are sent again.
 */
export class PollingSocket implements TransportSocket {
  sink: SocketSink | undefined = undefined;
  readonly id: string;
  readonly protocol: string;
  /** The origin of the page that opened the session. */
  readonly origin: string | undefined;
  /** Since when no request has waited, for the queue of timeouts. */
  startedAt = performance.now();
  readyState = OPEN;
  isPaused = false;
  bytesRead = 0;
  readonly deflates = false;
  readonly #host: SocketHost;
  readonly #closeTimeout: number;
  readonly #down = new ByteStream();
  readonly #parser: FrameParser;
  #poll: Poll | undefined;
  /** The position up to which the present poll has taken bytes. */
  #taken = 0;
  #received = 0;
  #writers = 0;
  #isScheduled = false;
  #isDiscarding = false;
  #onDrain: (() => void)[] = [];
  #onClose: (() => void)[] = [];
  #onRead: (() => void)[] = [];
  #closeTimer: NodeJS.Timeout | undefined;
  #closedWith: { readonly code: number; readonly reason: string } | undefined;

  constructor(
    id: string, origin: string | undefined, protocol: string, host: SocketHost, terms: ConnectionTerms,
  ) {
    this.id = id;
    this.origin = origin;
    this.protocol = protocol;
    this.#host = host;
    this.#closeTimeout = terms.closeTimeout;
    this.#parser = new FrameParser(terms.maxPayload);
  }

  get isOpen(): boolean { return this.readyState === OPEN; }

  get isClosed(): boolean { return this.readyState === CLOSED; }

  get unsent(): number { return this.#down.size; }

  get unfinished(): { readonly bytes: number; readonly mark: object } | undefined { return this.#parser.unfinished; }

  /** The number of bytes that were received from the client: the position of the next one. */
  get received(): number { return this.#received; }

  /** Whether a request waits for bytes. */
  get isPolled(): boolean { return this.#poll !== undefined; }

  // Called by the connection

  write(frames: Buffer): boolean {
    this.#down.push(frames);
    this.#schedule();
    return this.#down.size < HIGH_WATER;
  }

  onceDrained(listener: () => void): void { this.#onDrain.push(listener); }

  onceClosed(listener: () => void): void { this.#onClose.push(listener); }

  send(data: string | Uint8Array): void {
    if (!this.isOpen) return;
    this.sink?.flush();
    const isText = typeof data === 'string';
    this.write(encodeFrame(isText ? TEXT : BINARY, isText ? Buffer.from(data) : data));
  }

  pause(): void { this.isPaused = true; }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    // In a later turn: the caller may be handling a message of this socket.
    setImmediate(() => this.#read());
  }

  discard(): void {
    this.#isDiscarding = true;
    this.#parser.clear();
    this.#doneReading();
  }

  ping(): void { if (this.isOpen) this.write(encodeFrame(PING, NONE)); }

  close(code?: number, reason = ''): void {
    if (!this.isOpen) return;
    this.sink?.flush();
    this.#closeWith(code ?? 1000, reason);
  }

  terminate(): void { this.#finish(1006, ''); }

  // Called by requests

  /**
   * Lets a request wait for bytes. An earlier request that still waits is answered.
   * @param received the position up to which the client has everything
   * @throws POLLING_INVALID, POLLING_SESSION_UNKNOWN
   */
  poll(received: number, poll: Poll): void {
    this.#touch();
    this.confirm(received);
    // The client has confirmed the close frame.
    if (this.isClosed) return poll.end();
    this.#poll?.end();
    this.#poll = poll;
    this.#taken = this.#down.start;
    this.#host.idle(this, false);
    this.#answer();
  }

  /** Ends a request that waits: its time is over, or its client is gone. */
  unpoll(poll: Poll): void {
    if (this.#poll !== poll) return;
    this.#poll = undefined;
    poll.end();
    if (!this.isClosed) this.#host.idle(this, true);
  }

  /** Notes that the client has everything before a position. @throws POLLING_INVALID, POLLING_SESSION_UNKNOWN */
  confirm(position: number): void {
    if (this.isClosed) throw new ModuleError('POLLING_SESSION_UNKNOWN');
    if (!this.#down.confirm(position)) {
      const { start, end } = this.#down;
      throw new ModuleError('POLLING_INVALID', { reason: `Polling-Received must be from ${start} to ${end}` });
    }
    if (this.#down.size < HIGH_WATER) for (const listener of this.#onDrain.splice(0)) listener();
    // The client has the close frame.
    if (this.readyState === CLOSING && this.#down.size === 0) {
      this.#finish(this.#closedWith!.code, this.#closedWith!.reason);
    }
  }

  /** Begins a request that sends. Returns the function that ends it. @throws POLLING_BUSY, POLLING_SESSION_UNKNOWN */
  beginWriting(): () => void {
    if (this.isClosed) throw new ModuleError('POLLING_SESSION_UNKNOWN');
    if (this.#writers >= MAX_WRITERS) throw new ModuleError('POLLING_BUSY');
    this.#writers++;
    this.#touch();
    return () => { this.#writers--; };
  }

  /**
   * Takes bytes of the client. Skips those that were received before. Resolves when the bytes are read. While reading
   * is paused, it does not resolve, so the client has to wait for the answer.
   * @throws POLLING_INVALID, POLLING_SESSION_UNKNOWN
   */
  async receive(position: number, bytes: Buffer): Promise<void> {
    if (this.isClosed) throw new ModuleError('POLLING_SESSION_UNKNOWN');
    if (position > this.#received) {
      throw new ModuleError('POLLING_INVALID', { reason: `Polling-Position must be at most ${this.#received}` });
    }
    const fresh = bytes.subarray(this.#received - position);
    this.#received += fresh.length;
    this.bytesRead += fresh.length;
    if (this.#isDiscarding) return;
    this.#parser.push(fresh);
    this.#read();
    if (this.isPaused) await new Promise<void>((resolve) => this.#onRead.push(resolve));
  }

  /** Shows the heartbeat that the client is alive: each request does, also one without bytes. */
  #touch(): void { this.bytesRead++; }

  #read(): void {
    try {
      while (!this.isPaused && !this.isClosed && !this.#isDiscarding) {
        const frame = this.#parser.next();
        if (!frame) break;
        this.#handle(frame);
      }
    } catch (error) {
      this.#fail(error);
    }
    if (!this.isPaused) this.#doneReading();
  }

  #handle({ opcode, payload }: ClientFrame): void {
    if (opcode === CLOSE) {
      const { code, reason } = readClose(payload);
      return this.#finish(code, reason);
    }
    // After the close frame of the server, only the close frame of the client counts.
    if (!this.isOpen) return;
    if (opcode === TEXT || opcode === BINARY) this.sink?.received(payload, opcode === BINARY);
    else {
      this.sink?.controlFrame();
      // A client that sends too many is closed by that call.
      if (opcode === PING && this.readyState === OPEN) {
        this.sink?.flush();
        this.write(encodeFrame(PONG, payload));
      }
    }
  }

  #fail(thrown: unknown): void {
    if (!(thrown instanceof FrameFault)) return this.sink?.failed(toError(thrown), 'listener');
    this.#isDiscarding = true;
    this.#parser.clear();
    if (!this.isOpen) return;
    this.sink?.flush();
    this.sink?.failed(thrown, 'socket', thrown.closeCode);
    this.#closeWith(thrown.closeCode, thrown.message);
  }

  #doneReading(): void { for (const resolve of this.#onRead.splice(0)) resolve(); }

  #closeWith(code: number, reason: string): void {
    this.write(encodeFrame(CLOSE, closePayload(code, reason)));
    this.readyState = CLOSING;
    this.#closedWith = { code, reason };
    this.#closeTimer = setTimeout(() => this.terminate(), this.#closeTimeout).unref();
  }

  #finish(code: number, reason: string): void {
    if (this.isClosed) return;
    this.readyState = CLOSED;
    clearTimeout(this.#closeTimer);
    const poll = this.#poll;
    this.#poll = undefined;
    poll?.end();
    this.#doneReading();
    this.#host.gone(this);
    // In a later turn, as a network socket does: the caller may not expect to lose the connection during the call.
    setImmediate(() => {
      this.sink?.closed(code, reason);
      for (const listener of this.#onClose.splice(0)) listener();
    });
  }

  // Once per turn, so that everything that is written in one turn is sent in one answer.
  #schedule(): void {
    if (this.#isScheduled || !this.#poll) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#answer();
    });
  }

  #answer(): void {
    const poll = this.#poll;
    if (!poll || this.#taken === this.#down.end) return;
    const position = this.#taken;
    this.#taken = this.#down.end;
    poll.take(position, this.#down.from(position));
    // A stream ends when the socket is full, so that the next request of the client confirms what it has.
    if (!poll.isStream || this.#down.size >= HIGH_WATER || this.readyState === CLOSING) this.unpoll(poll);
  }
}
