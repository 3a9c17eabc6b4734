import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { cleanup } from './cleanup.ts';

interface Call { readonly id: number; readonly name: string; readonly args: readonly unknown[] }
interface Answer { readonly id: number; readonly value?: unknown; readonly error?: string }

export type Calls = Readonly<Record<string, (...args: any[]) => unknown>>;

/** A process of its own with functions to call: what is measured in it is its own. */
export interface Child<C extends Calls> {
  readonly call: <N extends keyof C & string>(name: N, ...args: Parameters<C[N]>) => Promise<Awaited<ReturnType<C[N]>>>;
  /** What it has written to stdout and stderr. */
  readonly output: () => string;
  readonly pid: number;
  /** Its exit code, or the name of the signal that ended it, once it is gone. */
  readonly exit: () => number | string | undefined;
}

/** Starts a TypeScript file in a process of its own. Killed when the test is over. */
export async function child<C extends Calls>(file: URL, env: NodeJS.ProcessEnv = {}): Promise<Child<C>> {
  const process_ = fork(fileURLToPath(file), [], {
    execArgv: ['--import', 'tsx', '--expose-gc'], env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const waiting = new Map<number, (answer: Answer) => void>();
  let output = '';
  let ended: number | string | undefined;
  let last = 0;
  for (const stream of [process_.stdout, process_.stderr]) stream?.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  process_.on('message', (answer: Answer) => { waiting.get(answer.id)?.(answer); waiting.delete(answer.id); });
  process_.on('exit', (code, signal) => {
    ended = code ?? signal ?? 'gone';
    for (const [id, settle] of waiting) settle({ id, error: `the process ended with ${ended}\n${output}` });
  });
  cleanup(async () => {
    if (ended !== undefined) return;
    process_.kill('SIGKILL');
    await once(process_, 'exit');
  });

  const call = (name: string, ...args: unknown[]) => new Promise<any>((resolve, reject) => {
    if (ended !== undefined) { reject(new Error(`the process ended with ${ended}\n${output}`)); return; }
    const id = ++last;
    waiting.set(id, ({ error, value }) => error === undefined ? resolve(value) : reject(new Error(error)));
    process_.send({ id, name, args } satisfies Call, (error) => { if (error) reject(error); });
  });
  await call('ready');
  return { call, output: () => output, exit: () => ended, pid: process_.pid! };
}

/** In the child: the functions that can be called. The process ends with its parent. */
export function serve(calls: Calls): void {
  process.on('message', ({ id, name, args }: Call) => {
    void (async () => {
      try {
        process.send!({ id, value: name === 'ready' ? true : await calls[name]!(...args) });
      } catch (error) {
        process.send!({ id, error: (error as Error).stack ?? String(error) });
      }
    })();
  });
  process.on('disconnect', () => process.exit());
}
