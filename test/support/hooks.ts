import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import fc from 'fast-check';
import type { Context, Func } from 'mocha';
import { waits } from '../../testing/waits.ts';
import { undoAll, undoAllOfFile } from './cleanup.ts';
import { PACKED_FOLDER } from './packed.ts';
import { eventually } from './timing.ts';

// Properties are tried on the same values in every run, so that a commit that passed passes again. FUZZ_SEED names
// others, or says `random`.
const { FUZZ_SEED = '20260101' } = process.env;
fc.configureGlobal({ seed: FUZZ_SEED === 'random' ? Math.floor(Math.random() * 2 ** 31) : Number(FUZZ_SEED) });

// A shared machine stands still for seconds now and then, and a test that passes does not wait. Less than the ten seconds
// after which the kernel gives up by default, so that its own deadline is not taken for an answer.
Object.assign(waits, { message: 8_000, condition: 8_000 } satisfies typeof waits);

/** In a parallel run mocha gives each file to one of its workers; the root hooks then run once for each file. */
const isWorker = process.env.MOCHA_WORKER_ID !== undefined;

/** By promise, because mocha calls the other listeners again, which Node has called already. */
const unhandled = new Map<Promise<unknown>, unknown>();
const onUnhandled = (reason: unknown, promise: Promise<unknown>) => { unhandled.set(promise, reason); };

process.on('unhandledRejection', onUnhandled);

async function nothingUnhandled(): Promise<void> {
  // Node reports a rejection when the microtasks of its turn are done.
  await setImmediate();
  if (unhandled.size === 0) return;
  const reasons = [...unhandled.values()];
  unhandled.clear();
  // The reasons are part of the message: a worker does not hand on the cause of an error.
  throw new Error(`a rejected promise was not handled: ${reasons.map((reason) => inspect(reason)).join('\n')}`);
}

async function tidy(): Promise<void> {
  await undoAll();
  await nothingUnhandled();
}

/** How many resources of each type keep the process alive. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const type of process.getActiveResourcesInfo()) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}

let resourcesBefore: Record<string, number>;

/** Waits until nothing keeps the process alive that did not before the tests. */
async function nothingLeftRunning(files: string): Promise<void> {
  const left = () => Object.entries(resources()).filter(([type, count]) => count > (resourcesBefore[type] ?? 0));
  try {
    await eventually(`${files} to leave nothing running`, () => left().length === 0 || left(), 20_000);
  } catch (error) {
    // A process that only runs these tests would never end.
    if (!isWorker) setTimeout(() => process.exit(1), 1_000).unref();
    throw error;
  }
}

// Node 20 may spin for ever between this and its end, waiting for a write to a child that is gone.
process.once('beforeExit', () => process.exit());

export const mochaHooks = {
  async beforeAll() {
    // A worker's mocha removes every listener after each file.
    if (!process.listeners('unhandledRejection').includes(onUnhandled)) process.on('unhandledRejection', onUnhandled);
    // Counted as it is counted afterwards: in an asynchronous hook, for which mocha has a timer, and after a timer of
    // its own.
    await delay(1);
    resourcesBefore = resources();
  },
  // Tidying up is part of the test: a failure of it fails that test, where a failing root hook would end the whole run.
  beforeEach(this: Context) {
    const test = this.currentTest;
    const body = test?.fn;
    if (!test || !body || body.length > 0) return;
    test.fn = async function (this: Context) {
      try {
        await (body as Func as (this: Context) => unknown).call(this);
      } catch (error) {
        await tidy().catch((also: unknown) => console.error('and afterwards:', also));
        throw error;
      }
      await tidy();
    } as Func;
  },
  // Undoes what a timed-out test or a suite's own hook left. An error here ends the run, so it is only printed when the
  // test has failed anyway.
  async afterEach(this: Context) {
    await tidy().catch((error: unknown) => {
      if (!this.currentTest?.isFailed()) throw error;
      console.error('and afterwards:', error);
    });
  },
  async afterAll(this: Context) {
    await undoAllOfFile();
    await nothingUnhandled();
    const files = new Set(this.test?.parent?.suites.map(({ file }) => relative(process.cwd(), file ?? '')));
    await nothingLeftRunning([...files].join(', '));
  },
};

/**
 * Runs once, in the process that starts the workers: they inherit the folder in which they share the packed package.
 */
export function mochaGlobalSetup(): void {
  process.env[PACKED_FOLDER] = mkdtempSync(join(tmpdir(), 'websocket-module-'));
}

export function mochaGlobalTeardown(): void {
  rmSync(process.env[PACKED_FOLDER]!, { recursive: true, force: true });
}
