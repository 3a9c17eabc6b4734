import {
  CONNECT_TIMEOUT, type ConnectionEvents, type OpenConnection, type RedisConnection,
} from './redis-connection.ts';

interface Stream { cork(): void; uncork(): void; destroy(): void }

/** The members of a client of the package `ioredis` that the adapter uses. */
export interface IoRedisClient {
  readonly options: { readonly keyPrefix?: string | undefined };
  readonly isCluster?: boolean | undefined;
  readonly stream?: Partial<Stream> | undefined;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end' | 'moved', listener: () => void): unknown;
  on(event: 'messageBuffer' | 'smessageBuffer', listener: (channel: Buffer, message: Buffer) => void): unknown;
  duplicate(overrides: object): IoRedisClient;
  connect(): Promise<unknown>;
  disconnect(): void;
  call(command: string, args: readonly (string | Buffer)[]): Promise<unknown>;
  subscribe(...channels: string[]): Promise<unknown>;
  unsubscribe(...channels: string[]): Promise<unknown>;
  ssubscribe(...channels: string[]): Promise<unknown>;
  sunsubscribe(...channels: string[]): Promise<unknown>;
}

const OVERRIDES = {
  // A command that is sent again may run twice.
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  commandTimeout: undefined,
  connectTimeout: CONNECT_TIMEOUT,
  enableAutoPipelining: false,
  enableOfflineQueue: false,
  enableReadyCheck: false,
  keyPrefix: '',
  lazyConnect: true,
  maxRetriesPerRequest: null,
  monitor: false,
  protocol: 2,
  readOnly: false,
  reconnectOnError: null,
  retryStrategy: null,
  // Each connection asks each sentinel once.
  sentinelRetryStrategy: null,
  socketTimeout: undefined,
  stringNumbers: false,
};

/** Opens connections with the settings of a client. The client is not changed. */
export const duplicatesOf = (client: IoRedisClient): OpenConnection => (events) =>
  connection(client.duplicate(OVERRIDES), events);

function connection(client: IoRedisClient, events: ConnectionEvents): RedisConnection {
  let state: 'open' | 'lost' | 'destroyed' = 'open';
  let reason: Error | undefined;
  let isSharded = false;
  client.on('error', (error) => {
    reason = error;
    // If a server ends the subscription of a channel while the client waits for a reply, the client emits an error, and
    // may match later replies wrongly. So the connection is given up.
    if (state !== 'open' || !isSharded) return;
    state = 'lost';
    events.closed(error);
  });
  client.on('moved', () => { if (state === 'open') events.moved?.(); });
  client.on('end', () => {
    if (state !== 'open') return;
    state = 'lost';
    events.closed(reason ?? new Error('the connection was closed'));
  });
  for (const event of ['messageBuffer', 'smessageBuffer'] as const) {
    client.on(event, (channel, message) => {
      if (state === 'open') events.message(channel.toString(), message);
    });
  }
  const ready = client.connect().then(() => undefined, (error: unknown) => { throw reason ?? error; });
  // The caller handles the rejection; without this line, it would also be reported as unhandled.
  ready.catch(() => undefined);

  // ioredis writes each command separately. A corked stream sends all commands of one turn in one write.
  let corked: Partial<Stream> | undefined;
  const uncork = (): void => {
    const stream = corked;
    corked = undefined;
    stream?.uncork?.();
  };
  const gather = (): void => {
    if (corked) return;
    corked = client.stream;
    if (!corked) return;
    corked.cork?.();
    setImmediate(uncork);
  };

  return {
    ready,
    command([name = '', ...args]) {
      gather();
      return client.call(String(name), args);
    },
    async subscribe(channels, sharded) {
      isSharded = sharded;
      await (sharded ? client.ssubscribe(...channels) : client.subscribe(...channels));
    },
    async unsubscribe(channels, sharded) {
      await (sharded ? client.sunsubscribe(...channels) : client.unsubscribe(...channels));
    },
    destroy() {
      state = 'destroyed';
      client.disconnect();
      // disconnect() waits until the server ends the connection, which a server that does not respond never does.
      client.stream?.destroy?.();
    },
  };
}
