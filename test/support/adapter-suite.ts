export type { MakeAdapter } from '../../testing/adapter-bench.ts';
export * from '../../testing/adapter-suite.ts';
