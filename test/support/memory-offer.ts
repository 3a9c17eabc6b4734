import type { IncomingHttpHeaders } from 'node:http';
import type { ConnectionOffer, ConnectionTerms, ModuleError, SocketSink, TransportSocket, UpgradeRequest } from '../../index.ts';
import { CLOSE, closePayload, frame, frameReader, PING, type Frame } from './frames.ts';

/** A socket without a network: the smallest transport that there can be. */
export class MemorySocket implements TransportSocket {
  sink: SocketSink | undefined = undefined;
  readonly protocol: string;
  readonly deflates = false;
  readonly unsent = 0;
  readonly unfinished = undefined;
  /** Every frame that the server wrote. */
  readonly frames: Frame[] = [];
  readyState = 1;
  bytesRead = 0;
  isPaused = false;
  readonly #read = frameReader();
  readonly #closeListeners: (() => void)[] = [];

  constructor(protocol: string) { this.protocol = protocol; }

  get isOpen(): boolean { return this.readyState === 1; }

  /** A message of the client. */
  receive(message: object | Buffer): void {
    const binary = Buffer.isBuffer(message);
    const data = binary ? message : Buffer.from(JSON.stringify(message));
    this.bytesRead += data.length;
    this.sink!.received(data, binary);
  }

  write(frames: Buffer): boolean {
    this.frames.push(...this.#read(frames));
    return true;
  }

  send(data: string | Uint8Array): void {
    this.sink!.flush();
    this.write(frame(typeof data === 'string' ? 1 : 2, Buffer.from(data as string), { mask: false }));
  }

  onceDrained(listener: () => void): void { setImmediate(listener); }
  onceClosed(listener: () => void): void { this.#closeListeners.push(listener); }
  pause(): void { this.isPaused = true; }
  resume(): void { this.isPaused = false; }
  discard(): void { this.pause(); }
  ping(): void { this.write(frame(PING, '', { mask: false })); }

  close(code = 1000, reason = ''): void {
    if (!this.isOpen) return;
    this.sink!.flush();
    this.write(frame(CLOSE, closePayload(code, reason), { mask: false }));
    this.readyState = 2;
  }

  terminate(): void { this.end(1006, ''); }

  /** The client is gone. */
  end(code: number, reason: string): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    setImmediate(() => {
      this.sink?.closed(code, reason);
      for (const listener of this.#closeListeners) listener();
    });
  }
}

export interface MemoryOffer extends ConnectionOffer {
  readonly socket: MemorySocket | undefined;
  readonly refusal: ModuleError | undefined;
  readonly terms: ConnectionTerms | undefined;
}

/** A client of the memory transport that wants to connect. */
export function memoryOffer(headers: IncomingHttpHeaders = {}, more: Partial<ConnectionOffer> = {}): MemoryOffer {
  const made: { -readonly [Key in 'socket' | 'refusal' | 'terms']?: MemoryOffer[Key] } = {};
  const request = { url: '/ws', headers, socket: { remoteAddress: '192.0.2.7' } } as unknown as UpgradeRequest;
  return {
    request,
    isGone: false,
    seesStatus: true,
    check: () => undefined,
    complete(terms) {
      made.terms = terms;
      return (made.socket = new MemorySocket(terms.selectProtocol(['chat', 'json'])));
    },
    refuse: (error) => { made.refusal = error; },
    get socket() { return made.socket; },
    get refusal() { return made.refusal; },
    get terms() { return made.terms; },
    ...more,
  };
}
