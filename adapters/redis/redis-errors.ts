import { defineErrors, hasCode, type ErrorsOf } from '../../src/index.ts';

/** The errors of the Redis adapter. They are for operators: clients see `INTERNAL_ERROR`. */
export const redisErrors = defineErrors('redis', {
  ADAPTER_UNAVAILABLE: [
    (d: { command: string; reason: string }) => `${d.command} failed, because Redis cannot be reached: ${d.reason}`, {},
  ],
  ADAPTER_TIMEOUT: [
    (d: { command: string; timeout: number }) => `Redis did not answer ${d.command} within ${d.timeout} ms`, {},
  ],
  ADAPTER_REFUSED: [(d: { command: string; reply: string }) => `Redis refused ${d.command}: ${d.reply}`, {}],
  ADAPTER_BACKLOG_FULL: [
    (d: { command: string; limit: number; of: 'commands' | 'bytes' }) =>
      `${d.command} was not sent: ${d.limit} ${d.of} already wait for Redis`, {},
  ],
  REPLICAS_MISSING: [
    (d: { replicas: number; wanted: number; timeout: number }) =>
      `${d.replicas} of ${d.wanted} replicas confirmed the write within ${d.timeout} ms; a failover may undo it`, {},
  ],
  REDIS_UNREACHABLE: [
    (d: { address: string; reason: string }) => `cannot connect to Redis (${d.address}): ${d.reason}`, {},
  ],
  REDIS_UNSUITABLE: [(d: { reason: string; permanent: boolean }) => `this Redis cannot be used: ${d.reason}`, {}],
  REDIS_PACKAGE_MISSING: [
    () => 'the Redis adapter needs the package "redis": npm install redis, or pass it a client as "client"', {},
  ],
});

/** The reply of Redis, if the error is that Redis refused a command. */
export const refusalOf = (error: unknown): string | undefined =>
  (hasCode(error, 'ADAPTER_REFUSED') ? String(error.details['reply']) : undefined);

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof redisErrors> {} }
