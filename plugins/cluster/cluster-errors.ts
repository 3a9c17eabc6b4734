import { defineErrors, type ErrorsOf } from '../../src/index.ts';

/** The codes that `cluster` alone raises. */
export const clusterErrors = defineErrors('cluster', {
  NODES_SILENT: [
    ({ nodes }: { nodes: readonly string[] }) => `these nodes did not answer: ${nodes.join(', ')}`,
    {},
  ],
});

declare module '../../src/index.ts' { interface Errors extends ErrorsOf<typeof clusterErrors> {} }
