import { connect, type Client, type ConnectOptions } from './client.ts';
import { packed, type Running } from './packed.ts';

export interface Example extends Pick<Running, 'until' | 'stop' | 'output'> {
  /** Where it listens, as it printed it. */
  readonly http: string;
  readonly connect: (options?: ConnectOptions & { path?: string; search?: string }) => Promise<Client>;
}

/** Runs a file of `examples/`, where it lies, on a free port. Stopped when the test is over. */
export async function example(name: string, env: Readonly<Record<string, string>> = {}): Promise<Example> {
  const file = new URL(`../../examples/${name}.js`, import.meta.url).href;
  const { launch } = await packed();
  const running = launch(`await import(${JSON.stringify(file)});`, { env: { PORT: '0', ...env } });
  const [, port = ''] = await running.until(/localhost:(\d+)/);
  return {
    ...running,
    http: `http://localhost:${port}`,
    connect: ({ path = '/ws', search = '', ...rest } = {}) => connect(`ws://localhost:${port}${path}${search}`, rest),
  };
}
