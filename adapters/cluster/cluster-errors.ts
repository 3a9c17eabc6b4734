import { defineErrors, type ErrorsOf } from '../../src/index.ts';

/** The errors of the cluster adapter. They are for operators: clients see `INTERNAL_ERROR`. */
export const clusterErrors = defineErrors('cluster-adapter', {
  PRIMARY_MISSING: [
    () => 'ClusterAdapter needs a primary process; start the processes by startCluster({ file })', {},
  ],
  PRIMARY_SILENT: [
    (d: { action: string; timeout: number }) => `the primary did not answer "${d.action}" within ${d.timeout} ms`, {},
  ],
  PRIMARY_BACKLOG_FULL: [
    (d: { action: string; limit: number }) =>
      `"${d.action}" was not sent: ${d.limit} bytes already wait for the primary`, {},
  ],
  WORKER_FAILED: [
    (d: { reason: string }) => `the new worker did not start: ${d.reason}; the earlier workers still run`, {},
  ],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof clusterErrors> {} }
