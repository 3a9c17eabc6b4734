import { canonical, compose, describe, isRecord, ModuleError, UndoList, type Connection, type Handler, type Message, type MessageLayer } from '../../src/index.ts';
import { handlerType } from './handler-type.ts';

/** The layers and handlers of one namespace. */
export class Pipeline {
  readonly #name: string;
  readonly #route: (type: string) => Handler | undefined;
  readonly #handlers = new Map<string, Handler>();
  readonly #handle = (message: Message, connection: Connection): unknown => {
    const { type } = message;
    const handler = this.#handlers.get(type) ?? this.#handlers.get(canonical(type)) ?? this.#route(canonical(type)) ?? this.#handlers.get('*');
    if (!handler) throw new ModuleError('UNKNOWN_TYPE', { type });
    return handler(message, connection);
  };

  #run = compose([], this.#handle);
  readonly #layers = new UndoList<MessageLayer>(() => (this.#run = compose([...this.#layers], this.#handle)));

  /** @param route finds the handler of a type that has none here */
  constructor(name: string, route: (type: string) => Handler | undefined) {
    this.#name = name;
    this.#route = route;
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
