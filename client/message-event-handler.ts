import type { WebSocketMessage } from './chat-messages.ts';
import { reportToConsole } from './client-error.ts';

export type MessageHandler = (message: WebSocketMessage) => unknown;
type Report = (error: unknown, action: string) => void;

interface MessageSource { on(event: 'message', listener: (message: any) => unknown): () => void }

/** Handlers by the `action` of messages. A failing handler does not disturb the others. */
export class MessageEventHandler {
  readonly #handlers = new Map<string, MessageHandler>();
  readonly #report: Report;

  /** @param report gets the errors of handlers; without it, they go to the console */
  constructor(report: Report = (error, action) => reportToConsole(`the handler of ${action} failed:`, error)) {
    this.#report = report;
  }

  /** Registers the handler of an action, in the place of an earlier one. Returns a function that removes it. */
  registerHandler(action: string, handler: MessageHandler): () => void {
    this.#handlers.set(action, handler);
    return () => { if (this.#handlers.get(action) === handler) this.#handlers.delete(action); };
  }

  /** Calls the handler of the message's action, if there is one. Resolves when it is done. */
  async handleMessage(message: WebSocketMessage): Promise<void> {
    try {
      await this.#handlers.get(message.action)?.(message);
    } catch (error) {
      this.#report(error, message.action);
    }
  }

  /** Handles the messages of a client. Returns a function that stops it. */
  attach(client: MessageSource): () => void {
    return client.on('message', (message: WebSocketMessage) => void this.handleMessage(message));
  }
}
