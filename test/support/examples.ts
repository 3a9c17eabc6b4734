import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanup } from './cleanup.ts';
import { connect, type Client, type ConnectOptions } from './client.ts';
import { packed, type Running } from './packed.ts';

export interface Example extends Pick<Running, 'until' | 'stop' | 'output'> {
  /** Where it listens, as it printed it. */
  readonly http: string;
  readonly connect: (options?: ConnectOptions & { path?: string; search?: string }) => Promise<Client>;
}

/**
 * Runs a file of `examples/`, where it lies, on a free port, with a new HISTORY_FILE unless one is given. Stopped when the test is over.
 */
export async function example(name: string, env: Readonly<Record<string, string>> = {}): Promise<Example> {
  const folder = mkdtempSync(join(tmpdir(), 'example-'));
  cleanup(() => rmSync(folder, { recursive: true }));
  const file = new URL(`../../examples/${name}.js`, import.meta.url).href;
  const { launch } = await packed();
  const running = launch(`await import(${JSON.stringify(file)});`, { env: { PORT: '0', HISTORY_FILE: join(folder, 'history.mdb'), ...env } });
  const [, port = ''] = await running.until(/localhost:(\d+)/);
  return {
    ...running,
    http: `http://localhost:${port}`,
    connect: ({ path = '/ws', search = '', ...rest } = {}) => connect(`ws://localhost:${port}${path}${search}`, rest),
  };
}
