import type { WebSocketLike } from './default-socket.ts';

/** How the requests of a polling connection are made. Milliseconds. */
export interface PollingOptions {
  /** The pause after a failed request. It doubles up to `maxInterval`. */
  readonly interval: number;
  readonly maxInterval: number;
  /** A request without an answer fails after this time. */
  readonly timeout: number;
}

interface Answer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  json(): Promise<any>;
  arrayBuffer(): Promise<ArrayBuffer>;
}
interface Refusal { code?: string | undefined; message?: string | undefined }
type Fetch = (url: string, init: object) => Promise<Answer>;

/** Bytes of one request. The server may allow fewer. */
const MAX_BODY = 65_536;
/** A poll that was cut after at least so many milliseconds was cut by a proxy: the next one waits less. */
const LEAST_WAIT = 1_000;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** A connection over separate HTTP requests, which looks like a WebSocket. Its frames have no masks. */
export class PollingSocket implements WebSocketLike {
  binaryType = 'arraybuffer';
  readyState = 0;
  protocol = '';
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  readonly #url: string;
  readonly #options: PollingOptions;
  readonly #abort = new AbortController();
  #session = '';
  #maxBody = MAX_BODY;
  #wait = 25_000;
  /** Bytes of the server, as a position, and those that are no whole frame yet. */
  #received = 0;
  #rest = new Uint8Array(0);
  /** Bytes for the server that it has not confirmed, and the position of the first one. */
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #sent = 0;
  #sending: Promise<void> | undefined;
  #isEnded = false;

  constructor(url: string, protocols: readonly string[], options: PollingOptions, headers: object = {}) {
    this.#url = url.replace(/^ws/i, 'http');
    this.#options = options;
    const offered = protocols.length > 0 ? { 'Polling-Protocol': protocols.join(', ') } : {};
    void this.#open({ ...offered, ...headers });
  }

  get bufferedAmount(): number { return this.#unsentBytes; }

  send(data: string | Uint8Array | ArrayBuffer): void {
    if (this.readyState !== 1) return;
    if (typeof data === 'string') this.#write(TEXT, new TextEncoder().encode(data));
    else this.#write(BINARY, new Uint8Array(data));
  }

  close(code = 1000, reason = ''): void {
    if (this.readyState > 1) return;
    if (this.readyState === 0) return this.terminate();
    this.#writeClose(code, reason);
    this.readyState = 2;
    // The server answers nothing; what is on its way here is not waited for.
    void this.#flush().then(() => this.#end(code, reason));
  }

  /** Ends at once. The server ends the session after a time without requests. */
  terminate(): void {
    this.readyState = 3;
    this.#end(1006, '');
  }

  async #open(headers: object): Promise<void> {
    try {
      const answer = await this.#fetch('POST', headers, new Uint8Array(0));
      const told = await answer.json();
      if (answer.status !== 200) return this.#refused(answer.status, told);
      this.#session = String(told.session);
      this.protocol = told.protocol ?? '';
      this.#wait = Number(told.wait) || this.#wait;
      this.#maxBody = Math.min(MAX_BODY, Number(told.maxBody) || MAX_BODY);
      this.readyState = 1;
      this.onopen?.({});
      void this.#poll();
    } catch (error) {
      // No connection, or a proxy that answered something else than the server.
      this.onerror?.({ message: `polling failed: ${String(error)}` });
      this.#end(1006, '');
    }
  }

  #refused(status: number, { code = '', message = '' }: Refusal): void {
    this.onerror?.({ message: `polling was refused with ${status} ${code}` });
    this.#end(status === 401 ? 4001 : status === 403 ? 4003 : 1006, `${code}: ${message}`);
  }

  async #poll(): Promise<void> {
    let failures = 0;
    while (this.readyState === 1) {
      const since = Date.now();
      try {
        const answer = await this.#fetch('GET', { 'Polling-Wait': String(this.#wait) });
        const bytes = new Uint8Array(await answer.arrayBuffer());
        if (answer.status === 404) return this.#end(1006, 'the session is gone');
        const position = answer.headers.get('Polling-Position');
        // Anything else is from a proxy.
        if (answer.status !== 200 || position === null) throw new Error(`status ${answer.status}`);
        failures = 0;
        this.#read(Number(position), bytes);
      } catch {
        // Lost requests and answers are repeated: the positions tell what is missing. A dead session answers 404.
        if (this.#isEnded) return;
        const lasted = Date.now() - since;
        if (lasted > LEAST_WAIT && lasted < this.#wait + LEAST_WAIT) {
          this.#wait = Math.max(LEAST_WAIT, Math.round(lasted * 0.8));
          if (failures++ === 0) continue;
        } else failures++;
        await this.#pause(failures);
      }
    }
  }

  #pause(failures: number): Promise<void> {
    const { interval, maxInterval } = this.#options;
    return new Promise((resolve) => setTimeout(resolve, Math.min(maxInterval, interval * 2 ** (failures - 1))));
  }

  #read(position: number, bytes: Uint8Array): void {
    const fresh = bytes.subarray(this.#received - position);
    if (position > this.#received || fresh.length === 0) return;
    this.#received += fresh.length;
    const all = new Uint8Array(this.#rest.length + fresh.length);
    all.set(this.#rest);
    all.set(fresh, this.#rest.length);
    const view = new DataView(all.buffer);
    let at = 0;
    while (all.length - at >= 2 && this.readyState === 1) {
      const short = all[at + 1]! & 0x7f;
      const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
      if (start > all.length) break;
      const length = short < 126 ? short : short === 126 ? view.getUint16(at + 2) : Number(view.getBigUint64(at + 2));
      if (start + length > all.length) break;
      this.#handle(all[at]! & 15, all.slice(start, start + length));
      at = start + length;
    }
    this.#rest = all.slice(at);
  }

  #handle(opcode: number, payload: Uint8Array): void {
    if (opcode === TEXT) this.onmessage?.({ data: new TextDecoder().decode(payload) });
    else if (opcode === BINARY) this.onmessage?.({ data: payload.buffer });
    else if (opcode === PING) this.#write(PONG, payload);
    else if (opcode === CLOSE) {
      const code = payload.length < 2 ? 1005 : payload[0]! * 256 + payload[1]!;
      this.readyState = 2;
      // Confirms the close frame.
      this.#writeClose(code === 1005 ? 1000 : code, '');
      void this.#flush();
      this.#end(code, new TextDecoder().decode(payload.subarray(2)));
    }
  }

  #writeClose(code: number, reason: string): void {
    const text = new TextEncoder().encode(reason).subarray(0, 123);
    this.#write(CLOSE, Uint8Array.of(code >> 8, code & 255, ...text));
  }

  #write(opcode: number, payload: Uint8Array): void {
    const size = payload.length;
    const head = new DataView(new ArrayBuffer(size < 126 ? 2 : size < 65_536 ? 4 : 10));
    head.setUint8(0, 128 | opcode);
    head.setUint8(1, size < 126 ? size : size < 65_536 ? 126 : 127);
    if (head.byteLength === 4) head.setUint16(2, size);
    if (head.byteLength === 10) head.setBigUint64(2, BigInt(size));
    this.#unsent.push(new Uint8Array(head.buffer), payload);
    this.#unsentBytes += head.byteLength + size;
    // What is written in one turn goes with one request.
    if (!this.#sending && opcode !== CLOSE) queueMicrotask(() => void this.#flush());
  }

  /** Sends what waits, one request at a time. A failed request is repeated from the same position. */
  #flush(): Promise<void> {
    return (this.#sending ??= this.#sendAll().finally(() => { this.#sending = undefined; }));
  }

  async #sendAll(): Promise<void> {
    let failures = 0;
    while (this.#unsentBytes > 0 && this.readyState < 3) {
      const body = this.#body();
      try {
        const { status } = await this.#fetch('POST', { 'Polling-Position': String(this.#sent) }, body);
        if (status === 404) return this.#end(1006, 'the session is gone');
        if (status !== 204) throw new Error(`status ${status}`);
        failures = 0;
        this.#confirm(body.length);
      } catch {
        // Repeated from the same position. A closing connection does not wait for it.
        if (this.readyState !== 1) return;
        await this.#pause(++failures);
      }
    }
  }

  #body(): Uint8Array {
    const body = new Uint8Array(Math.min(this.#unsentBytes, this.#maxBody));
    let at = 0;
    for (const chunk of this.#unsent) {
      const part = chunk.subarray(0, body.length - at);
      body.set(part, at);
      at += part.length;
      if (at === body.length) break;
    }
    return body;
  }

  #confirm(count: number): void {
    this.#sent += count;
    this.#unsentBytes -= count;
    let left = count;
    while (left > 0) {
      const first = this.#unsent.shift()!;
      if (first.length > left) this.#unsent.unshift(first.subarray(left));
      left -= Math.min(left, first.length);
    }
  }

  #fetch(method: string, more: object, body?: Uint8Array): Promise<Answer> {
    const { timeout } = this.#options;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeout);
    const stop = (): void => late.abort();
    this.#abort.signal.addEventListener('abort', stop);
    const headers = {
      ...(body && { 'Content-Type': 'application/octet-stream' }),
      ...(this.#session && { 'Polling-Session': this.#session, 'Polling-Received': String(this.#received) }),
      ...more,
    };
    const { fetch } = globalThis as unknown as { fetch: Fetch };
    return fetch(this.#url, { method, headers, body, cache: 'no-store', signal: late.signal })
      .finally(() => {
        clearTimeout(timer);
        this.#abort.signal.removeEventListener('abort', stop);
      });
  }

  #end(code: number, reason: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    // The confirmation of a close frame may still be on its way.
    if (this.readyState !== 2) this.#abort.abort();
    this.readyState = Math.max(this.readyState, 2);
    this.onclose?.({ code, reason });
  }
}
