import {
  canonical, check, describe, ModuleError, rules, UndoList, type Connection, type Escape, type Message,
} from '../../src/index.ts';
import { checkHandler, checkName } from './namespace-options.ts';

/** A message for routes and filters. */
export interface RoutedEvent {
  readonly namespace: string;
  /** The type of the route, not the client's spelling. */
  readonly type: string;
  /** The payload. */
  data: any;
  readonly message: Message;
}

/** Handles an event and returns the reply. */
export type RouteHandler = (connection: Connection, data: any, event: RoutedEvent) => unknown;

/** A filter that events pass before their route. */
export interface EventFilter {
  readonly name: string;
  /** Whether an event passes unchanged. Throw to reject the event. */
  readonly condition: (connection: Connection, event: RoutedEvent) => boolean | Promise<boolean>;
  /** What happens to an event that does not pass. */
  readonly action: 'reject' | 'modify';
  /** The message of EVENT_REJECTED for rejected events. */
  readonly message?: string | undefined;
  /** Changes an event, or returns a new one. */
  readonly modifier?: ((event: RoutedEvent) => RoutedEvent | void | Promise<RoutedEvent | void>) | undefined;
}

/** A route of a namespace. `run` runs the filters and the handler. */
export interface RouterRoute {
  readonly type: string;
  /** @param escape escapes the data after the filters, which read unescaped input */
  run(message: Message, connection: Connection, escape: Escape): unknown;
}

const TEXT = rules.rule('a non-empty string', (value) => typeof value === 'string' && value !== '');
const RULES = {
  name: TEXT,
  condition: rules.callback,
  action: rules.oneOf('reject', 'modify'),
  message: TEXT,
  modifier: rules.callback,
};

/**
 * Handlers of several namespaces in one class, with filters that all of their events pass in order. Handlers of a
 * namespace itself take precedence.
 *
 * @example
 * class Router extends EventRouter {
 *   constructor() {
 *     super();
 *     this.route('/chat', 'message', (connection, { text }) => ({ text }));
 *   }
 * }
 */
export class EventRouter {
  /** By namespace and canonical type. */
  readonly #routes = new Map<string, Map<string, RouterRoute>>();
  readonly #filters = new UndoList<EventFilter>();

  /** Routes an event to a handler. Returns its undo. @throws NAMESPACE_NAME_INVALID, HANDLER_INVALID, DUPLICATE */
  route(namespace: string, event: string, handler: RouteHandler): () => void {
    checkName(namespace);
    checkHandler(event, handler);
    const routes = this.#routes.get(namespace) ?? new Map<string, RouterRoute>();
    const key = canonical(event);
    const present = routes.get(key);
    if (present) {
      throw new ModuleError('DUPLICATE', { kind: 'route', name: `${namespace} ${present.type}`, owner: 'this router' });
    }
    const route: RouterRoute = {
      type: event,
      run: (message, connection, escape) => {
        const routed: RoutedEvent = { namespace, type: event, data: message.payload, message };
        return this.#run(routed, connection, (passed) => handler(connection, passed.data, passed), escape);
      },
    };
    this.#routes.set(namespace, routes.set(key, route));
    return () => { if (routes.get(key) === route) routes.delete(key); };
  }

  /** Adds filters after the existing ones. Returns their undo. @throws OPTION_INVALID, then none is added */
  addFilters(filters: readonly EventFilter[]): () => void {
    if (!Array.isArray(filters)) {
      const expected = 'a list of filters';
      throw new ModuleError('OPTION_INVALID', { path: 'filters', given: describe(filters), expected });
    }
    for (const [index, filter] of filters.entries()) checkFilter(filter, `filters.${index}`);
    const undos = filters.map((filter) => this.#filters.add(filter));
    return () => { for (const undo of undos) undo(); };
  }

  /** The route of a type, in any spelling. */
  find(namespace: string, type: string): RouterRoute | undefined {
    return this.#routes.get(namespace)?.get(canonical(type));
  }

  #run(event: RoutedEvent, connection: Connection, handle: (event: RoutedEvent) => unknown, escape: Escape): unknown {
    const handleEscaped = (passed: RoutedEvent): unknown => {
      const data: unknown = escape(passed.data as unknown);
      return handle(data === passed.data ? passed : { ...passed, data });
    };
    if (this.#filters.size === 0) return handleEscaped(event);
    return this.#filter(connection, event).then((passed) => {
      const { namespace } = event;
      // The connection may have left the namespace while the filters ran.
      if (!connection.namespaces?.has(namespace)) throw new ModuleError('NAMESPACE_NOT_JOINED', { namespace });
      return handleEscaped(passed);
    });
  }

  async #filter(connection: Connection, given: RoutedEvent): Promise<RoutedEvent> {
    let event = given;
    for (const filter of this.#filters) {
      if (await filter.condition(connection, event)) continue;
      if (filter.action === 'reject') throw rejection(filter);
      event = (await filter.modifier!(event)) ?? event;
    }
    return event;
  }
}

function rejection({ name, message = `rejected by "${name}"` }: EventFilter): ModuleError {
  return new ModuleError('EVENT_REJECTED', { filter: name }, { message });
}

function checkFilter(filter: EventFilter, path: string): void {
  check(filter, RULES, path);
  const more = filter.action === 'modify' ? (['modifier'] as const) : [];
  for (const field of ['name', 'condition', 'action', ...more] as const) {
    if (filter[field] !== undefined) continue;
    const { expected } = RULES[field];
    throw new ModuleError('OPTION_INVALID', { path: `${path}.${field}`, given: 'undefined', expected });
  }
}
