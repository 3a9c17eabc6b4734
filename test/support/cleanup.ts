type Undo = () => unknown;

const ofTest: Undo[] = [];
const ofFile: Undo[] = [];

/** Remembers a step that undoes something after the test. The root `afterEach` runs them all, last first. */
export function cleanup(undo: Undo): void {
  ofTest.push(undo);
}

/** Remembers a step that undoes what the tests of a file share, after the last of them. */
export function cleanupOfFile(undo: Undo): void {
  ofFile.push(undo);
}

export const undoAll = (): Promise<void> => undoEach(ofTest);

export const undoAllOfFile = (): Promise<void> => undoEach(ofFile);

/** Runs every step, even when one fails, and then fails with the failures. */
async function undoEach(undos: Undo[]): Promise<void> {
  const failures: unknown[] = [];
  for (let undo = undos.pop(); undo; undo = undos.pop()) {
    try {
      await undo();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, `${failures.length} steps failed after the test`);
}
