import type { Connection, FindRoute, Handler, HandlerOptions } from '../contracts.ts';
import { ModuleError } from '../errors.ts';
import { canonical, type Message, type Route } from '../protocol.ts';
import { UndoList, type Labelled, type Undo } from '../runtime/scope.ts';

interface Entry extends Route { readonly owner: string }

/** HandlerTable maps message types to handlers, in every spelling: `join_room` and `join room` find `join-room`. */
export class HandlerTable {
  readonly #firm = new Map<string, Entry>();
  readonly #yielding = new Map<string, Entry>();
  readonly #routes = new UndoList<FindRoute>();
  readonly #yieldingRoutes = new UndoList<FindRoute>();

  get size(): number { return this.#firm.size + this.#yielding.size + this.#routes.size + this.#yieldingRoutes.size; }

  /** The types that have a handler, as they were registered. */
  types(): string[] {
    return [...new Set([...this.#firm.values(), ...this.#yielding.values()].map(({ type }) => type))];
  }

  /** Lists the handlers and routes with their owners. */
  inventory(): Labelled[] {
    const handlers = [...this.#firm.values(), ...this.#yielding.values()].map(({ type, owner }) => ({
      owner,
      label: `handler ${type}`,
    }));
    return [...handlers, ...this.#routes.inventory(() => 'route'), ...this.#yieldingRoutes.inventory(() => 'route')];
  }

  /** @throws DUPLICATE */
  add(type: string, handler: Handler, owner: string, { yields = false, raw = false }: HandlerOptions = {}): Undo {
    const entries = yields ? this.#yielding : this.#firm;
    const key = canonical(type);
    const present = entries.get(key);
    if (present) throw new ModuleError('DUPLICATE', { kind: 'handler', name: present.type, owner: present.owner });
    const entry: Entry = { type, handler, owner, raw };
    entries.set(key, entry);
    return () => entries.get(key) === entry && entries.delete(key);
  }

  /** Adds a function that finds routes elsewhere. It precedes all handlers, or with `yields` only those that yield. */
  route(find: FindRoute, owner: string, { yields = false }: { readonly yields?: boolean | undefined } = {}): Undo {
    return (yields ? this.#yieldingRoutes : this.#routes).add(find, owner);
  }

  /** The handler of a type, in any spelling. */
  get(type: string): Route | undefined { return lookUp(this.#firm, type) ?? lookUp(this.#yielding, type); }

  /** The route of a message: from another table, else the handler of its type, else that of `*`. */
  find(message: Message, connection: Connection): Route | undefined {
    const { type } = message;
    return (this.#routes.size > 0 ? ask(this.#routes, message, connection) : undefined)
      ?? lookUp(this.#firm, type)
      ?? (this.#yieldingRoutes.size > 0 ? ask(this.#yieldingRoutes, message, connection) : undefined)
      ?? lookUp(this.#yielding, type)
      ?? this.#firm.get('*')
      ?? this.#yielding.get('*');
  }

  /** Settles the route and the type of a message. Returns a promise while they are unknown: settle again after it. */
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
      // A route that throws refuses after the layers, like a handler.
      return { type: '*', handler: () => { throw error; } };
    }
  }
}

function lookUp(entries: ReadonlyMap<string, Entry>, type: string): Entry | undefined {
  const entry = entries.get(type);
  if (entry) return entry;
  const key = canonical(type);
  return key === type ? undefined : entries.get(key);
}

function ask(routes: Iterable<FindRoute>, message: Message, connection: Connection): Route | undefined {
  for (const find of routes) {
    const route = find(message, connection);
    if (route) return route;
  }
  return undefined;
}
