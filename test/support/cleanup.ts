import { CleanupList } from '../../testing/cleanup.ts';

export { cleanup, stopAll as undoAll } from '../../testing/cleanup.ts';

const ofFile = new CleanupList();

/** Remembers a step that undoes what the tests of a file share, after the last of them. */
export const cleanupOfFile = (undo: () => unknown): void => void ofFile.add(undo);

export const undoAllOfFile = (): Promise<void> => ofFile.run();
