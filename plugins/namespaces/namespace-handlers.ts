import {
  compose, describe, HandlerTable, isRecord, ModuleError, UndoList, withArgumentFields,
  type Connection, type Escape, type FindRoute, type Handler, type HandlerOptions, type Message, type MessageLayer,
  type Route,
} from '../../src/index.ts';
import { checkFunction, checkHandler } from './namespace-options.ts';

/** A route for the kernel. It runs the namespace's checks and layers, then the inner route. */
export interface NamespaceRoute extends Route { readonly inner?: Route | undefined }

/** The handlers, routes and layers of one namespace. */
export class NamespaceHandlers {
  readonly #name: string;
  readonly #handlers = new HandlerTable();
  readonly #managerEscape: Escape;
  /** The escape function of the namespace's own layers, if one has it. It replaces that of the manager. */
  #ownEscape: Escape | undefined;

  /** Runs after all layers. Layers read unescaped input; the payload is escaped here unless the handler is raw. */
  readonly #handle = (message: Message, connection: Connection): unknown => {
    const { inner } = message.route as NamespaceRoute;
    if (!inner) throw new ModuleError('UNKNOWN_TYPE', { type: message.typeAsSent });
    if (!inner.raw) {
      const payload: unknown = message.payload;
      const escaped = this.escape(payload);
      if (escaped !== payload) message.payload = escaped;
    }
    return inner.handler(message, connection);
  };

  /** Composed again when they change. */
  readonly #layers = new UndoList<MessageLayer>(() => {
    const layers = [...this.#layers];
    this.#ownEscape = layers.find(({ escape }) => escape)?.escape;
    const run = compose(layers, this.#handle);
    this.#run = layers.length === 0 ? run : withArgumentFields(run);
  });

  #run = compose([], this.#handle);

  /** @param escape the escape function of the manager's layers */
  constructor(name: string, escape: Escape) {
    this.#name = name;
    this.#managerEscape = escape;
  }

  readonly escape: Escape = (value) => (this.#ownEscape ?? this.#managerEscape)(value);

  use(layer: MessageLayer): () => void {
    if (isLayer(layer)) return this.#layers.add(layer);
    const given = describe(layer);
    const message = `a layer of a namespace must be { type: "message", handler }, but is ${given}`;
    throw new ModuleError('ITEM_INVALID', { given }, { message });
  }

  register(type: string, handler: Handler, { raw = false }: Pick<HandlerOptions, 'raw'> = {}): () => void {
    checkHandler(type, handler);
    const undo = this.#handlers.add(type, handler, this.#name, { raw });
    return () => void undo();
  }

  // After the handlers of the application for a type, and before `*`.
  route(find: FindRoute): () => void {
    checkFunction(find, 'route(find)');
    const undo = this.#handlers.route(find, this.#name, { yields: true });
    return () => void undo();
  }

  find(message: Message, connection: Connection): Route | undefined { return this.#handlers.find(message, connection); }

  /** Runs the layers and the handler of a message whose route is a {@link NamespaceRoute}. */
  run(message: Message, connection: Connection): unknown { return this.#run(message, connection); }
}

function isLayer(value: unknown): value is MessageLayer {
  return isRecord(value) && value.type === 'message' && typeof value.handler === 'function';
}
