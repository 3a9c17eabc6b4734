import { setTimeout as delay } from 'node:timers/promises';
import { ModuleError } from '../../src/index.ts';
import { hashTag, type RedisCommands } from './redis-commands.ts';
import type { RedisRun } from './redis-run.ts';
import { storeScript, type ScriptReply } from './store-script.ts';

export type Values = readonly (string | number)[];

/** The clock and the timer of a store. Tests replace them. */
export interface RedisStoreClock {
  /** Milliseconds. Never goes back. */
  now(): number;
  wait(milliseconds: number): Promise<unknown>;
}

export interface StoreCallsOptions {
  /** The connections of the adapter. Undefined before it starts and after it stops. */
  readonly commands: () => RedisCommands | undefined;
  /** The clock of this node. @default the clock of the system */
  readonly clock?: RedisStoreClock | undefined;
}

export interface CallOptions {
  /** Called if Redis has done the call, before the lease is checked again. */
  readonly done?: ((values: Values) => void) | undefined;
  /** The error if the call was refused, because of a conflict or a full set. */
  readonly refused?: (() => Error) | undefined;
  /** Whether to wait for replicas, if the adapter has `waitReplicas`. */
  readonly isReplicated?: boolean | undefined;
}

/** Maximum number of names in one command. Lua takes up to 8,000 arguments. */
const MAX_NAMES = 500;

const SYSTEM_CLOCK: RedisStoreClock = { now: () => performance.now(), wait: (milliseconds) => delay(milliseconds) };

const callScript = (commands: RedisCommands, given: readonly string[]): Promise<ScriptReply> =>
  storeScript.run(commands, hashTag(commands.keyPrefix), given) as Promise<ScriptReply>;

const unavailable = (action: string, cause: unknown): ModuleError =>
  new ModuleError('STORE_UNAVAILABLE', { store: 'redis', action }, { cause });

/** StoreCalls sends the calls of a store to Redis, and checks that its node holds a lease before and after each one. */
export class StoreCalls {
  readonly clock: RedisStoreClock;
  readonly #commands: StoreCallsOptions['commands'];

  constructor({ commands, clock = SYSTEM_CLOCK }: StoreCallsOptions) {
    this.#commands = commands;
    this.clock = clock;
  }

  /** The connections of the adapter. @throws STORE_UNAVAILABLE if it is not started */
  connections(action: string): RedisCommands {
    const commands = this.#commands();
    if (!commands) throw unavailable(action, new Error('the adapter is not started'));
    return commands;
  }

  /** Calls a function of the script that needs no lease. */
  async free(
    action: string, node: string, incarnation: string, given: readonly string[] = [],
  ): Promise<readonly [status: string, ...values: Values]> {
    const commands = this.connections(action);
    const reply = callScript(commands, [action, node, incarnation, '', '0', ...given]);
    return this.attempt(action, reply);
  }

  /** @throws LEASE_LOST, STORE_UNAVAILABLE, STORE_DATA_LOST, and the error of `refused` */
  async call(
    run: RedisRun, action: string, given: readonly string[], { done, refused, isReplicated }: CallOptions = {},
  ): Promise<Values> {
    const commands = this.connections(action);
    const fence = [run.node, run.incarnation, run.generation, String(run.ends)];
    const base = hashTag(commands.keyPrefix);
    const reply = callScript(commands, [action, ...fence, ...given]);
    const [status, ...values] = await this.attempt(action, reply);
    // Another node may have reaped the seats of this run already.
    if (status === 'lost') run.end();
    if (status === 'ok') done?.(values);
    if (status === 'ok' && isReplicated && commands.replicated) await this.attempt(action, commands.replicated(base));
    this.check(run);
    if (status === 'forgotten') throw new ModuleError('STORE_DATA_LOST', { store: 'redis' });
    if (status !== 'ok') throw refused!();
    return values;
  }

  /** Calls a function with many names, split into several commands. Returns the values of all commands. */
  async callForAll(
    run: RedisRun, action: string, names: readonly string[], given: readonly string[] = [],
  ): Promise<Values> {
    const calls: Promise<Values>[] = [];
    for (let from = 0; from < names.length; from += MAX_NAMES) {
      calls.push(this.call(run, action, [...given, ...names.slice(from, from + MAX_NAMES)]));
    }
    return (await Promise.all(calls)).flat();
  }

  /** Reads documents. */
  async read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const commands = this.connections('get');
    const base = hashTag(commands.keyPrefix);
    const texts = this.attempt('get', commands.command(['MGET', ...keys.map((key) => `${base}doc:${key}`)], base));
    return texts as Promise<readonly (string | null)[]>;
  }

  /** @throws LEASE_LOST */
  check(run: RedisRun): void {
    if (this.clock.now() < run.deadline) return;
    run.end();
    throw new ModuleError('LEASE_LOST', { node: run.node });
  }

  /** Awaits a reply of Redis. @throws STORE_UNAVAILABLE */
  async attempt<T>(action: string, reply: T | Promise<T>): Promise<T> {
    try {
      return await reply;
    } catch (cause) {
      throw unavailable(action, cause);
    }
  }
}
