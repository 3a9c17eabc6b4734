import { EventEmitter } from 'node:events';
import { PollingSocket, type PollingOptions } from '../../client/polling-socket.ts';
import { cleanup } from './cleanup.ts';
import { Client } from './client.ts';

const OPTIONS: PollingOptions = { interval: 20, maxInterval: 100, timeout: 30_000 };

export interface PollingClientOptions {
  readonly protocols?: string[] | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The client's polling socket with the events of the package `ws`, so that the same tests run over both. */
class PollingEvents extends EventEmitter {
  readonly socket: PollingSocket;
  failure = '';

  constructor(url: string, { protocols = [], headers = {} }: PollingClientOptions) {
    super();
    const socket = this.socket = new PollingSocket(url, protocols, OPTIONS, headers);
    socket.onopen = () => this.emit('open');
    socket.onmessage = ({ data }: { data: string | ArrayBuffer }) => (
      typeof data === 'string' ? this.emit('message', Buffer.from(data), false) : this.emit('message', Buffer.from(data), true));
    socket.onerror = ({ message }: { message: string }) => { this.failure = message; };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => this.emit('close', code, Buffer.from(reason));
  }

  get readyState(): number { return this.socket.readyState; }
  get protocol(): string { return this.socket.protocol; }
  send(data: string | Uint8Array, done?: () => void): void { this.socket.send(data); done?.(); }
  close(code?: number, reason?: string): void { this.socket.close(code, reason); }
  /** With a close frame: otherwise each test would wait until the server misses the client. */
  terminate(): void { this.socket.close(); }
  /** Without a word. */
  kill(): void { this.socket.terminate(); }
}

/** Connects by long polling. Rejects with what the server refused it with. */
export async function connectPolling(url: string, options: PollingClientOptions = {}): Promise<Client> {
  const events = new PollingEvents(url, options);
  const client = new Client(events as never);
  const terminate = cleanup(() => client.terminate());
  void client.closed.then(terminate);
  await new Promise<void>((resolve, reject) => {
    events.once('open', resolve);
    events.once('close', () => reject(new Error(events.failure)));
  });
  return client;
}
