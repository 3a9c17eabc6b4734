import {
  check, definePlugin, ModuleError, rules, type Connection, type ErrorTraits, type Metric, type Plugin,
} from '../src/index.ts';

/** What the client sees instead of an error. */
export interface MappedError extends ErrorTraits {
  readonly code: string;
  readonly message?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** Returns what the client sees of an error; nothing for an unknown error. */
export type MapError = (error: unknown) => ModuleError | MappedError | undefined;

export interface ErrorHandlerOptions {
  /**
   * What the client sees of an error: a function, which returns `undefined` for unknown errors; or a table by the
   * `code` of the error or, if that is not in the table, by its `name`. @default {}
   */
  readonly map?: MapError | Readonly<Record<string, MappedError>> | undefined;
  /** Close codes by error code: after an answer with this error code, the connection is closed. @default {} */
  readonly closeOn?: Readonly<Record<string, number>> | undefined;
}

const STANDARD = rules.rule('1000, 1008, 1011', (value) => [1_000, 1_008, 1_011].includes(value));
const CLOSE_CODE = rules.either(STANDARD, rules.integer(3_000, 4_999));
const FIELDS = {
  code: rules.rule('a string', (value) => typeof value === 'string'),
  message: rules.rule('a string', (value) => typeof value === 'string'),
  details: rules.group(),
  expose: rules.boolean,
  status: rules.integer(400, 599),
  closeCode: CLOSE_CODE,
};
const hasCode = (value: any): boolean => typeof value?.code === 'string' && value.code !== '';
const MAPPED = rules.rule('an object with a "code"', hasCode, { fields: FIELDS });
const ERROR_HANDLER_RULES = {
  map: rules.either(rules.callback, rules.group({ each: MAPPED })),
  closeOn: rules.group({ each: CLOSE_CODE }),
};

/** Codes that are counted separately. The number is limited, because an application may build codes from input. */
const MAX_CODES = 200;

/**
 * Maps errors to what clients see, closes connections after some errors, and counts errors by code. It acts where
 * errors are answered and not as a layer, so its place in the order of `use` does not matter.
 *
 * @example manager.use(errorHandler({ map: { ENOENT: { code: 'NOT_FOUND' } }, closeOn: { FORBIDDEN: 4003 } }));
 */
export function errorHandler(options: ErrorHandlerOptions = {}): Plugin<'error-handler'> {
  const { map = {}, closeOn = {} } = check(options, ERROR_HANDLER_RULES, 'errorHandler');
  const find = typeof map === 'function' ? map : lookup(new Map(Object.entries(map)));
  const closeCodes = new Map(Object.entries(closeOn));
  return definePlugin({
    name: 'error-handler',
    setup(context) {
      const counts = new Map<string, number>();
      let closed = 0;

      const seen = (code: string, connection?: Connection): void => {
        const counted = counts.has(code) || counts.size < MAX_CODES ? code : 'other';
        counts.set(counted, (counts.get(counted) ?? 0) + 1);
        const closeCode = closeCodes.get(code);
        if (closeCode === undefined || !connection?.isOpen) return;
        closed++;
        connection.close(closeCode, code);
      };

      context.mapError((error) => {
        const found = find(error);
        return found === undefined || found instanceof ModuleError ? found : toModuleError(found, error);
      });
      // The error was sent before, and close() sends waiting messages first.
      context.on('message:handled', ({ error, connection }) => {
        if (error) seen(error.code, connection);
      });
      context.on('connection:refused', ({ error }) => seen(error.code));
      const prefix = context.name.replaceAll('-', '_');
      context.metrics(() => {
        const byCode = [...counts].map(([code, value]) => ({ labels: { code }, value }));
        return {
          [`${prefix}_errors_total`]: counter('Number of errors sent to clients, by code.', byCode),
          [`${prefix}_closed_total`]: counter('Number of connections closed because of an error.', closed),
        };
      });
    },
  });
}

const counter = (help: string, value: Metric['value']): Metric => ({ type: 'counter', help, value });

function lookup(table: ReadonlyMap<unknown, MappedError>): (error: unknown) => MappedError | undefined {
  if (table.size === 0) return () => undefined;
  return (error) => {
    if (typeof error !== 'object' || error === null) return undefined;
    const { code, name } = error as { code?: unknown; name?: unknown };
    return table.get(code) ?? table.get(name);
  };
}

function toModuleError({ code, details, ...init }: MappedError, cause: unknown): ModuleError {
  return new ModuleError<string>(code, { ...details }, { expose: true, ...init, cause });
}

errorHandler.errorHandler = errorHandler;
export { errorHandler as default, errorHandler as 'module.exports' };
