import { ModuleError, toError, type Connection, type ErrorContext, type PluginContext } from '../../src/index.ts';

/** What namespaces and their sockets stand on while the plugin is loaded. */
export interface Host {
  readonly context: PluginContext;
  readonly settings: {
    readonly connectTimeout: number;
    readonly ackTimeout: number;
    readonly maxRooms: number;
  };
}

/** Resolves when the lines that open a namespace are through, and what is awaited there: they go on to add its layers. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Tells of a failure that nobody else is told of. */
export function report(host: Host | undefined, error: unknown, phase: ErrorContext['phase'], connection?: Connection): void {
  host?.context.emit('error', toError(error), { phase, plugin: host.context.name, ...(connection ? { connection } : {}) });
}

/**
 * What the work gives, unless it takes longer than `connectTimeout`, or the plugin is unloaded meanwhile.
 * @param what is done, for the error
 * @param late told of a later failure
 * @throws HANDSHAKE_TIMEOUT, CONNECTION_REFUSED
 */
export async function within<T>({ context, settings }: Host, what: string, work: Promise<T>, late: (error: unknown) => void): Promise<T> {
  const { connectTimeout: timeout } = settings;
  let isOver = false;
  work.catch((error: unknown) => { if (isOver) late(error); });
  let end!: (error: ModuleError) => void;
  const ended = new Promise<never>((_, reject) => (end = reject));
  const expire = (): void => end(new ModuleError('HANDSHAKE_TIMEOUT', { timeout }, { message: `${what} did not finish within ${timeout} ms` }));
  const abort = (): void => end(new ModuleError('CONNECTION_REFUSED'));
  const cancel = context.after(timeout, expire);
  context.signal.addEventListener('abort', abort);
  try {
    return await Promise.race([work, ended]);
  } finally {
    isOver = true;
    cancel();
    context.signal.removeEventListener('abort', abort);
  }
}
