import { isRecord } from '../../src/index.ts';
import { duplicatesOf as duplicatesOfIoRedis, type IoRedisClient } from './ioredis.ts';
import { duplicatesOf as duplicatesOfNodeRedis, type NodeRedisClient } from './node-redis.ts';
import type { OpenConnection } from './redis-connection.ts';

const has = (value: object, ...names: readonly string[]): boolean =>
  names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');

/** Whether a value is a client with several servers or connections: of a pool, of sentinels, or of a cluster. */
export const isClientOfMany = (value: unknown): boolean => typeof value === 'object' && value !== null && (
  'masters' in value || 'totalClients' in value || has(value, 'acquire')
  || ('isCluster' in value && value.isCluster === true)
);

function packageOf(value: unknown): 'redis' | 'ioredis' | undefined {
  if (typeof value !== 'object' || value === null || isClientOfMany(value)) return undefined;
  if (!has(value, 'duplicate', 'connect', 'on', 'subscribe', 'unsubscribe')) return undefined;
  const { status, isReady } = value as { readonly status?: unknown; readonly isReady?: unknown };
  if (has(value, 'call', 'disconnect') && typeof status === 'string') return 'ioredis';
  if (has(value, 'sendCommand', 'destroy') && typeof isReady === 'boolean') return 'redis';
  return undefined;
}

/** Whether a value is a client of one server, of a supported package. */
export const isClient = (value: unknown): boolean => packageOf(value) !== undefined;

/** Opens connections with the settings of a client. */
export const duplicates = (client: object): OpenConnection => (packageOf(client) === 'ioredis'
  ? duplicatesOfIoRedis(client as IoRedisClient)
  : duplicatesOfNodeRedis(client as NodeRedisClient));

/** The database and the key prefix in the settings of a client. */
export function clientSettings(client: object): { readonly database: number; readonly keyPrefix: string } {
  const { options } = client as { readonly options?: unknown };
  const { database, db, keyPrefix } = isRecord(options) ? options : {};
  const number = packageOf(client) === 'ioredis' ? db : database;
  return {
    database: typeof number === 'number' ? number : 0,
    keyPrefix: typeof keyPrefix === 'string' ? keyPrefix : '',
  };
}
