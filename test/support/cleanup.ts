type Undo = () => unknown;

const ofTest: Undo[] = [];
const ofFile: Undo[] = [];

/** Remembers what a test has to undo. The root `afterEach` undoes it all, last first. */
export function cleanup(undo: Undo): void {
  ofTest.push(undo);
}

/** Remembers what the tests of a file share, and what is undone after the last of them. */
export function cleanupOfFile(undo: Undo): void {
  ofFile.push(undo);
}

export const undoAll = (): Promise<void> => undoEach(ofTest);

export const undoAllOfFile = (): Promise<void> => undoEach(ofFile);

/** Undoes everything, even when a part of it fails, and then fails with what failed. */
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
  if (failures.length > 1) throw new AggregateError(failures, `${failures.length} things could not be undone after the test`);
}
