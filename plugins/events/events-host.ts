import {
  closeCodes, ModuleError, Quota, type Connection, type ErrorContext, type PluginContext,
} from '../../src/index.ts';
import { Handshakes } from './event-handshake.ts';
import type { DisconnectReason } from './typed-events.ts';

/** Acknowledgements owed after their listeners returned, by the sockets of one user or address, and by all sockets. */
const MAX_ACKNOWLEDGEMENTS = { maxPerOwner: 1_024, max: 100_000 };

export interface EventsSettings {
  readonly connectTimeout: number;
  readonly ackTimeout: number;
  readonly maxRooms: number;
  readonly maxRoomsPerClient: number;
  readonly maxRoomsInAll: number;
}

/** What namespaces and their sockets share while the plugin is loaded. */
export class EventsHost {
  readonly context: PluginContext;
  readonly settings: EventsSettings;
  readonly handshakes = new Handshakes();
  /** Counts memberships of rooms. */
  readonly rooms: Quota;
  readonly acknowledgements = new Quota(MAX_ACKNOWLEDGEMENTS);
  readonly #isEntered: (connection: Connection) => boolean;
  /** Ends the deadlines of refused clients, by connection id. */
  readonly #deadlines = new Map<string, () => void>();

  /** @param isEntered whether a connection is in any namespace */
  constructor(context: PluginContext, settings: EventsSettings, isEntered: (connection: Connection) => boolean) {
    this.context = context;
    this.settings = settings;
    this.rooms = new Quota({ max: settings.maxRoomsInAll, maxPerOwner: settings.maxRoomsPerClient });
    this.#isEntered = isEntered;
    context.on('connection:removed', (connection) => this.entered(connection));
    context.on('namespace:joined', ({ connection }) => this.entered(connection));
  }

  report(error: unknown, phase: ErrorContext['phase'], connection?: Connection): void {
    this.context.report(error, { phase, ...(connection && { connection }) });
  }

  /**
   * What the work gives, unless it takes longer than `connectTimeout`, or the plugin is unloaded meanwhile. A later
   * failure is reported.
   * @param what is done, for the error
   * @throws HANDSHAKE_TIMEOUT, CONNECTION_REFUSED
   */
  async inTime<T>(what: string, work: Promise<T>): Promise<T> {
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

  /** A namespace refused a client. It is closed unless it is in a namespace within `connectTimeout`. */
  refused(connection: Connection, error: unknown): void {
    const { context, settings: { connectTimeout } } = this;
    const { id } = connection;
    if (context.signal.aborted || !connection.isOpen || this.#deadlines.has(id) || this.#isEntered(connection)) return;
    const { code, message, closeCode = closeCodes.forbidden } = shown(error);
    this.#deadlines.set(id, context.after(connectTimeout, () => {
      this.#deadlines.delete(id);
      if (connection.isOpen) connection.close(closeCode, `${code}: ${message}`);
    }));
  }

  /** A client is in a namespace, or gone. */
  entered({ id }: Connection): void {
    this.#deadlines.get(id)?.();
    this.#deadlines.delete(id);
  }
}

/** An error as the client may see it. */
export function shown(error: unknown): ModuleError {
  return error instanceof ModuleError && error.expose ? error : new ModuleError('INTERNAL_ERROR');
}

/** Resolves when the code that opens a namespace is done, and what it awaits: that code adds the namespace's layers. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** What the end of its connection means to a socket. */
export function reasonOf({ code, reason }: { readonly code: number; readonly reason: string }): DisconnectReason {
  if (code === closeCodes.heartbeatMissed) return 'ping timeout';
  if (code === closeCodes.restarting) return 'server shutting down';
  // The only close of this plugin that carries a socket's reason.
  return code === closeCodes.kicked && reason === 'server namespace disconnect' ? reason : 'transport close';
}
