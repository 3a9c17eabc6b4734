import type { WebSocketMessage } from './chat-messages.ts';
import { fail, reportToConsole, textOf } from './client-error.ts';
import type { ClientConfig } from './config.ts';
import type { ConnectionState } from './connection-state.ts';
import { WebSocketClient } from './websocket-client.ts';

export type Subscriber = (message: WebSocketMessage) => void;

let instance: WebSocketManager | undefined;

/** One connection that all parts of a page share. Subscribers stay when the connection is replaced. */
export class WebSocketManager {
  readonly #subscribers = new Set<Subscriber>();
  #client: WebSocketClient | undefined;
  #connecting: Promise<void> | undefined;

  /** The manager of the page. */
  static getInstance(): WebSocketManager {
    return (instance ??= new WebSocketManager());
  }

  /** The client, after `connect()`. */
  get client(): WebSocketClient | undefined { return this.#client; }

  getState(): ConnectionState {
    return this.#client?.getState() ?? { status: 'disconnected', phase: 'disconnected', reconnectAttempts: 0 };
  }

  /** Connects. If a connection exists or is being made, all callers share it. */
  connect(config: ClientConfig): Promise<void> {
    if (this.#client?.isConnected) return Promise.resolve();
    if (this.#client && this.#client.phase !== 'failed' && this.#client.phase !== 'disconnected') {
      return this.#connecting ?? this.#client.connect();
    }
    const client = this.#client = new WebSocketClient(config);
    client.on('message', (message) => this.#notify(message as unknown as WebSocketMessage));
    const connecting = this.#connecting = client.connect().finally(() => {
      if (this.#connecting === connecting) this.#connecting = undefined;
    });
    return connecting;
  }

  /** Adds a subscriber for all messages. Returns a function that removes it. */
  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    return () => void this.#subscribers.delete(subscriber);
  }

  /** Sends a message. Rejects if there is no connection: the caller decides whether it still makes sense later. */
  async sendMessage(message: WebSocketMessage): Promise<void> {
    if (!this.#client?.isConnected) throw fail('NOT_CONNECTED', 'there is no connection');
    await this.#client.send({ ...message });
  }

  disconnect(): void {
    void this.#client?.disconnect();
    this.#client = undefined;
  }

  #notify(message: WebSocketMessage): void {
    for (const subscriber of [...this.#subscribers]) {
      try {
        subscriber(message);
      } catch (error) {
        // The others still get the message.
        reportToConsole(`a subscriber failed: ${textOf(error)}`, error);
      }
    }
  }
}

export const wsManager = /* @__PURE__ */ WebSocketManager.getInstance();
