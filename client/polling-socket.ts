import type { WebSocketLike } from './default-socket.ts';

/** How the requests of a polling connection are made. Times are milliseconds. */
export interface PollingOptions {
  /** The pause after a failed request. It doubles up to `maxInterval`. */
  readonly interval: number;
  readonly maxInterval: number;
  /** A request without an answer fails after this time. */
  readonly timeout: number;
  /** Whether browsers send cookies to other origins. */
  readonly credentials?: boolean | undefined;
}

type Fetch = (url: string, init: object) => Promise<{
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  arrayBuffer(): Promise<ArrayBuffer>;
}>;
interface Answer { readonly status: number; readonly position: number; readonly bytes: Uint8Array }

/** Bytes of one request. The server may allow fewer. */
const MAX_BODY = 65_536;
/** A poll that was cut after at least so many milliseconds was cut by a proxy: the next one waits less. */
const LEAST_WAIT = 1_000;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
const NOTHING = new Uint8Array(0);
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Whether the same request can only be answered in the same way. */
const isFinal = ({ status }: Answer): boolean => (
  status >= 400 && status < 500 && ![408, 425, 429].includes(status)
);

/** A connection over separate HTTP requests, which looks like a WebSocket. Its frames have no masks. */
export class PollingSocket implements WebSocketLike {
  binaryType = 'arraybuffer';
  readyState = CONNECTING;
  protocol = '';
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  readonly #url: string;
  readonly #options: PollingOptions;
  /** End the requests that receive, and those that send. */
  readonly #receiving = new AbortController();
  readonly #transmitting = new AbortController();
  #session = '';
  #maxBody = MAX_BODY;
  #wait = 25_000;
  /** Bytes of the server, as a position, and those that are no whole frame yet. */
  #received = 0;
  #rest: Uint8Array = NOTHING;
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
    if (this.readyState !== OPEN) return;
    if (typeof data === 'string') this.#write(TEXT, new TextEncoder().encode(data));
    else this.#write(BINARY, new Uint8Array(data));
  }

  close(code = 1000, reason = ''): void {
    if (this.readyState === CONNECTING) return this.terminate();
    if (this.readyState !== OPEN) return;
    this.#writeClose(code, reason);
    this.readyState = CLOSING;
    // The server answers nothing; what is on its way here is not waited for.
    this.#receiving.abort();
    void this.#flush().then(() => this.#end(code, reason));
  }

  /** Ends at once. The server ends the session after a time without requests. */
  terminate(): void {
    this.readyState = CLOSED;
    this.#end(1006, '');
  }

  async #open(headers: object): Promise<void> {
    try {
      const answer = await this.#fetch('POST', headers, NOTHING);
      // A proxy or portal answers with something else, which throws or lacks the fields.
      const told = JSON.parse(UTF8.decode(answer.bytes));
      if (answer.status !== 200 && typeof told.code === 'string') {
        return this.#refused(answer.status, told.code as string, told.message);
      }
      if (answer.status !== 200 || typeof told.session !== 'string') throw new Error(`status ${answer.status}`);
      if (this.#isEnded) return;
      this.#session = told.session;
      this.protocol = told.protocol ?? '';
      this.#wait = Math.min(Number(told.wait) || this.#wait, Math.round(this.#options.timeout * 0.8));
      this.#maxBody = Math.min(MAX_BODY, Number(told.maxBody) || MAX_BODY);
      this.readyState = OPEN;
      this.#call(this.onopen, {});
      void this.#poll();
    } catch (error) {
      this.#fail(`long polling failed: ${String(error)}`);
    }
  }

  /** The server itself refused. */
  #refused(status: number, code: string, message: unknown): void {
    this.#fail(`long polling was refused with ${status} ${code}`, status === 401 ? 4001 : status === 403 ? 4003 : 1006,
      `${code}: ${String(message)}`);
  }

  #fail(message: string, code = 1006, reason = ''): void {
    if (this.#isEnded) return;
    this.#call(this.onerror, { message });
    this.#end(code, reason);
  }

  async #poll(): Promise<void> {
    let failures = 0;
    while (this.readyState === OPEN) {
      const since = Date.now();
      const wait = this.#wait;
      try {
        const answer = await this.#fetch('GET', { 'Polling-Wait': String(wait) });
        if (isFinal(answer)) return this.#fail(`the session has ended (status ${answer.status})`);
        // Anything else is from a proxy, or an answer that a cache kept. So is an empty one that comes too early.
        const isNew = answer.status === 200 && this.#read(answer.position, answer.bytes);
        const isWaitOver = answer.position === this.#received && Date.now() - since > wait / 2;
        if (!isNew && !isWaitOver) throw new Error('no answer of the server');
        failures = 0;
      } catch {
        // Lost requests and answers are repeated: the positions tell what is missing. A dead session answers 404.
        if (this.#isEnded) return;
        const lasted = Date.now() - since;
        if (lasted > LEAST_WAIT && lasted < wait + LEAST_WAIT) {
          this.#wait = Math.max(LEAST_WAIT, Math.round(lasted * 0.8));
          if (failures++ === 0) continue;
        } else failures++;
        await this.#pause(failures, this.#receiving.signal);
      }
    }
  }

  #pause(failures: number, signal: AbortSignal): Promise<void> {
    const { interval, maxInterval } = this.#options;
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, Math.min(maxInterval, interval * 2 ** (failures - 1)));
      if (signal.aborted) end();
      else signal.addEventListener('abort', end);
    });
  }

  /** Takes bytes of the server, and hands out the frames. Returns whether any byte is new. */
  #read(position: number, bytes: Uint8Array): boolean {
    if (!(position >= 0 && position <= this.#received)) return false;
    const fresh = bytes.subarray(this.#received - position);
    if (fresh.length === 0) return false;
    this.#received += fresh.length;
    const all = new Uint8Array(this.#rest.length + fresh.length);
    all.set(this.#rest);
    all.set(fresh, this.#rest.length);
    const view = new DataView(all.buffer);
    let at = 0;
    while (all.length - at >= 2 && this.readyState === OPEN) {
      const short = all[at + 1]! & 0x7f;
      const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
      if (start > all.length) break;
      const length = short < 126 ? short : short === 126 ? view.getUint16(at + 2) : Number(view.getBigUint64(at + 2));
      if (start + length > all.length) break;
      this.#handle(all[at]! & 15, all.slice(start, start + length));
      at = start + length;
    }
    this.#rest = all.slice(at);
    return true;
  }

  #handle(opcode: number, payload: Uint8Array): void {
    if (opcode === TEXT) this.#call(this.onmessage, { data: UTF8.decode(payload) });
    else if (opcode === BINARY) this.#call(this.onmessage, { data: payload.buffer });
    else if (opcode === CLOSE) {
      const code = payload.length < 2 ? 1005 : payload[0]! * 256 + payload[1]!;
      this.readyState = CLOSING;
      // Confirms the close frame. A ping is answered by the next request.
      this.#writeClose(code === 1005 ? 1000 : code, '');
      void this.#flush();
      this.#end(code, UTF8.decode(payload.subarray(2)));
    }
  }

  /** A failing listener must not lose the frames after it. Its error is reported as that of a WebSocket's listener. */
  #call(listener: ((event: any) => void) | null, event: object): void {
    try {
      listener?.(event);
    } catch (error) {
      queueMicrotask(() => { throw error; });
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
    while (this.#unsentBytes > 0 && this.readyState !== CLOSED) {
      const body = this.#body();
      try {
        const answer = await this.#fetch('POST', { 'Polling-Position': String(this.#sent) }, body);
        if (isFinal(answer)) return this.#fail(`the session has ended (status ${answer.status})`);
        if (answer.status !== 204) throw new Error(`status ${answer.status}`);
        failures = 0;
        this.#confirm(body.length);
      } catch {
        // Repeated from the same position. A closing connection does not wait for it.
        if (this.readyState !== OPEN) return;
        await this.#pause(++failures, this.#transmitting.signal);
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

  async #fetch(method: string, more: object, body?: Uint8Array): Promise<Answer> {
    const { timeout, credentials } = this.#options;
    const { signal } = body ? this.#transmitting : this.#receiving;
    const late = new AbortController();
    const stop = (): void => late.abort();
    const timer = setTimeout(stop, timeout);
    signal.addEventListener('abort', stop);
    try {
      const { fetch } = globalThis as unknown as { fetch: Fetch };
      const answer = await fetch(this.#url, {
        method,
        headers: {
          ...(body && { 'Content-Type': 'application/octet-stream' }),
          ...(this.#session && { 'Polling-Session': this.#session, 'Polling-Received': String(this.#received) }),
          ...more,
        },
        body,
        signal: late.signal,
        cache: 'no-store',
        // The session and the token must not go to the page of a portal.
        redirect: 'error',
        credentials: credentials ? 'include' : 'same-origin',
        // A page that is left still says so.
        keepalive: this.readyState === CLOSING,
      });
      const bytes = new Uint8Array(await answer.arrayBuffer());
      return { status: answer.status, position: Number(answer.headers.get('Polling-Position') ?? NaN), bytes };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  #end(code: number, reason: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#receiving.abort();
    // The confirmation of a close frame may still be on its way.
    if (this.readyState !== CLOSING) this.#transmitting.abort();
    this.readyState = Math.max(this.readyState, CLOSING);
    this.#call(this.onclose, { code, reason });
  }
}
