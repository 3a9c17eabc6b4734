import type { WebSocketMessage } from './chat-messages.ts';

export interface MessageQueueOptions {
  /** Messages that may wait. Beyond it, the oldest is dropped, and `onDrop` gets it. @default 100 */
  readonly maxSize?: number | undefined;
  /** Milliseconds between two messages, in which a page can draw. @default 10 */
  readonly pause?: number | undefined;
  readonly onDrop?: ((message: WebSocketMessage) => void) | undefined;
  readonly onError?: ((error: unknown, message: WebSocketMessage) => void) | undefined;
}

/** Handles received messages one after the other, each when the one before is done. */
export class MessageQueue {
  readonly #process: (message: WebSocketMessage) => unknown;
  readonly #options: MessageQueueOptions;
  readonly #messages: WebSocketMessage[] = [];
  #isProcessing = false;

  constructor(process: (message: WebSocketMessage) => unknown, options: MessageQueueOptions = {}) {
    this.#process = process;
    this.#options = options;
  }

  /** Messages that wait. */
  get size(): number { return this.#messages.length; }

  add(message: WebSocketMessage): void {
    const { maxSize = 100, onDrop } = this.#options;
    this.#messages.push(message);
    if (this.#messages.length > maxSize) onDrop?.(this.#messages.shift()!);
    if (!this.#isProcessing) void this.#run();
  }

  async #run(): Promise<void> {
    const { pause = 10, onError } = this.#options;
    this.#isProcessing = true;
    for (let message = this.#messages.shift(); message; message = this.#messages.shift()) {
      try {
        await this.#process(message);
      } catch (error) {
        onError?.(error, message);
      }
      await new Promise((resolve) => { setTimeout(resolve, pause); });
    }
    this.#isProcessing = false;
  }
}
