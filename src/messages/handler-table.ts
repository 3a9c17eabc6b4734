import type { Connection, FindRoute, Handler, HandlerOptions } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import { canonical, type Message, type Route } from '../protocol.ts';
import { UndoList, type Labelled, type Undo } from '../runtime/scope.ts';

interface RegisteredHandler extends Route { readonly owner: string }

/** HandlerTable maps message types to handlers, in every spelling: `join_room` and `join room` find `join-room`. */
export class HandlerTable {
  readonly #handlers = new Map<string, RegisteredHandler>();
  readonly #yielding = new Map<string, RegisteredHandler>();
  readonly #routes = new UndoList<FindRoute>();
  readonly #yieldingRoutes = new UndoList<FindRoute>();

  get size(): number {
    return this.#handlers.size + this.#yielding.size + this.#routes.size + this.#yieldingRoutes.size;
  }

  /** The message types that have a handler, as they were registered. */
  types(): string[] {
    return [...new Set([...this.#handlers.values(), ...this.#yielding.values()].map(({ type }) => type))];
  }

  /** Lists the handlers and routes with their owners. */
  inventory(): Labelled[] {
    const handlers = [...this.#handlers.values(), ...this.#yielding.values()].map(({ type, owner }) => ({
      owner,
      label: `handler ${type}`,
    }));
    return [...handlers, ...this.#routes.inventory(() => 'route'), ...this.#yieldingRoutes.inventory(() => 'route')];
  }

  /** @throws DUPLICATE */
  add(type: string, handler: Handler, owner: string, { yields = false, raw = false }: HandlerOptions = {}): Undo {
    const handlers = yields ? this.#yielding : this.#handlers;
    const key = canonical(type);
    const present = handlers.get(key);
    if (present) throw new ModuleError('DUPLICATE', { kind: 'handler', name: present.type, owner: present.owner });
    const registered: RegisteredHandler = { type, handler, owner, raw };
    handlers.set(key, registered);
    return () => handlers.get(key) === registered && handlers.delete(key);
  }

  /** Adds a function that finds routes. It precedes all handlers; with `yields`, only the handlers that yield. */
  route(find: FindRoute, owner: string, { yields = false }: { readonly yields?: boolean | undefined } = {}): Undo {
    return (yields ? this.#yieldingRoutes : this.#routes).add(find, owner);
  }

  /** The handler of a type, in any spelling. */
  get(type: string): Route | undefined { return lookUp(this.#handlers, type) ?? lookUp(this.#yielding, type); }

  /** The route of a message: the one that a `FindRoute` finds, else the handler of its type, else that of `*`. */
  find(message: Message, connection: Connection): Route | undefined {
    const { type } = message;
    return (this.#routes.size > 0 ? ask(this.#routes, message, connection) : undefined)
      ?? lookUp(this.#handlers, type)
      ?? (this.#yieldingRoutes.size > 0 ? ask(this.#yieldingRoutes, message, connection) : undefined)
      ?? lookUp(this.#yielding, type)
      ?? this.#handlers.get('*')
      ?? this.#yielding.get('*');
  }

  /** Sets the route and the type of a message. If they are unknown yet, returns a promise: call it again after that. */
  settle(message: Message, connection: Connection): Promise<unknown> | undefined {
    const route = (message.route = this.#findOrRefuse(message, connection));
    if (route === undefined) return undefined;
    if (route.type !== '*') message.type = route.type;
    return route.until;
  }

  #findOrRefuse(message: Message, connection: Connection): Route | undefined {
    try {
      return this.find(message, connection);
    } catch (error) {
      // If `FindRoute` throws, the error is thrown behind the layers, like that of a handler.
      return { type: '*', handler: () => { throw error; } };
    }
  }
}

function lookUp(handlers: ReadonlyMap<string, RegisteredHandler>, type: string): RegisteredHandler | undefined {
  const registered = handlers.get(type);
  if (registered) return registered;
  const key = canonical(type);
  return key === type ? undefined : handlers.get(key);
}

function ask(routes: Iterable<FindRoute>, message: Message, connection: Connection): Route | undefined {
  for (const find of routes) {
    const route = find(message, connection);
    if (route) return route;
  }
  return undefined;
}
