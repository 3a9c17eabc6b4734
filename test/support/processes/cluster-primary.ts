// The primary of a cluster, whose functions a test calls.
import cluster from 'node:cluster';
import { startCluster, type ClusterOptions, type RunningCluster } from '../../../adapters/cluster.ts';
import { serve } from '../child.ts';

const file = new URL('cluster-worker.ts', import.meta.url);
let port = 0;
let running: RunningCluster | undefined;
cluster.on('listening', (_worker, address) => { port = address.port; });

const calls = {
  async start(options: Omit<ClusterOptions, 'file'>): Promise<string> {
    try {
      running = await startCluster({ file, ...options });
      return 'started';
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  },
  port: () => running?.port ?? port,
  pids: () => running?.pids ?? [],
  reload: () => running!.reload(),
  stop: () => running!.stop(),
  workers: () => Object.keys(cluster.workers ?? {}).length,
  /** Breaks the workers that are started from now on. */
  breakNext: () => { cluster.settings.exec = '/nothing/here.ts'; },
  repair: () => { cluster.settings.exec = file.pathname; },
};
export type Primary = typeof calls;
serve(calls);
