type Undo = () => unknown;

const undone: Undo[] = [];

/** Remembers what a test has to undo. The root `afterEach` undoes it all, last first. */
export function cleanup(undo: Undo): void {
  undone.push(undo);
}

/** Undoes everything, even when a part of it fails, and then fails with what failed. */
export async function undoAll(): Promise<void> {
  const failures: unknown[] = [];
  for (let undo = undone.pop(); undo; undo = undone.pop()) {
    try {
      await undo();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, `${failures.length} things could not be undone after the test`);
}
