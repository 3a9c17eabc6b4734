/** Undoes something. May be asynchronous. */
export type Undo = () => unknown;

/** What has to be undone after a test, in the order in which it was added. */
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

  /** Runs every step, the last one first, even when one fails. Fails with the failures. */
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

/** Remembers a step that `stopAll()` runs. Returns a function that runs the step at once instead. */
export const cleanup = (undo: Undo): (() => Promise<void>) => ofTest.add(undo);

/**
 * Stops every server and client of this process that `start()` and `connect()` made, the last one first.
 *
 * @example afterEach(stopAll);
 */
export const stopAll = (): Promise<void> => ofTest.run();

/** Runs work with a list of its own, and then the list. Where both fail, the failure of the work counts. */
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
