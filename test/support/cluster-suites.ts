import { fork, type SerializationType } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { PrimaryBus } from '../../adapters/cluster/primary-bus.ts';
import { cleanup } from './cleanup.ts';

const SUITES = fileURLToPath(new URL('./processes/cluster-suites.ts', import.meta.url));

interface Outcome { readonly passed: number; readonly failed: readonly string[] }

/** Runs the suites of adapters and stores in a worker of this process, over its channel. */
export async function clusterSuites(serialization: SerializationType): Promise<Outcome> {
  const worker = fork(SUITES, [], {
    execArgv: ['--import', 'tsx'], serialization, stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  cleanup(() => { worker.kill('SIGKILL'); });
  // The suite of journals waits for this window.
  const detach = new PrimaryBus({ keyWindow: 1_000 }).attach(worker);
  const outcome = await new Promise<Outcome>((resolve) => {
    worker.on('message', (message: Outcome) => { if ('failed' in message) resolve(message); });
  });
  if (worker.exitCode === null) await once(worker, 'exit');
  detach();
  return outcome;
}
