// A WebSocket that says who it is, gives answers to requests, and comes back by itself, as far as the server's close codes say it may.

/** Milliseconds to wait for an answer, and at most between two attempts; and how often to see whether the server is still there. */
const PATIENCE = 10_000;
const LONGEST_PAUSE = 30_000;
const PULSE = 25_000;
/** Milliseconds after which a connection was a good one: the next attempt need not wait for long. */
const GOOD = 10_000;

/** What the server refused, or what did not reach it. */
export class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Milliseconds until the next attempt, by how the connection ended; `undefined`: the server does not want one. */
export function pauseAfter({ code, reason }, attempt) {
  if (code >= 4200 && code < 4300) return Number(/^retry=(\d+)$/.exec(reason)?.[1] ?? 1_000);
  const mayReturn = (code >= 4100 && code < 4200) || [1001, 1005, 1006].includes(code) || (code >= 1011 && code <= 1015);
  // Never all clients at once.
  return mayReturn ? (0.5 + Math.random() / 2) * Math.min(LONGEST_PAUSE, 1_000 * 2 ** attempt) : undefined;
}

export class Connection {
  #url;
  #token;
  #on;
  #socket;
  #waiting = new Map();
  #count = 0;
  #attempt = 0;
  #openedAt = 0;
  #timer;
  #pulse;
  #isOver = false;

  /** `on`: `state('connecting' | 'online' | 'offline')`, `message(message)` for what is no answer, `ended({ code, reason })` when there is no way back. */
  constructor(url, token, on) {
    this.#url = url;
    this.#token = token;
    this.#on = on;
  }

  open() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#on.state('connecting');
    socket.addEventListener('open', () => this.#identify());
    socket.addEventListener('message', ({ data }) => this.#received(JSON.parse(data)));
    socket.addEventListener('close', (end) => this.#closed(end));
  }

  /** Resolves to the answer's content. Throws a Failure. */
  request(type, content) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) return reject(new Failure('CONNECTION_CLOSED', 'There is no connection.'));
      const id = `page-${++this.#count}`;
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Failure('REQUEST_TIMEOUT', 'The server did not answer in time.'));
      }, PATIENCE);
      this.#waiting.set(id, { resolve, reject, timer });
      // Where there is nothing to answer, it is acknowledged.
      this.#socket.send(JSON.stringify({ id, type, content, ack: true }));
    });
  }

  /** Says something that needs no answer; unsaid where there is no connection. */
  say(type, content) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type, content }));
  }

  /** Tries again at once, if it waits. */
  hurry() {
    if (this.#timer) this.open();
  }

  /** Ends it for good; nothing is heard of it any more. */
  close() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
  }

  async #identify() {
    this.#openedAt = performance.now();
    try {
      await this.request('auth', { token: this.#token });
    } catch (error) {
      // A token that was refused gets no better; what failed otherwise may.
      this.#socket.close(error.code?.startsWith('TOKEN_') ? 4001 : undefined, error.code);
      return;
    }
    this.#on.state('online');
    // What is cut without a word is noticed by asking.
    this.#pulse = setInterval(() => this.request('ping').catch(({ code }) => code === 'REQUEST_TIMEOUT' && this.#socket.close()), PULSE);
  }

  #received(message) {
    if (this.#isOver) return;
    const waiting = this.#waiting.get(message.replyTo);
    if (!waiting) return this.#on.message(message);
    this.#waiting.delete(message.replyTo);
    clearTimeout(waiting.timer);
    if (message.type === 'error') waiting.reject(new Failure(message.content.code, message.content.message));
    else waiting.resolve(message.content);
  }

  #closed({ code, reason }) {
    clearInterval(this.#pulse);
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Failure('CONNECTION_CLOSED', 'The connection broke.'));
    }
    this.#waiting.clear();
    if (this.#isOver) return;
    if (performance.now() - this.#openedAt > GOOD) this.#attempt = 0;
    const pause = pauseAfter({ code, reason }, this.#attempt++);
    if (pause === undefined) return this.#on.ended({ code, reason });
    this.#timer = setTimeout(() => this.open(), pause);
    this.#on.state('offline');
  }
}
