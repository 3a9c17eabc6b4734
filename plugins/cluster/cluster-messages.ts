import { describe, isRecord, ModuleError, UndoList, type Channel, type PluginContext } from '../../src/index.ts';

/** The messages between the applications of several nodes. Add yours by declaration merging. */
export interface ClusterMessages {
  /** Something that all users should know. */
  'system-announcement': Readonly<Record<string, unknown>>;
  /** A user is banned; `reason` is for people. */
  'user-banned': { readonly userId: string; readonly reason?: string | undefined };
  /** The sender is about to stop. */
  'server-shutdown': { readonly reason?: string | undefined };
}
export type MessageName = keyof ClusterMessages;
/** @param from the id of the node that sent it */
export type ClusterListener<Data = any> = (data: Data, from: string) => unknown;

/** A cluster message on the channel. */
interface ClusterMessage { readonly name: string; readonly data: unknown }

const isName = (name: unknown): name is string => typeof name === 'string' && name !== '' && name.length <= 64;

/** MessageListeners sends cluster messages, and calls the listeners of those that other nodes send. */
export class MessageListeners {
  readonly #context: PluginContext;
  readonly #channel: Channel<ClusterMessage>;
  readonly #listeners = new UndoList<{ readonly name: string; readonly listener: ClusterListener }>();

  constructor(context: PluginContext) {
    this.#context = context;
    this.#channel = context.channel<ClusterMessage>('messages', (message, from) => {
      if (isRecord(message) && isName(message.name)) this.#receive(message, from);
    });
  }

  /** @throws OPTION_INVALID */
  send(name: string, data: unknown, node: string | undefined): void {
    assertName(name);
    this.#channel.tell({ name, data }, { node });
  }

  /** @throws OPTION_INVALID */
  on(name: string, listener: ClusterListener): () => void {
    assertName(name);
    if (typeof listener !== 'function') {
      throw new ModuleError('OPTION_INVALID', { path: 'listener', given: describe(listener), expected: 'a function' });
    }
    const undo = this.#listeners.add({ name, listener });
    return () => void undo();
  }

  #receive({ name, data }: ClusterMessage, from: string): void {
    for (const one of this.#listeners) {
      if (one.name !== name) continue;
      // If one listener fails, the others still receive the message.
      void (async () => one.listener(data, from))().catch((error: unknown) => this.#context.report(error));
    }
  }
}

function assertName(name: unknown): void {
  if (isName(name)) return;
  throw new ModuleError('OPTION_INVALID', { path: 'name', given: describe(name), expected: '1 to 64 characters' });
}
