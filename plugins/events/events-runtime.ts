import {
  closeCodes, ModuleError, Quota, type Connection, type ErrorContext, type PluginContext,
} from '../../src/index.ts';
import { Handshakes } from './event-handshake.ts';
import type { EventNodes } from './event-nodes.ts';
import type { DisconnectReason } from './typed-events.ts';

/** Maximum pending acknowledgements of one user or address, and of all sockets. */
const MAX_ACKNOWLEDGEMENTS = { maxPerOwner: 1_024, max: 100_000 };

export interface EventsSettings {
  readonly connectTimeout: number;
  readonly ackTimeout: number;
  readonly maxRooms: number;
  readonly maxRoomsPerClient: number;
  readonly maxRoomsInAll: number;
}

/** State that namespaces and sockets share while the plugin is loaded. */
export class EventsRuntime {
  readonly context: PluginContext;
  readonly settings: EventsSettings;
  readonly #nodes: EventNodes;
  readonly handshakes = new Handshakes();
  /** Counts memberships of rooms. */
  readonly rooms: Quota;
  readonly acknowledgements = new Quota(MAX_ACKNOWLEDGEMENTS);
  readonly #isEntered: (connection: Connection) => boolean;
  /** Cancels the close of a rejected client, by connection id. */
  readonly #deadlines = new Map<string, () => void>();

  /** @param isEntered whether a connection is in any namespace */
  constructor(
    context: PluginContext,
    settings: EventsSettings,
    nodes: EventNodes,
    isEntered: (connection: Connection) => boolean,
  ) {
    this.context = context;
    this.settings = settings;
    this.#nodes = nodes;
    this.rooms = new Quota({ max: settings.maxRoomsInAll, maxPerOwner: settings.maxRoomsPerClient });
    this.#isEntered = isEntered;
    context.on('connection:removed', (connection) => this.entered(connection));
    context.on('namespace:joined', ({ connection }) => this.entered(connection));
  }

  /** The other nodes, if there is an adapter. */
  get nodes(): EventNodes | undefined { return this.context.node.isAlone ? undefined : this.#nodes; }

  report(error: unknown, phase: ErrorContext['phase'], connection?: Connection): void {
    this.context.report(error, { phase, ...(connection && { connection }) });
  }

  /**
   * Waits for work at most `connectTimeout`, or until the plugin is unloaded. Later errors are reported.
   * @param what names the work in the error
   * @throws HANDSHAKE_TIMEOUT, CONNECTION_REFUSED
   */
  async withTimeout<T>(what: string, work: Promise<T>): Promise<T> {
    const { context, settings: { connectTimeout: timeout } } = this;
    let abort!: () => void;
    const aborted = new Promise<never>((_, reject) => {
      abort = () => {
        work.catch((error: unknown) => this.report(error, 'connection'));
        reject(new ModuleError('CONNECTION_REFUSED'));
      };
    });
    context.signal.addEventListener('abort', abort);
    try {
      return await context.within(timeout, Promise.race([work, aborted]), () => {
        const message = `${what} did not finish within ${timeout} ms`;
        throw new ModuleError('HANDSHAKE_TIMEOUT', { timeout }, { message });
      });
    } finally {
      context.signal.removeEventListener('abort', abort);
    }
  }

  /** Closes a rejected client unless it enters a namespace within `connectTimeout`. */
  closeUnlessEntered(connection: Connection, error: unknown): void {
    const { context, settings: { connectTimeout } } = this;
    const { id } = connection;
    if (context.signal.aborted || !connection.isOpen || this.#deadlines.has(id) || this.#isEntered(connection)) return;
    const { code, message, closeCode = closeCodes.forbidden } = exposedError(error);
    this.#deadlines.set(id, context.after(connectTimeout, () => {
      this.#deadlines.delete(id);
      if (connection.isOpen) connection.close(closeCode, `${code}: ${message}`);
    }));
  }

  /** Call when a client entered a namespace or closed. */
  entered({ id }: Connection): void {
    this.#deadlines.get(id)?.();
    this.#deadlines.delete(id);
  }
}

/** The error that the client may see. */
export function exposedError(error: unknown): ModuleError {
  return error instanceof ModuleError && error.expose ? error : new ModuleError('INTERNAL_ERROR');
}

/** Resolves after the code that opens a namespace has run, so that it can add layers before clients enter. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Why a socket disconnected, from the close of its connection. */
export function disconnectReasonOf(
  { code, reason }: { readonly code: number; readonly reason: string },
): DisconnectReason {
  if (code === closeCodes.heartbeatMissed) return 'ping timeout';
  if (code === closeCodes.restarting) return 'server shutting down';
  // `socket.disconnect(true)` closes with this code and reason.
  return code === closeCodes.kicked && reason === 'server namespace disconnect' ? reason : 'transport close';
}
