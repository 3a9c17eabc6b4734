import { isThenable, ModuleError } from '../../src/index.ts';

/** Calls `next()` once to continue. An error passed to `next` is sent to the client; a thrown one is not. */
export type Layer<Subject> = (subject: Subject, next: (error?: unknown) => void) => unknown;

export interface LayerRun {
  /** The `this` of the layers. */
  readonly self: unknown;
  /** The code for errors without a code that are passed to `next`. */
  readonly code: string;
  /** Called between two layers; `false` stops. */
  readonly isWanted: () => boolean;
  /** Reports errors of a layer after it called `next`. */
  readonly report: (error: unknown) => void;
  /** Resolves when the event is acknowledged. */
  readonly answered?: Promise<void> | undefined;
  /** Called when a layer acknowledged and finished without calling `next`. It may still call `next` later. */
  readonly end?: (() => void) | undefined;
}

/** Runs layers one after the other. @throws the error of the layer that rejects */
export async function runLayers<Subject>(
  layers: readonly Layer<Subject>[], subject: Subject, run: LayerRun,
): Promise<void> {
  for (const layer of layers) {
    const rejection = await outcome(layer, subject, run);
    if (rejection) throw rejection.error;
    if (!run.isWanted()) return;
  }
}

/** Runs one layer. Resolves to `undefined` when it continues. Stays pending if it neither calls `next` nor fails. */
function outcome<Subject>(
  layer: Layer<Subject>, subject: Subject, run: LayerRun,
): Promise<{ readonly error: unknown } | undefined> {
  const { self, code, report, answered, end } = run;
  return new Promise((resolve) => {
    let isOver = false;
    const finish = (rejection?: { readonly error: unknown }): void => {
      isOver = true;
      resolve(rejection);
    };
    const fail = (error: unknown): void => (isOver ? report(error) : finish({ error }));
    const next = (error?: unknown): void => {
      if (isOver) report(new ModuleError('NEXT_TWICE', { layer: layer.name || 'layer' }));
      else finish(error ? { error: rejectionOf(error, code) } : undefined);
    };
    try {
      const result: unknown = Reflect.apply(layer, self, [subject, next]);
      if (isThenable(result)) result.then(undefined, fail);
      // Failures are handled above.
      if (answered) Promise.all([answered, result]).then(() => { if (!isOver) end?.(); }, () => undefined);
    } catch (error) {
      fail(error);
    }
  });
}

/** The error for the client, with the message and the `data` of what was passed to `next`. */
function rejectionOf(given: unknown, code: string): ModuleError {
  if (given instanceof ModuleError) {
    const { message, details, expose } = given;
    if (expose) return given;
    return new ModuleError<string>(given.code, { ...details }, { message, expose: true, cause: given });
  }
  const { data } = Object(given) as { data?: unknown };
  const message = given instanceof Error ? given.message : typeof given === 'string' ? given : 'rejected';
  return new ModuleError<string>(code, data === undefined ? {} : { data }, { message, expose: true, cause: given });
}
