/** Undoes something. May be asynchronous. */
export type Undo = () => unknown;

/** Steps that undo what a test did, in the order of addition. */
export class CleanupList {
  readonly #undos: Undo[] = [];

  /** Adds a step. Returns a function that runs the step now, if it has not run yet. */
  add(undo: Undo): () => Promise<void> {
    this.#undos.push(undo);
    return async () => {
      const index = this.#undos.lastIndexOf(undo);
      if (index < 0) return;
      this.#undos.splice(index, 1);
      await undo();
    };
  }

  /** Runs all steps, last first, even if some fail. Then throws the failures. */
  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (let undo = this.#undos.pop(); undo; undo = this.#undos.pop()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, `${failures.length} steps failed after the test`);
  }
}

const ofTest = new CleanupList();

/** Adds a step that `stopAll()` runs. Returns a function that runs the step at once instead. */
export const cleanup = (undo: Undo): (() => Promise<void>) => ofTest.add(undo);

/**
 * Stops all servers and clients of this process that `start()` and `connect()` created, last first.
 *
 * @example afterEach(stopAll);
 */
export const stopAll = (): Promise<void> => ofTest.run();

/** Runs work with a new list, and then the steps of that list. If both fail, throws the failure of the work. */
export async function withCleanups(work: (cleanups: CleanupList) => Promise<void>): Promise<void> {
  const cleanups = new CleanupList();
  try {
    await work(cleanups);
  } catch (error) {
    await cleanups.run().catch(() => undefined);
    throw error;
  }
  await cleanups.run();
}
