import { check, definePlugin, rules, type Log, type LogLevel, type Plugin } from '../src/index.ts';

export interface LoggingOptions {
  /**
   * The level of the lines. The manager's `logLevel`, or `DEBUG=websocket:logging`, decides whether they are written.
   * @default 'info'
   */
  readonly level?: LogLevel | undefined;
}

const RULES = { level: rules.oneOf('debug', 'info', 'warn', 'error') };

/**
 * Logs a line for each connection that is added, identified, refused or removed, and for each message that was handled:
 * with ids, types, durations in milliseconds and error codes, and never with content.
 *
 * @example manager.use(logging({ level: 'debug' })); manager.setLogLevel('debug');
 */
export function logging(options: LoggingOptions = {}): Plugin<'logging'> {
  const { level = 'info' } = check(options, RULES, 'logging');
  return definePlugin({
    name: 'logging',
    setup(context) {
      const line = lineWriter(context.log[level]);
      context.on('connection:added', line('connected', ({ id, ip, user, protocol }) =>
        ({ connection: id, ip, user: user?.id, protocol: protocol || undefined })));
      context.on('connection:identified', line('identified', ({ id, user }) => ({ connection: id, user: user?.id })));
      context.on('connection:refused', line('refused', ({ ip, error }) => ({ ip, error: error.code })));
      context.on('connection:removed', line('disconnected', (connection, { code, reason }) => {
        const { id, user } = connection;
        const duration = Math.round(connection.age);
        return { connection: id, user: user?.id, code, reason: reason || undefined, duration };
      }));
      context.on('message:handled', line('handled', ({ connection, message: { type, id }, duration, error }) => ({
        connection: connection.id, user: connection.user?.id, type, id,
        duration: Math.round(duration * 100) / 100, error: error?.code,
      })));
      context.on('message:dropped', line('dropped', ({ connection, code }) =>
        ({ connection: connection?.id, error: code })));
    },
  });
}

type Details = Readonly<Record<string, unknown>>;

/**
 * Creates listeners that write a line. `toJSON` computes the details of an event. The log calls it only if the level is
 * on: if it is off, an event costs one call.
 */
function lineWriter(write: Log[LogLevel]) {
  // An event has one argument or two. A rest parameter would allocate a list for each message.
  return <A, B>(text: string, describe: (a: A, b: B) => Details): (a: A, b?: B) => void => {
    let first: A | undefined;
    let second: B | undefined;
    const details = { toJSON: (): Details => describe(first as A, second as B) };
    return (a, b) => {
      first = a;
      second = b;
      write(text, details);
      // Keeps no reference to the last connection.
      first = second = undefined;
    };
  };
}

logging.logging = logging;
export { logging as default, logging as 'module.exports' };
