/** An undo that does its work the first time only: called again, it leaves alone what came after. */
export function once(undo: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    undo();
  };
}
