import { check, definePlugin, ModuleError, rules, type Connection, type ErrorTraits, type Plugin } from '../src/index.ts';

/** What a peer sees instead of an error. */
export interface MappedError extends ErrorTraits {
  readonly code: string;
  readonly message?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface ErrorHandlerOptions {
  /**
   * What the peer sees of an error: a function of it, which gives `undefined` for those it does not know; or a table by the error's
   * `code` or, where that is not in it, its `name`. @default {}
   */
  readonly map?: ((error: unknown) => ModuleError | MappedError | undefined) | Readonly<Record<string, MappedError>>;
  /** By the code the peer was told, the close code with which its connection is closed after that. @default {} */
  readonly closeOn?: Readonly<Record<string, number>>;
}

const CLOSE_CODE = rules.either(rules.rule('1000, 1008, 1011', (value) => [1_000, 1_008, 1_011].includes(value)), rules.integer(3_000, 4_999));
const FIELDS = {
  code: rules.rule('a string', (value) => typeof value === 'string'),
  message: rules.rule('a string', (value) => typeof value === 'string'),
  details: rules.group(),
  expose: rules.boolean,
  status: rules.integer(400, 599),
  closeCode: CLOSE_CODE,
};
const MAPPED = rules.rule('an object with a "code"', (value) => typeof value?.code === 'string' && value.code !== '', { fields: FIELDS });
const RULES = {
  map: rules.either(rules.callback, rules.group({ each: MAPPED })),
  closeOn: rules.group({ each: CLOSE_CODE }),
};

/** Codes that are counted one by one; applications may make codes up from input. */
const MOST_CODES = 200;

/**
 * Says what peers see of errors, which errors end a connection, and how often each came. It acts where errors are answered and not
 * as a layer, so its place in the order of `use` does not matter.
 *
 * @example manager.use(errorHandler({ map: { ENOENT: { code: 'NOT_FOUND' } }, closeOn: { FORBIDDEN: 4003 } }));
 */
export function errorHandler(options: ErrorHandlerOptions = {}): Plugin<'error-handler'> {
  const { map = {}, closeOn = {} } = check(options, RULES, 'errorHandler');
  const find = typeof map === 'function' ? map : lookup(new Map(Object.entries(map)));
  const closeCodes = new Map(Object.entries(closeOn));
  return definePlugin({
    name: 'error-handler',
    setup(context) {
      const counts = new Map<string, number>();
      let closed = 0;

      const seen = (code: string, connection?: Connection): void => {
        const counted = counts.has(code) || counts.size < MOST_CODES ? code : 'other';
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
      // The error has been answered by then, and closing sends what waits first.
      context.on('message:handled', ({ error, connection }) => {
        if (error) seen(error.code, connection);
      });
      context.on('connection:refused', ({ error }) => seen(error.code));
      const prefix = context.name.replaceAll('-', '_');
      context.metrics(() => ({
        [`${prefix}_errors_total`]: {
          type: 'counter', help: 'Errors that peers were told since start, by code.', value: [...counts].map(([code, value]) => ({ labels: { code }, value })),
        },
        [`${prefix}_closed_total`]: { type: 'counter', help: 'Connections closed for an error since start.', value: closed },
      }));
    },
  });
}

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
