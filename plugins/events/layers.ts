import { isThenable, ModuleError } from '../../src/index.ts';

/** Goes on by calling `next()`, once. What is passed to `next` refuses, and reaches the peer; what is thrown does not. */
export type Layer<Subject> = (subject: Subject, next: (error?: unknown) => void) => unknown;

export interface LayerRun {
  /** The code of what is passed to `next` and has none of its own. */
  readonly code: string;
  /** Asked between two layers: whether there is still somebody to ask them for. */
  readonly isWanted: () => boolean;
  /** Told of what a layer does wrong after it has called `next`. */
  readonly report: (error: unknown) => void;
  /** Settles when the peer is answered. */
  readonly answered?: Promise<void>;
  /** Told of a layer that is through, though it has not called `next`, when the peer is answered. It may call it later. */
  readonly end?: () => void;
}

/** Runs layers one after the other. @throws what refuses */
export async function runLayers<Subject>(layers: readonly Layer<Subject>[], subject: Subject, run: LayerRun): Promise<void> {
  for (const layer of layers) {
    const refused = await outcome(layer, subject, run);
    if (refused) throw refused.error;
    if (!run.isWanted()) return;
  }
}

/** Nothing where a layer goes on. One that neither calls `next` nor fails has no outcome. */
function outcome<Subject>(layer: Layer<Subject>, subject: Subject, run: LayerRun): Promise<{ readonly error: unknown } | undefined> {
  const { code, report, answered, end } = run;
  return new Promise((resolve) => {
    let isOver = false;
    const finish = (refused?: { readonly error: unknown }): void => {
      isOver = true;
      resolve(refused);
    };
    const fail = (error: unknown): void => (isOver ? report(error) : finish({ error }));
    const next = (error?: unknown): void => {
      if (isOver) report(new ModuleError('NEXT_TWICE', { layer: layer.name || 'layer' }));
      else finish(error ? { error: refusal(error, code) } : undefined);
    };
    try {
      const result = layer(subject, next);
      if (isThenable(result)) result.then(undefined, fail);
      // What fails is told above.
      if (answered) Promise.all([answered, result]).then(() => { if (!isOver) end?.(); }, () => undefined);
    } catch (error) {
      fail(error);
    }
  });
}

/** What was passed to `next`, as the peer may read it: with its message and its `data`. */
export function refusal(given: unknown, code: string): ModuleError {
  if (given instanceof ModuleError) {
    return given.expose ? given : new ModuleError<string>(given.code, { ...given.details }, { message: given.message, expose: true, cause: given });
  }
  const { data } = Object(given) as { data?: unknown };
  const message = given instanceof Error ? given.message : typeof given === 'string' ? given : 'refused';
  return new ModuleError<string>(code, data === undefined ? {} : { data }, { message, expose: true, cause: given });
}
