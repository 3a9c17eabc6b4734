// A WebSocket connection that authenticates, matches answers to requests, and reconnects as the close codes say.

/** Milliseconds to wait for an answer. */
const REQUEST_TIMEOUT = 10_000;
/** The longest pause between two attempts, in milliseconds. */
const MAX_PAUSE = 30_000;
/** Milliseconds between two pings, which detect a dead connection. */
const PING_INTERVAL = 25_000;
/** Milliseconds after which a connection counts as stable, so that the next pause is short again. */
const STABLE_AFTER = 10_000;

/** An error of the server, or of the connection. */
export class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Milliseconds until the next attempt, by the close code; `undefined`: do not reconnect. */
export function pauseAfter({ code, reason }, attempt) {
  if (code >= 4200 && code < 4300) return Number(/^retry=(\d+)$/.exec(reason)?.[1] ?? 1_000);
  const isStandard = [1001, 1005, 1006].includes(code) || (code >= 1011 && code <= 1015);
  const isTemporary = (code >= 4100 && code < 4200) || isStandard;
  // Random, so that not all clients reconnect at once.
  return isTemporary ? (0.5 + Math.random() / 2) * Math.min(MAX_PAUSE, 1_000 * 2 ** attempt) : undefined;
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
  #pings;
  #isOver = false;

  /**
   * `on` has `state('connecting' | 'online' | 'offline')`, `message(message)` for messages that are not answers, and
   * `ended({ code, reason })` for the end without a reconnect.
   */
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

  /** Resolves with the content of the answer, or rejects with a Failure. */
  request(type, content) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) {
        return reject(new Failure('CONNECTION_CLOSED', 'There is no connection.'));
      }
      const id = `page-${++this.#count}`;
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Failure('REQUEST_TIMEOUT', 'The server did not answer in time.'));
      }, REQUEST_TIMEOUT);
      this.#waiting.set(id, { resolve, reject, timer });
      // With `ack`, the server answers every message.
      this.#socket.send(JSON.stringify({ id, type, content, ack: true }));
    });
  }

  /** Sends a message that needs no answer. Without a connection, it is dropped. */
  say(type, content) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type, content }));
  }

  /** Reconnects now instead of after the pause. */
  hurry() {
    if (this.#timer) this.open();
  }

  /** Closes the connection, without a reconnect or further calls of `on`. */
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
      // A refused token stays refused. Other failures may be temporary.
      this.#socket.close(error.code?.startsWith('TOKEN_') ? 4001 : undefined, error.code);
      return;
    }
    this.#on.state('online');
    // Pings detect a connection that broke without a close.
    const closeIfSilent = ({ code }) => code === 'REQUEST_TIMEOUT' && this.#socket.close();
    this.#pings = setInterval(() => this.request('ping').catch(closeIfSilent), PING_INTERVAL);
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
    clearInterval(this.#pings);
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Failure('CONNECTION_CLOSED', 'The connection was lost.'));
    }
    this.#waiting.clear();
    if (this.#isOver) return;
    if (performance.now() - this.#openedAt > STABLE_AFTER) this.#attempt = 0;
    const pause = pauseAfter({ code, reason }, this.#attempt++);
    if (pause === undefined) return this.#on.ended({ code, reason });
    this.#timer = setTimeout(() => this.open(), pause);
    this.#on.state('offline');
  }
}
