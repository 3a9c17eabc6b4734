import type { OpenConnection } from './redis-connection.ts';

/** What the adapter has read from its options. */
export interface CommonSettings {
  readonly database: number;
  readonly keyPrefix: string;
  /** The beginning of all channels. It has the number of the database, because Pub/Sub ignores databases. */
  readonly channelPrefix: string;
  /** The address of Redis without the password, for error messages. */
  readonly address: string;
  /** The number of replicas that must confirm writes. */
  readonly waitReplicas: number;
}

export interface ServerSettings extends CommonSettings {
  readonly type: 'server';
  /** @throws REDIS_PACKAGE_MISSING */
  open(): Promise<{ readonly commands: OpenConnection; readonly subscriber: OpenConnection }>;
}

export interface Address { readonly host: string; readonly port: number }

export interface ClusterSettings extends CommonSettings {
  readonly type: 'cluster';
  readonly nodes: readonly Address[];
  /** Where to connect instead of an address that the cluster names. */
  reached(address: Address): Address;
  /** Returns a function that opens connections to a server of the cluster. @throws REDIS_PACKAGE_MISSING */
  open(): Promise<(address: Address) => OpenConnection>;
}

export type RedisSettings = ServerSettings | ClusterSettings;

/** The address as text. */
export const nameOf = ({ host, port }: Address): string => `${host}:${port}`;
