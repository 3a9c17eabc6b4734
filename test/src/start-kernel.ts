import { definePlugin, type ErrorContext, type Hooks, type Logger, type Plugin, type PluginContext } from '../../src/contracts.ts';
import { WebSocketModule, type Builtins, type Options } from '../../src/index.ts';
import { start, type Manager, type StartOptions, type Started } from '../support/start.ts';

export interface Failure {
  readonly error: Error & { readonly code?: string };
  readonly context: ErrorContext;
}

export interface StartedKernel extends Started {
  /** Every `error` event. */
  readonly failures: readonly Failure[];
}

/**
 * The kernel alone on a free port: no built-in is loaded. Stopped when the test is over.
 * @param listen whether somebody listens to its `error` event
 */
export async function startKernel(options: StartOptions = {}, builtins: Builtins = {}, listen = true): Promise<StartedKernel> {
  const failures: Failure[] = [];
  const create = (given: Options): Manager => {
    const manager = WebSocketModule.create(given, builtins);
    return listen ? manager.on('error', (error, context) => void failures.push({ error, context })) : manager;
  };
  // A test that leaves a handler hanging is not to wait for it.
  return { ...await start({ drainTimeout: 500, ...options, create }), failures };
}

/** A promise in the test's hands. */
export function deferred<T = void>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void; readonly reject: (error: unknown) => void } {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => { resolve = yes; reject = no; });
  return { promise, resolve, reject };
}

/** Throws what is no Error as well: applications do. */
export function raise(value: unknown): never {
  throw value as Error;
}

/** The code of the error a promise rejects with; `undefined` when it resolves. */
export function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => undefined, (error: unknown) => (error as { code?: string }).code ?? String(error));
}

/** The arguments of the next event. */
export function next<E extends keyof Hooks>(manager: Manager, event: E): Promise<Parameters<Hooks[E]>> {
  return new Promise((resolve) => {
    const listener = (...args: unknown[]): void => {
      manager.off(event, listener);
      resolve(args as Parameters<Hooks[E]>);
    };
    manager.on(event, listener);
  });
}

/** A logger that keeps its lines. */
export function recorder(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  return { lines, debug: write, info: write, warn: write, error: write };
}

/** A plugin of one line. */
export function plugin(name: string, setup: (context: PluginContext) => unknown, requires: readonly string[] = []): Plugin {
  return definePlugin<string, string, unknown>({ name, requires, setup });
}

/** The kernel's side of the only client there is. */
export function only(manager: Manager) {
  const [connection, ...others] = manager.connections.values();
  if (!connection || others.length > 0) throw new Error(`there are ${manager.connections.size} connections, not one`);
  return connection;
}

/** The promise's value, or a failure of this test alone where it does not come. */
export function soon<T>(promise: Promise<T>, milliseconds = 8_000): Promise<T> {
  const { promise: late, reject } = deferred<never>();
  const timer = setTimeout(() => { reject(new Error(`waited ${milliseconds} ms in vain`)); }, milliseconds);
  return Promise.race([promise, late]).finally(() => { clearTimeout(timer); });
}
