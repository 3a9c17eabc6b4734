import { toError } from '../../src/index.ts';
import type { OpenConnection, RedisConnection } from './redis-connection.ts';
import { within } from './redis-link.ts';

/** Milliseconds within which a sentinel must answer. */
const TIMEOUT = 1_000;

export interface SentinelOptions {
  /** One function for each sentinel: opens a connection to it. */
  readonly sentinels: readonly OpenConnection[];
  /** The name of the primary. */
  readonly name: string;
  /** Opens a connection to the primary. */
  open(host: string, port: number): OpenConnection;
}

/** Opens connections to the primary. Each connection asks the sentinels for its address again. */
export const viaSentinels = (options: SentinelOptions): OpenConnection => (events) => {
  let connection: RedisConnection | undefined;
  let isDestroyed = false;
  const connect = async (): Promise<void> => {
    const [host, port] = await primary(options);
    if (isDestroyed) throw new Error('the connection was closed');
    connection = options.open(host, port)(events);
    await connection.ready;
  };
  const ready = connect();
  // The caller handles the rejection; without this line, it would also be reported as unhandled.
  ready.catch(() => undefined);
  return {
    ready,
    command: (args) => connection!.command(args),
    subscribe: (channels, isSharded) => connection!.subscribe(channels, isSharded),
    unsubscribe: (channels, isSharded) => connection!.unsubscribe(channels, isSharded),
    destroy() {
      isDestroyed = true;
      connection?.destroy();
    },
  };
};

/** The address of the primary, from the sentinel that answers first. */
async function primary({ sentinels, name }: SentinelOptions): Promise<[host: string, port: number]> {
  try {
    return await Promise.any(sentinels.map((open) => ask(open, name)));
  } catch (error) {
    const reasons = new Set((error as AggregateError).errors.map((one) => toError(one).message));
    throw new Error(`no sentinel knows the address of "${name}": ${[...reasons].join('; ')}`, { cause: error });
  }
}

async function ask(open: OpenConnection, name: string): Promise<[host: string, port: number]> {
  const connection = open({ message: () => undefined, closed: () => undefined });
  const answer = async (): Promise<unknown> => {
    await connection.ready;
    return connection.command(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name]);
  };
  try {
    const address = await within(TIMEOUT, answer(), new Error(`a sentinel did not answer within ${TIMEOUT} ms`));
    if (!Array.isArray(address)) throw new Error('a sentinel does not know this name');
    return [String(address[0]), Number(address[1])];
  } finally {
    connection.destroy();
  }
}
