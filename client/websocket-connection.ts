import type { ClientConfig } from './config.ts';
import { fail } from './client-error.ts';
import type { Sendable } from './frames.ts';
import { WebSocketClient } from './websocket-client.ts';

type Listener = (message: any) => unknown;

/** Messages that are kept until there is a listener. */
const MAX_EARLY = 100;

/** One connection with one listener, for code that manages connections itself. It reconnects as the client does. */
export class WebSocketConnection {
  readonly #config: Omit<ClientConfig, 'url'>;
  readonly #early: unknown[] = [];
  #onMessage: Listener | null = null;
  #client: WebSocketClient | undefined;

  constructor(config: Omit<ClientConfig, 'url'> = {}) {
    this.#config = config;
  }

  /** Gets every message. Messages that came before it was set are kept for it, within a bound. */
  get onMessage(): Listener | null { return this.#onMessage; }

  set onMessage(listener: Listener | null) {
    this.#onMessage = listener;
    if (listener) for (const message of this.#early.splice(0)) listener(message);
  }

  /** The client that it stands on, after `connect()`. */
  get client(): WebSocketClient | undefined { return this.#client; }

  async connect(url: string): Promise<void> {
    this.disconnect();
    const client = this.#client = new WebSocketClient({ ...this.#config, url });
    client.on('message', (message) => {
      if (this.#onMessage) return this.#onMessage(message);
      this.#early.push(message);
      if (this.#early.length > MAX_EARLY) this.#early.shift();
      return undefined;
    });
    await client.connect();
  }

  isConnected(): boolean { return this.#client?.isConnected ?? false; }

  async send(message: Sendable): Promise<void> {
    if (!this.#client) throw fail('NOT_CONNECTED', 'connect() was not called');
    await this.#client.send(message);
  }

  disconnect(): void {
    void this.#client?.disconnect();
    this.#client = undefined;
  }
}
