import { ModuleError } from '../../src/index.ts';
import { replyCode, type RedisConnection } from './redis-connection.ts';

/** What a server says about itself. Fields that it does not send are `undefined`. */
export interface RedisServerInfo {
  readonly version: string | undefined;
  /** Changes when the server restarts. */
  readonly runId: string | undefined;
  readonly evictionPolicy: string | undefined;
}

const SECTIONS = ['server', 'memory', 'replication', 'persistence'];
/** The oldest supported version. */
const OLDEST = 7;

/**
 * Asks a new connection for facts about its server.
 * @param isClustered whether it must be a server of a cluster, or must not be one
 * @throws REDIS_UNSUITABLE if the server is a replica, is loading its data, or is too old
 */
export async function inspect(connection: RedisConnection, isClustered: boolean): Promise<RedisServerInfo> {
  let text: unknown;
  try {
    text = await connection.command(['INFO', ...SECTIONS]);
  } catch (error) {
    // A user without the permission for INFO may still publish and subscribe.
    if (replyCode(error as Error) !== 'NOPERM') throw error;
    return { version: undefined, runId: undefined, evictionPolicy: undefined };
  }
  const fields = new Map(String(text).split(/\r?\n/).map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1)];
  }));
  const version = fields.get('valkey_version') ?? fields.get('redis_version');
  if (version !== undefined && parseInt(version) < OLDEST) {
    throw unsuitable(`it is version ${version}; at least ${OLDEST}.0 is needed`);
  }
  if (!isClustered && fields.get('redis_mode') === 'cluster') {
    throw unsuitable('it is a server of a Redis Cluster; give its address as "cluster: { nodes: [{ host, port }] }"');
  }
  if (fields.get('role') === 'slave') {
    throw unsuitable(isClustered ? 'it is a replica' : 'it is a replica; give the address of its primary', false);
  }
  if (fields.get('loading') === '1') throw unsuitable('it is still loading its data', false);
  return { version, runId: fields.get('run_id'), evictionPolicy: fields.get('maxmemory_policy') };
}

const unsuitable = (reason: string, permanent = true): ModuleError =>
  new ModuleError('REDIS_UNSUITABLE', { reason, permanent });

/** Whether trying again is useless, because the settings of Redis or of the adapter must be changed first. */
export function isPermanent(error: Error): boolean {
  const code = replyCode(error);
  if (code !== undefined) return ['WRONGPASS', 'NOAUTH', 'NOPERM', 'ERR'].includes(code);
  return error instanceof ModuleError && error.details['permanent'] === true;
}
