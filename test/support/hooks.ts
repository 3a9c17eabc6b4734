import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import type { Context, Func } from 'mocha';
import { undoAll } from './cleanup.ts';

// Properties are tried on the same values in every run, so that a commit that passed passes again. FUZZ_SEED names others, or says `random`.
const { FUZZ_SEED = '20260101' } = process.env;
fc.configureGlobal({ seed: FUZZ_SEED === 'random' ? Math.floor(Math.random() * 2 ** 31) : Number(FUZZ_SEED) });

/** By promise, because mocha hands on to the other listeners what Node has already told them. */
const unhandled = new Map<Promise<unknown>, unknown>();

process.on('unhandledRejection', (reason, promise) => unhandled.set(promise, reason));

async function nothingUnhandled(): Promise<void> {
  // Node tells of a rejection when the microtasks of its turn are done.
  await setImmediate();
  if (unhandled.size === 0) return;
  const reasons = [...unhandled.values()];
  unhandled.clear();
  throw new Error('a promise was rejected and nobody looked', { cause: reasons.length === 1 ? reasons[0] : reasons });
}

async function tidy(): Promise<void> {
  await undoAll();
  await nothingUnhandled();
}

// Node 20 may spin for ever between this and its end, waiting for a write to a child that is gone.
process.once('beforeExit', () => process.exit());

export const mochaHooks = {
  // Tidying up is part of the test: what fails in it fails that test, where a failing root hook would end the whole run.
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
  // What a timed-out test or a suite's own hook left. To throw here ends the run, so a test that has failed anyway only tells.
  async afterEach(this: Context) {
    await tidy().catch((error: unknown) => {
      if (!this.currentTest?.isFailed()) throw error;
      console.error('and afterwards:', error);
    });
  },
  async afterAll() {
    // Said, and not hidden by mocha's --exit: what still runs when all is done was left behind by a test.
    setTimeout(() => {
      console.error('The tests are over, and the process is kept alive by', process.getActiveResourcesInfo());
      process.exit(1);
    }, 5_000).unref();
    await nothingUnhandled();
  },
};
