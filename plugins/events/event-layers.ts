import { isThenable, ModuleError } from '../../src/index.ts';

/** Goes on by `next()`, once. An error passed to `next` refuses and reaches the client; a thrown one does not. */
export type Layer<Subject> = (subject: Subject, next: (error?: unknown) => void) => unknown;

export interface LayerRun {
  /** The layers' `this`. */
  readonly self: unknown;
  /** The code of what is passed to `next` without a code of its own. */
  readonly code: string;
  /** Asked between two layers: whether the next one still matters. */
  readonly isWanted: () => boolean;
  /** Is told what a layer does wrong after it has called `next`. */
  readonly report: (error: unknown) => void;
  /** Settles when the client is answered. */
  readonly answered?: Promise<void> | undefined;
  /** Called when the client is answered and a layer is done that has not called `next`. It may still call it later. */
  readonly end?: (() => void) | undefined;
}

/** Runs layers one after the other. @throws the refusal */
export async function runLayers<Subject>(
  layers: readonly Layer<Subject>[], subject: Subject, run: LayerRun,
): Promise<void> {
  for (const layer of layers) {
    const refused = await outcome(layer, subject, run);
    if (refused) throw refused.error;
    if (!run.isWanted()) return;
  }
}

/** Nothing when a layer goes on. A layer that neither calls `next` nor fails has no outcome. */
function outcome<Subject>(
  layer: Layer<Subject>, subject: Subject, run: LayerRun,
): Promise<{ readonly error: unknown } | undefined> {
  const { self, code, report, answered, end } = run;
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
      const result: unknown = Reflect.apply(layer, self, [subject, next]);
      if (isThenable(result)) result.then(undefined, fail);
      // A failure is told above.
      if (answered) Promise.all([answered, result]).then(() => { if (!isOver) end?.(); }, () => undefined);
    } catch (error) {
      fail(error);
    }
  });
}

/** What was passed to `next`, as the client may read it: with its message and its `data`. */
function refusal(given: unknown, code: string): ModuleError {
  if (given instanceof ModuleError) {
    const { message, details, expose } = given;
    if (expose) return given;
    return new ModuleError<string>(given.code, { ...details }, { message, expose: true, cause: given });
  }
  const { data } = Object(given) as { data?: unknown };
  const message = given instanceof Error ? given.message : typeof given === 'string' ? given : 'refused';
  return new ModuleError<string>(code, data === undefined ? {} : { data }, { message, expose: true, cause: given });
}
