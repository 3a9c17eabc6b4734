import { canonical, compose, describe, isRecord, ModuleError, UndoList, type Connection, type Escape, type Handler, type Message, type MessageLayer } from '../../src/index.ts';
import { handlerType } from './handler-type.ts';

/** The layers and handlers of one namespace. */
export class Pipeline {
  readonly #name: string;
  readonly #route: (type: string) => Handler | undefined;
  readonly #escape: Escape;
  readonly #handlers = new Map<string, Handler>();
  readonly #handle = (message: Message, connection: Connection): unknown => {
    const { type } = message;
    const handler = this.#handlers.get(type) ?? this.#handlers.get(canonical(type)) ?? this.#route(canonical(type)) ?? this.#handlers.get('*');
    if (!handler) throw new ModuleError('UNKNOWN_TYPE', { type });
    const payload: unknown = message.payload;
    const safe = (this.#ownEscape ?? this.#escape)(payload);
    if (safe !== payload) message.payload = safe;
    return handler(message, connection);
  };

  #run = compose([], this.#handle);
  #ownEscape: Escape | undefined;
  readonly #layers = new UndoList<MessageLayer>(() => {
    const layers = [...this.#layers];
    this.#ownEscape = layers.find(({ escape }) => escape)?.escape;
    this.#run = compose(layers, this.#handle);
  });

  /**
   * @param route finds the handler of a type that has none here
   * @param escape escapes text of clients, as the manager's layers say; a layer of the namespace itself comes first
   */
  constructor(name: string, route: (type: string) => Handler | undefined, escape: Escape) {
    this.#name = name;
    this.#route = route;
    this.#escape = escape;
  }

  /** @throws ITEM_INVALID */
  use(layer: MessageLayer): () => void {
    if (isLayer(layer)) return this.#layers.add(layer);
    const given = describe(layer);
    throw new ModuleError('ITEM_INVALID', { given }, { message: `a namespace takes message layers, { type: "message", handler }, but was given ${given}` });
  }

  /** @throws DUPLICATE, HANDLER_INVALID */
  registerHandler(given: string, handler: Handler): () => void {
    const type = handlerType(given, handler);
    if (this.#handlers.has(type)) throw new ModuleError('DUPLICATE', { kind: 'handler', name: type, owner: this.#name });
    // Of its own, so that an undo called twice takes away no later registration of the same function.
    const own: Handler = (message, connection) => handler(message, connection);
    this.#handlers.set(type, own);
    return () => { if (this.#handlers.get(type) === own) this.#handlers.delete(type); };
  }

  /** Through the layers to the handler. Gives what they return. @throws UNKNOWN_TYPE, NEXT_TWICE */
  run(message: Message, connection: Connection): unknown { return this.#run(message, connection); }
}

function isLayer(value: unknown): value is MessageLayer {
  return isRecord(value) && value.type === 'message' && typeof value.handler === 'function';
}
