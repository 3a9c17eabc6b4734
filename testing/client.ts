import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import WebSocket from 'ws';
import { cleanup } from './cleanup.ts';
import { waits } from './waits.ts';
import type { Socket, SocketOptions } from './ws-types.ts';

/**
 * A parsed message from the server. A binary frame becomes `{ type: 'binary', content: Buffer }`, a text frame that is
 * not JSON becomes `{ type: 'not-json', content: string }`.
 */
export interface Received {
  id?: string | undefined;
  type: string;
  content: any;
  replyTo?: string | undefined;
  [field: string]: any;
}

/** The options of a `ws` client, such as `headers` and `origin`, and the subprotocols that it offers. */
export type ConnectOptions = SocketOptions & { protocols?: string | string[] | undefined };

/** The server refused the handshake: the status of its response is not 101. */
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

interface Waiter {
  matches(message: Received): boolean;
  resolve(message: Received): void;
  reject(error: Error): void;
}

/** A client that connects to the server under test through a real socket. */
export class Client {
  /** The `WebSocket` of the package `ws`. */
  readonly ws: Socket;
  /** All received messages, in order, including those that `next()` and `request()` have returned. */
  readonly messages: Received[] = [];
  /** Resolves when the connection is closed. */
  readonly closed: Promise<{ code: number; reason: string }>;
  #unread: Received[] = [];
  #waiting: Waiter[] = [];
  #end: string | undefined;

  constructor(ws: Socket) {
    this.ws = ws;
    this.closed = new Promise((resolve) => {
      ws.once('close', (code: number, reason: Buffer) => {
        this.#end = `closed with ${code} ${reason.toString()}`.trim();
        resolve({ code, reason: reason.toString() });
        for (const waiter of this.#waiting.splice(0)) waiter.reject(new Error(`the connection was ${this.#end}`));
      });
    });
    // Without a listener, an 'error' event would end the process. `closed` reports the failure, too.
    ws.on('error', () => undefined);
    ws.on('message', (data: unknown, binary: boolean) => this.#receive(data as Buffer, binary));
  }

  /** Sends an object as JSON, a string unchanged, and bytes as a binary frame. Resolves when it is written. */
  send(message: object | string | Uint8Array): Promise<void> {
    const data = typeof message === 'string' || message instanceof Uint8Array ? message : JSON.stringify(message);
    const sent = new Promise<void>((resolve, reject) => {
      this.ws.send(data, (error: Error | undefined) => error ? reject(error) : resolve());
    });
    // A test that does not await the result may send into a closing connection.
    sent.catch(() => undefined);
    return sent;
  }

  /**
   * Sends a message and resolves with its reply: the message whose `replyTo` is the id of the sent one. An error of the
   * server is a reply of type `error`. A message without an id gets one.
   */
  request(
    message: { type: string; id?: string | undefined; [field: string]: unknown }, timeout = waits.message,
  ): Promise<Received> {
    const id = message.id ?? randomUUID();
    const reply = this.#wait(`a reply to ${message.type} ${id}`, (received) => received.replyTo === id, timeout);
    void this.send({ ...message, id });
    return reply;
  }

  /** Resolves with the next message (of this type, if given) that `next()` and `request()` have not returned yet. */
  next(type?: string, timeout = waits.message): Promise<Received> {
    return this.#wait(type ?? 'any message', (received) => type === undefined || received.type === type, timeout);
  }

  /** Closes the connection, and resolves when it is closed. */
  close(code?: number, reason?: string): Promise<{ code: number; reason: string }> {
    this.ws.close(code, reason);
    return this.closed;
  }

  /** Destroys the socket without a closing handshake. */
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
    const arrived = () => `received instead: ${JSON.stringify(this.messages, null, 1)}`;
    const ended = (how: string) => new Error(`waited for ${what}, but ${how}; ${arrived()}`);
    if (this.#end) return Promise.reject(ended(`the connection was ${this.#end}`));
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        matches,
        resolve(message) {
          clearTimeout(timer);
          resolve(message);
        },
        reject(error) {
          clearTimeout(timer);
          reject(ended(error.message));
        },
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new Error(`waited ${timeout} ms for ${what}; ${arrived()}`));
      }, timeout);
      this.#waiting.push(waiter);
    });
  }
}

/**
 * Connects a client. Rejects with `UpgradeRefused` if the server refuses the handshake. `stopAll()` disconnects it.
 */
export function connect(url: string, { protocols = [], ...options }: ConnectOptions = {}): Promise<Client> {
  const ws = new WebSocket(url, protocols, options);
  const client = new Client(ws);
  const terminate = cleanup(() => client.terminate());
  void client.closed.then(terminate);
  return new Promise((resolve, reject) => {
    ws.once('open', () => resolve(client));
    ws.once('error', reject);
    ws.once('unexpected-response', (_request, response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.once('close', () => {
        reject(new UpgradeRefused(response, body));
        // A listener of 'unexpected-response' must end the request; otherwise `close` is never emitted.
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
