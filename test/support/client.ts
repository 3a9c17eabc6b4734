import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import WebSocket from 'ws';
import { cleanup } from './cleanup.ts';

/**
 * What arrived, parsed. A binary frame is `{ type: 'binary', content: Buffer }`, a text that is not JSON
 * `{ type: 'not-json', content: string }`.
 */
export interface Received {
  id?: string;
  type: string;
  content: any;
  replyTo?: string;
  [field: string]: any;
}

export interface ConnectOptions extends WebSocket.ClientOptions {
  protocols?: string | string[];
}

/** How long a test waits for what should come at once. */
const patience = 2_000;

/** The server answered the handshake with something else than 101. */
export class UpgradeRefused extends Error {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;

  constructor(response: IncomingMessage, body: string) {
    super(`the upgrade was refused with ${response.statusCode}: ${body}`);
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    this.body = body;
  }
}

interface Waiter { matches(message: Received): boolean; resolve(message: Received): void; reject(error: Error): void }

/** A client as an application would have it, over the real `ws`. */
export class Client {
  readonly ws: WebSocket;
  /** Everything that arrived, in order, read or not. */
  readonly messages: Received[] = [];
  /** Settles when the connection is gone. */
  readonly closed: Promise<{ code: number; reason: string }>;
  #unread: Received[] = [];
  #waiting: Waiter[] = [];
  #end: string | undefined;

  constructor(ws: WebSocket) {
    this.ws = ws;
    this.closed = new Promise((resolve) => {
      ws.once('close', (code, reason) => {
        this.#end = `closed with ${code} ${reason.toString()}`.trim();
        resolve({ code, reason: reason.toString() });
        for (const waiter of this.#waiting.splice(0)) waiter.reject(new Error(`the connection was ${this.#end}`));
      });
    });
    // Told by `closed`; an 'error' event nobody hears would end the process.
    ws.on('error', () => {});
    ws.on('message', (data, binary) => this.#receive(data as Buffer, binary));
  }

  /** Sends an object as JSON, and a string or Buffer as it is. Resolves when it is written. */
  send(message: object | string | Uint8Array): Promise<void> {
    const data = typeof message === 'string' || message instanceof Uint8Array ? message : JSON.stringify(message);
    const sent = new Promise<void>((resolve, reject) => this.ws.send(data, (error) => error ? reject(error) : resolve()));
    // A test that does not await it meant to send into a closing connection.
    sent.catch(() => {});
    return sent;
  }

  /** Sends, with an id if it has none, and resolves with the message that has this id as its `replyTo`. */
  request(message: { type: string; id?: string; [field: string]: unknown }, timeout = patience): Promise<Received> {
    const id = message.id ?? randomUUID();
    const reply = this.#wait(`a reply to ${message.type} ${id}`, (received) => received.replyTo === id, timeout);
    void this.send({ ...message, id });
    return reply;
  }

  /** The next message not read yet, of this type if one is given. */
  next(type?: string, timeout = patience): Promise<Received> {
    return this.#wait(type ?? 'any message', (received) => type === undefined || received.type === type, timeout);
  }

  /** Closes, and resolves when the connection is gone. */
  close(code?: number, reason?: string): Promise<{ code: number; reason: string }> {
    this.ws.close(code, reason);
    return this.closed;
  }

  /** Cuts the connection without a closing handshake. */
  terminate(): Promise<{ code: number; reason: string }> {
    this.ws.terminate();
    return this.closed;
  }

  #receive(data: Buffer, binary: boolean): void {
    const message = parse(data, binary);
    this.messages.push(message);
    const index = this.#waiting.findIndex((waiter) => waiter.matches(message));
    if (index < 0) this.#unread.push(message);
    else this.#waiting.splice(index, 1)[0]!.resolve(message);
  }

  #wait(what: string, matches: Waiter['matches'], timeout: number): Promise<Received> {
    const index = this.#unread.findIndex(matches);
    if (index >= 0) return Promise.resolve(this.#unread.splice(index, 1)[0]!);
    const arrived = () => `what did arrive: ${JSON.stringify(this.messages, null, 1)}`;
    if (this.#end) return Promise.reject(new Error(`waited for ${what}, but the connection was ${this.#end}; ${arrived()}`));
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        matches,
        resolve(message) { clearTimeout(timer); resolve(message); },
        reject(error) { clearTimeout(timer); reject(new Error(`waited for ${what}, but ${error.message}; ${arrived()}`)); },
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new Error(`waited ${timeout} ms for ${what}; ${arrived()}`));
      }, timeout);
      this.#waiting.push(waiter);
    });
  }
}

/** Connects. Rejects with `UpgradeRefused` when the server answers with a status. Cut when the test is over. */
export function connect(url: string, { protocols = [], ...options }: ConnectOptions = {}): Promise<Client> {
  const ws = new WebSocket(url, protocols, options);
  const client = new Client(ws);
  cleanup(() => client.terminate());
  return new Promise((resolve, reject) => {
    ws.once('open', () => resolve(client));
    ws.once('error', reject);
    ws.once('unexpected-response', (_request, response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.once('close', () => {
        reject(new UpgradeRefused(response, body));
        // `ws` leaves the rest to whoever listens to this event: without it, `close` never comes.
        ws.terminate();
      });
    });
  });
}

function parse(data: Buffer, binary: boolean): Received {
  if (binary) return { type: 'binary', content: data };
  const text = data.toString();
  try {
    return JSON.parse(text) as Received;
  } catch {
    return { type: 'not-json', content: text };
  }
}
