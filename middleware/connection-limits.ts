import { check, definePlugin, HeldSeats, LocalShare, ModuleError, rules, type Plugin } from '../src/index.ts';
import { limitAddresses } from './connection-limits/address-limit.ts';
import { ConnectionWindow, type LimitScope } from './connection-limits/connection-window.ts';
import { refuseWhileLagging } from './connection-limits/event-loop-lag.ts';
import { limitUsers } from './connection-limits/user-limit.ts';

export interface ConnectionLimitsOptions {
  /**
   * Open connections of one address, or of one IPv6 /64 network; `false` for no limit.
   * @default 50
   */
  readonly maxPerIP?: number | false | undefined;
  /** Open connections of one user. @default no limit */
  readonly maxPerUser?: number | undefined;
  /**
   * What happens when a user exceeds `maxPerUser`: the newest connection is closed with 4129, or the oldest with 4011.
   * With `refuse-newest` and `maxPerUser: 1`, a user whose link broke cannot reconnect until the heartbeat notices it.
   *
   * @default 'refuse-newest'
   */
  readonly whenUserFull?: 'refuse-newest' | 'replace-oldest' | undefined;
  /**
   * Connections that one address, and one user, may open in `windowMs`, at once or one after the other.
   * @default no limit
   */
  readonly maxPerWindow?: number | undefined;
  /** The length of the window of `maxPerWindow`, in milliseconds. @default 60_000 */
  readonly windowMs?: number | undefined;
  /**
   * Lag of the event loop in milliseconds (99th percentile of the last one or two seconds). While it is higher, all
   * upgrades are refused.
   *
   * @default no limit
   */
  readonly maxEventLoopLag?: number | undefined;
  /** Addresses, and users, whose use of the window is tracked. Further ones are refused. @default 100_000 */
  readonly maxTracked?: number | undefined;
}

const COUNT = rules.integer(1, 10_000_000);
const RULES = {
  maxPerIP: rules.either(COUNT, rules.rule('false', (value) => value === false)),
  maxPerUser: COUNT,
  whenUserFull: rules.oneOf('refuse-newest', 'replace-oldest'),
  maxPerWindow: COUNT,
  windowMs: rules.duration,
  maxEventLoopLag: rules.integer(1, 60_000),
  maxTracked: COUNT,
};

/**
 * Limits the connections of one address and of one user: those that are open, and those that were opened recently. Over
 * the limit of an address, upgrades are answered with 429; over that of a user, connections are closed with 4129. While
 * the event loop lags, all upgrades are answered with 503. Nodes with a shared store count together.
 *
 * @example manager.use(connectionLimits({ maxPerIP: 20, maxPerUser: 5, maxPerWindow: 60, maxEventLoopLag: 200 }));
 */
export function connectionLimits(options: ConnectionLimitsOptions = {}): Plugin<'connection-limits'> {
  const given = check(options, RULES, 'connectionLimits');
  const { maxPerIP = 50, maxPerUser = Infinity, whenUserFull = 'refuse-newest' } = given;
  const { maxPerWindow = Infinity, windowMs = 60_000, maxEventLoopLag, maxTracked = 100_000 } = given;
  if (given.whenUserFull !== undefined && maxPerUser === Infinity) {
    const expected = 'given with "maxPerUser"';
    throw new ModuleError('OPTION_INVALID', { path: 'connectionLimits.whenUserFull', given: 'given alone', expected });
  }
  return definePlugin({
    name: 'connection-limits',
    setup(context) {
      const newWindow = (scope: LimitScope): ConnectionWindow =>
        new ConnectionWindow(scope, maxPerWindow, windowMs, maxTracked);
      const { store } = context;
      const share = store && new LocalShare(context);
      const sharing = store && share && { store, share, seats: new HeldSeats(context, store, share) };
      if (maxEventLoopLag !== undefined) refuseWhileLagging(context, maxEventLoopLag);
      const maxOfAddress = maxPerIP === false ? Infinity : maxPerIP;
      const addresses = limitAddresses(context, maxOfAddress, newWindow('address'), sharing);
      const userWindow = newWindow('user');
      limitUsers(context, {
        max: maxPerUser, replacesOldest: whenUserFull === 'replace-oldest', window: userWindow, sharing,
      });
      const prefix = context.name.replaceAll('-', '_');
      const gauge = (value: number, help: string) => ({ type: 'gauge', help, value }) as const;
      context.metrics(() => {
        const tracked = addresses.window.size + userWindow.size;
        return {
          [`${prefix}_open_addresses`]: gauge(addresses.open.size, 'Number of addresses with open connections.'),
          [`${prefix}_tracked`]: gauge(tracked, 'Number of addresses and users whose use of the window is tracked.'),
        };
      });
    },
  });
}

connectionLimits.connectionLimits = connectionLimits;
export { connectionLimits as default, connectionLimits as 'module.exports' };
