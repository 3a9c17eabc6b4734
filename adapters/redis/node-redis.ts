import { ModuleError } from '../../src/index.ts';
import {
  CONNECT_TIMEOUT, type ConnectionEvents, type OpenConnection, type RedisConnection,
} from './redis-connection.ts';

type Listener = (message: Buffer, channel: Buffer) => void;

/** The members of a client of the package `redis` that the adapter uses. */
export interface NodeRedisClient {
  readonly isReady: boolean;
  readonly options?: { readonly socket?: object | undefined; readonly keyPrefix?: string | undefined } | undefined;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'sharded-channel-moved', listener: () => void): unknown;
  duplicate(overrides: object): NodeRedisClient;
  connect(): Promise<unknown>;
  destroy(): void;
  sendCommand(args: readonly (string | Buffer)[]): Promise<unknown>;
  subscribe(channels: string[], listener: Listener, buffers: true): Promise<void>;
  unsubscribe(channels: string[], listener: Listener, buffers: true): Promise<void>;
  sSubscribe(channels: string[], listener: Listener, buffers: true): Promise<void>;
  sUnsubscribe(channels: string[], listener: Listener, buffers: true): Promise<void>;
}

/** Options that every connection has, whatever the settings of the client. */
const overrides = (socket: object | undefined): object => ({
  // So that replies have the same form as those of `ioredis`.
  RESP: 2,
  commandOptions: { timeout: undefined },
  commandsQueueMaxLength: undefined,
  clientSideCache: undefined,
  emitInvalidate: false,
  keyPrefix: undefined,
  maintNotifications: 'disabled',
  pingInterval: undefined,
  readonly: false,
  socket: { ...socket, connectTimeout: CONNECT_TIMEOUT, reconnectStrategy: false, socketTimeout: undefined },
});

/** Opens connections with the settings of a client. The client is not changed. */
export const duplicatesOf = (client: NodeRedisClient): OpenConnection => (events) =>
  connection(client.duplicate(overrides(client.options?.socket)), events);

interface ClientOptions { readonly socket: object; readonly [option: string]: unknown }

/**
 * Loads the package `redis`. Returns a function that opens connections with options of `createClient()`.
 * @throws REDIS_PACKAGE_MISSING
 */
export async function nodeRedis(): Promise<(options: ClientOptions) => OpenConnection> {
  const { createClient } = await load();
  // createClient() builds a class with all commands each time; duplicate() uses the class again.
  const template = createClient() as unknown as NodeRedisClient;
  return (options) => (events) =>
    connection(template.duplicate({ ...options, ...overrides(options.socket) }), events);
}

async function load(): Promise<typeof import('redis')> {
  try {
    return await import('redis');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new ModuleError('REDIS_PACKAGE_MISSING', {}, { cause });
  }
}

function connection(client: NodeRedisClient, events: ConnectionEvents): RedisConnection {
  let state: 'open' | 'lost' | 'destroyed' = 'open';
  let isSharded = false;
  const onMessage: Listener = (message, channel) => {
    if (state === 'open') events.message(channel.toString(), message);
  };
  client.on('error', (error) => {
    // If a server ends the subscription of a channel while the client waits for a reply, the client emits an error, and
    // may match later replies wrongly. So the connection is given up.
    if (state !== 'open' || (client.isReady && !isSharded)) return;
    state = 'lost';
    events.closed(error);
  });
  client.on('sharded-channel-moved', () => { if (state === 'open') events.moved?.(); });
  const ready = client.connect().then(() => {
    // A client that is destroyed while it connects may still connect.
    if (state === 'destroyed') client.destroy();
  });
  // The caller handles the rejection; without this line, it would also be reported as unhandled.
  ready.catch(() => undefined);
  return {
    ready,
    command: (args) => client.sendCommand(args),
    subscribe(channels, sharded) {
      isSharded = sharded;
      if (sharded) return client.sSubscribe([...channels], onMessage, true);
      return client.subscribe([...channels], onMessage, true);
    },
    unsubscribe: (channels, sharded) => (sharded
      ? client.sUnsubscribe([...channels], onMessage, true)
      : client.unsubscribe([...channels], onMessage, true)),
    destroy() {
      state = 'destroyed';
      client.destroy();
    },
  };
}
