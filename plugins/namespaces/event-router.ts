import { check, describe, ModuleError, rules, UndoList, type Connection, type Handler, type Message } from '../../src/index.ts';
import { handlerType } from './handler-type.ts';
import { checkName } from './namespace-options.ts';
import { payload } from './payload.ts';
import { refusals } from './refusals.ts';

/** A message as routes and filters see it. */
export interface RoutedEvent {
  readonly namespace: string;
  readonly type: string;
  /** The payload, with the fields beside it. */
  data: any;
  readonly message: Message;
}

/** What a message comes to. What it returns is the reply. */
export type RouteHandler = (connection: Connection, data: any, event: RoutedEvent) => unknown;

/** What events must pass on their way to a route. */
export interface EventFilter {
  readonly name: string;
  /** Whether an event passes as it is. One that throws refuses. */
  readonly condition: (connection: Connection, event: RoutedEvent) => boolean | Promise<boolean>;
  /** What is done with one that does not: it is refused, or changed. */
  readonly action: 'reject' | 'modify';
  /** What the client of a refused one is told, with the code EVENT_REJECTED. */
  readonly message?: string;
  /** Changes an event, or gives another in its place. */
  readonly modifier?: (event: RoutedEvent) => RoutedEvent | void | Promise<RoutedEvent | void>;
}

const text = rules.rule('a text', (value) => typeof value === 'string' && value !== '');
const RULES = { name: text, condition: rules.callback, action: rules.oneOf('reject', 'modify'), message: text, modifier: rules.callback };

/**
 * Handlers of several namespaces in one place, behind filters that all of their events pass in order. A namespace's own handler
 * of a type takes precedence.
 *
 * @example class Router extends EventRouter { constructor() { super(); this.route('/chat', 'message', (connection, { text }) => ({ text })); } }
 */
export class EventRouter {
  /** By namespace and then by type. */
  readonly #routes = new Map<string, Map<string, Handler>>();
  readonly #filters = new UndoList<EventFilter>();

  /** Routes an event to a handler. Returns the undo. @throws NAMESPACE_NAME_INVALID, HANDLER_INVALID, DUPLICATE */
  route(namespace: string, event: string, handler: RouteHandler): () => void {
    checkName(namespace);
    const type = handlerType(event, handler);
    const routes = this.#routes.get(namespace) ?? new Map<string, Handler>();
    if (routes.has(type)) throw new ModuleError('DUPLICATE', { kind: 'route', name: `${namespace} ${type}`, owner: 'this router' });
    const run: Handler = (message, connection) => this.#run(namespace, message, connection, handler);
    this.#routes.set(namespace, routes.set(type, run));
    return () => { if (routes.get(type) === run) routes.delete(type); };
  }

  /** Adds filters after those there are. Returns the undo. @throws OPTION_INVALID, and then none is added */
  addFilters(filters: readonly EventFilter[]): () => void {
    if (!Array.isArray(filters)) throw new ModuleError('OPTION_INVALID', { path: 'filters', given: describe(filters), expected: 'a list of filters' });
    for (const [index, filter] of filters.entries()) checkFilter(filter, `filters.${index}`);
    const undos = filters.map((filter) => this.#filters.add(filter));
    return () => { for (const undo of undos) undo(); };
  }

  /** The handler of a type, in canonical form. */
  find(namespace: string, type: string): Handler | undefined { return this.#routes.get(namespace)?.get(type); }

  #run(namespace: string, message: Message, connection: Connection, handler: RouteHandler): unknown {
    const event: RoutedEvent = { namespace, type: message.type, data: payload(message), message };
    if (this.#filters.size === 0) return handler(connection, event.data, event);
    return this.#filter(connection, event).then((passed) => {
      // Filters take their time, in which it may have left.
      if (!connection.namespaces?.has(namespace)) throw refusals.notJoined(namespace);
      return handler(connection, passed.data, passed);
    });
  }

  async #filter(connection: Connection, given: RoutedEvent): Promise<RoutedEvent> {
    let event = given;
    for (const filter of this.#filters) {
      if (await filter.condition(connection, event)) continue;
      if (filter.action === 'reject') throw new ModuleError('EVENT_REJECTED', { filter: filter.name }, { message: filter.message ?? `refused by "${filter.name}"` });
      event = (await filter.modifier!(event)) ?? event;
    }
    return event;
  }
}

function checkFilter(filter: EventFilter, path: string): void {
  check(filter, RULES, path);
  const needed = ['name', 'condition', 'action', ...(filter.action === 'modify' ? ['modifier' as const] : [])] as const;
  for (const field of needed) {
    if (filter[field] === undefined) throw new ModuleError('OPTION_INVALID', { path: `${path}.${field}`, given: 'undefined', expected: RULES[field].expected });
  }
}
