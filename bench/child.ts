import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import type { Question, Reply } from './ipc.ts';

/** Milliseconds a question may wait: connecting 10,000 clients on a busy machine takes ten seconds. */
const PATIENCE = 120_000;

interface Waiter { readonly resolve: (value: any) => void; readonly reject: (error: Error) => void }

/** A process of the benchmark's, that is asked questions. All of them end with this one. */
export class Child {
  static readonly #all = new Set<Child>();
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #waiting = new Map<number, Waiter>();
  #asked = 0;

  /** @param flags Node's own */
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
      for (const { reject } of this.#waiting.values()) reject(new Error(`${this.#name} ended with ${signal ?? code ?? 'nothing'}`));
    });
    Child.#all.add(this);
  }

  /** Ends all of them, at once. */
  static killAll(): void { for (const child of Child.#all) child.#process.kill('SIGKILL'); }

  ask<T = void>(ask: string, argument?: unknown): Promise<T> {
    const id = this.#asked++;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.#name} did not answer "${ask}"`)), PATIENCE);
      const settled = <V>(settle: (value: V) => void) => (value: V): void => {
        clearTimeout(timer);
        settle(value);
      };
      this.#waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) this.#waiting.get(id)!.reject(new Error(`${this.#name} has ended`));
      else this.#process.send({ id, ask, argument } satisfies Question);
    });
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }
}
