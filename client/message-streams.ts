import type { ServerMessage } from './client-types.ts';
import { MessageStream, type StreamOptions } from './message-stream.ts';

/** The loops over messages that have not ended. */
export class MessageStreams {
  readonly #streams = new Set<MessageStream<ServerMessage>>();

  /** @param listen adds a listener, and returns the function that removes it */
  open(
    options: StreamOptions, listen: (listener: (...args: unknown[]) => void) => () => void,
  ): MessageStream<ServerMessage> {
    let remove: () => void = () => undefined;
    const stream = new MessageStream<ServerMessage>(options, () => {
      remove();
      this.#streams.delete(stream);
    });
    remove = listen((...args) => { stream.push(args.at(-1) as ServerMessage); });
    this.#streams.add(stream);
    return stream;
  }

  end(): void { for (const stream of [...this.#streams]) stream.end(); }
}
