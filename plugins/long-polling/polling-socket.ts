import {
  encodeFrame, ModuleError, toError, type ConnectionTerms, type SocketSink, type TransportSocket,
} from '../../src/index.ts';
import { ByteStream } from './byte-stream.ts';
import {
  BINARY, CLOSE, closePayload, FrameFault, FrameParser, PING, PONG, readClose, TEXT, type ClientFrame,
} from './frame-parser.ts';
import './polling-errors.ts';

/** Unconfirmed bytes at which the socket is full: the rest waits in the outbox, where its policy applies. */
const HIGH_WATER = 65_536;
/** Requests of one session that may send at once: the second may repeat a first one that the client gave up. */
const MAX_WRITERS = 2;
const NONE = Buffer.alloc(0);

/** A request that waits for bytes. */
export interface Poll {
  /** Whether it takes bytes more than once. */
  readonly isStream: boolean;
  take(position: number, bytes: Buffer): void;
  /** Ends the answer: the client polls again. */
  end(): void;
}

export interface SocketHost {
  /** Called when no request waits any more, or again. */
  idle(socket: PollingSocket, isIdle: boolean): void;
  gone(socket: PollingSocket): void;
}

const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/**
 * A socket over separate requests. Both directions are streams of bytes with positions, which carry WebSocket frames
 * without masks. So a lost answer or request is sent again from the position that the other side has.
 */
export class PollingSocket implements TransportSocket {
  sink: SocketSink | undefined = undefined;
  readonly id: string;
  readonly protocol: string;
  /** The origin of the page that opened the session. */
  readonly origin: string | undefined;
  /** Since when no request waits, for a queue of timeouts. */
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
  /** Up to where the present poll has taken bytes. */
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

  /** Bytes of the client that were received. */
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
   * Lets a request wait for bytes. Another one that waits is answered.
   * @param received what the client has, as a position
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

  /** The request does not wait any more: its time is over, or its client is gone. */
  unpoll(poll: Poll): void {
    if (this.#poll !== poll) return;
    this.#poll = undefined;
    poll.end();
    if (!this.isClosed) this.#host.idle(this, true);
  }

  /** The client has everything before this position. @throws POLLING_INVALID, POLLING_SESSION_UNKNOWN */
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

  /** A request begins to send. Returns what it calls at its end. @throws POLLING_BUSY, POLLING_SESSION_UNKNOWN */
  beginWriting(): () => void {
    if (this.isClosed) throw new ModuleError('POLLING_SESSION_UNKNOWN');
    if (this.#writers >= MAX_WRITERS) throw new ModuleError('POLLING_BUSY');
    this.#writers++;
    this.#touch();
    return () => { this.#writers--; };
  }

  /**
   * Takes bytes of the client. What was received before is skipped. Resolves when they are read: not while reading is
   * paused, so that the request waits, too.
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

  /** Any request is a sign of life, also one without bytes. */
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
    // After the server's close frame only that of the client counts.
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
    // In a later turn, as with a network: the caller may not expect to lose the connection meanwhile.
    setImmediate(() => {
      this.sink?.closed(code, reason);
      for (const listener of this.#onClose.splice(0)) listener();
    });
  }

  // Once per turn: what is written in one turn has one answer.
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
    // A stream ends when it has carried a full socket, so that the client confirms what it has.
    if (!poll.isStream || this.#down.size >= HIGH_WATER || this.readyState === CLOSING) this.unpoll(poll);
  }
}
