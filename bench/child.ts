import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import type { Question, Reply } from './ipc.ts';

/** Milliseconds that a question may wait: connecting 10,000 clients on a busy machine takes ten seconds. */
const QUESTION_TIMEOUT = 120_000;

interface Waiter { readonly resolve: (value: any) => void; readonly reject: (error: Error) => void }

/** A child process of the benchmark, which answers questions. All children end with this process. */
export class Child {
  static readonly #all = new Set<Child>();
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #waiting = new Map<number, Waiter>();
  #asked = 0;

  /** @param flags options of Node */
  constructor(file: string, flags: readonly string[] = []) {
    this.#name = basename(file);
    this.#process = fork(file, { execArgv: [...flags] });
    this.#process.on('message', ({ id, value, error }: Reply) => {
      const waiter = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiter?.resolve(value);
      else waiter?.reject(new Error(`${this.#name}: ${error}`));
    });
    this.#process.once('exit', (code, signal) => {
      Child.#all.delete(this);
      const ended = new Error(`${this.#name} ended with ${signal ?? code ?? 'nothing'}`);
      for (const { reject } of this.#waiting.values()) reject(ended);
    });
    Child.#all.add(this);
  }

  /** Kills all child processes. */
  static killAll(): void { for (const child of Child.#all) child.#process.kill('SIGKILL'); }

  ask<T = void>(ask: string, argument?: unknown): Promise<T> {
    const id = this.#asked++;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.#name} did not answer "${ask}"`)), QUESTION_TIMEOUT);
      const settled = <V>(settle: (value: V) => void) => (value: V): void => {
        clearTimeout(timer);
        settle(value);
      };
      this.#waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
      if (this.#hasEnded) this.#waiting.get(id)!.reject(new Error(`${this.#name} has ended`));
      else this.#process.send({ id, ask, argument } satisfies Question);
    });
  }

  get #hasEnded(): boolean { return this.#process.exitCode !== null || this.#process.signalCode !== null; }

  async stop(): Promise<void> {
    if (this.#hasEnded) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }
}
