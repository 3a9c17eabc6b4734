import type { Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import {
  check, closeCodes, customerKey, definePlugin, ModuleError, RateMeter, RateTable, rules, type Connection, type Plugin,
  type PluginContext,
} from '../src/index.ts';

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

/** Milliseconds between two samples of the event loop: 50 a second, so the 99th percentile of a second is the worst. */
const RESOLUTION = 20;
/** Milliseconds between two readings of the clock. */
const INTERVAL = 100;

/**
 * Limits the connections of one address and of one user: those that are open, and those that were opened recently. Over
 * the limit of an address, upgrades are answered with 429; over that of a user, connections are closed with 4129. While
 * the event loop lags, all upgrades are answered with 503.
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
      const newWindow = (scope: Scope): Window => new Window(scope, maxPerWindow, windowMs, maxTracked);
      if (maxEventLoopLag !== undefined) refuseWhileLagging(context, maxEventLoopLag);
      const addresses = limitAddresses(context, maxPerIP === false ? Infinity : maxPerIP, newWindow('address'));
      const users = limitUsers(context, maxPerUser, whenUserFull === 'replace-oldest', newWindow('user'));
      const prefix = context.name.replaceAll('-', '_');
      const gauge = (value: number, help: string) => ({ type: 'gauge', help, value }) as const;
      context.metrics(() => {
        const tracked = addresses.window.size + users.window.size;
        return {
          [`${prefix}_open_addresses`]: gauge(addresses.open.size, 'Number of addresses with open connections.'),
          [`${prefix}_tracked`]: gauge(tracked, 'Number of addresses and users whose use of the window is tracked.'),
        };
      });
    },
  });
}

type Scope = 'address' | 'user';

const tooMany = (scope: Scope, limit: number): ModuleError => new ModuleError('TOO_MANY_CONNECTIONS', { scope, limit });

/** How many connections each address, or each user, may still open. */
class Window {
  readonly #scope: Scope;
  readonly #max: number;
  readonly #table: RateTable | undefined;

  constructor(scope: Scope, max: number, milliseconds: number, maxTracked: number) {
    this.#scope = scope;
    this.#max = max;
    if (max !== Infinity) this.#table = new RateTable(new RateMeter({ count: max, per: milliseconds }), maxTracked);
  }

  /** How many are tracked. */
  get size(): number { return this.#table?.size ?? 0; }

  /** Takes one. @throws TOO_MANY_CONNECTIONS */
  take(key: string): void {
    if (this.#table && this.#table.take(key, performance.now()) > 0) throw tooMany(this.#scope, this.#max);
  }
}

/**
 * Counts a connection from its upgrade, so that a burst cannot pass the check, until its socket is closed. A client
 * without a known address (over a unix socket) is not counted.
 */
function limitAddresses(context: PluginContext, max: number, window: Window) {
  /** Number of connections of each address. Not longer than the list of open connections, which the kernel limits. */
  const open = new Map<string, number>();
  const counted = new Map<Socket, string>();
  /** Connections that are older than the plugin: the address key, by connection id. */
  const earlier = new Map<string, string>();
  const add = (key: string): void => void open.set(key, (open.get(key) ?? 0) + 1);
  const remove = (key: string): void => {
    const count = open.get(key)! - 1;
    if (count > 0) open.set(key, count);
    else open.delete(key);
  };
  for (const { id, ip } of context.node.connections.values()) {
    if (ip === '') continue;
    earlier.set(id, customerKey(ip));
    add(customerKey(ip));
  }
  context.on('connection:removed', ({ id }) => {
    const key = earlier.get(id);
    if (key !== undefined && earlier.delete(id)) remove(key);
  });
  // One function for all sockets, so that a connection costs no closure.
  function gone(this: Socket): void {
    const key = counted.get(this);
    if (key !== undefined && counted.delete(this)) remove(key);
  }
  context.use({
    type: 'upgrade',
    name: 'connection-limits',
    handler({ socket }, { ip }) {
      if (ip === '') return;
      const key = customerKey(ip);
      if ((open.get(key) ?? 0) >= max) throw tooMany('address', max);
      window.take(key);
      add(key);
      counted.set(socket, key);
      socket.on('close', gone);
    },
  });
  context.onUnload(() => counted.forEach((_, socket) => socket.off('close', gone)));
  return { open, window };
}

/** Counts a connection from the moment when it is identified, which may be long after its handshake. */
function limitUsers(context: PluginContext, max: number, replacesOldest: boolean, window: Window) {
  /** The connections of each user by id, oldest first. */
  const open = new Map<string, Map<string, Connection>>();
  /** The user that each connection counts for. Its own user may be gone before it is removed. */
  const userIds = new Map<string, string>();
  const add = (userId: string, connection: Connection): void => {
    userIds.set(connection.id, userId);
    const own = open.get(userId);
    if (own) own.set(connection.id, connection);
    else open.set(userId, new Map([[connection.id, connection]]));
  };
  const remove = (id: string): void => {
    const userId = userIds.get(id);
    if (userId === undefined) return;
    userIds.delete(id);
    const own = open.get(userId)!;
    own.delete(id);
    if (own.size === 0) open.delete(userId);
  };
  for (const connection of context.node.connections.values()) if (connection.user) add(connection.user.id, connection);
  context.on('connection:identified', (connection) => {
    const { id, user } = connection;
    // The plugin that identified the user was unloaded.
    if (!user) return remove(id);
    const own = open.get(user.id);
    // Identified again, with newer claims.
    if (own?.has(id)) return;
    try {
      if (own && own.size >= max && !replacesOldest) throw tooMany('user', max);
      window.take(user.id);
    } catch (error) {
      connection.close(closeCodes.rateLimited, `TOO_MANY_CONNECTIONS: ${(error as Error).message}`);
      return;
    }
    add(user.id, connection);
    const oldest = own && own.size > max ? own.values().next().value : undefined;
    if (!oldest) return;
    // Not counted from now on: if its link is dead, its close frame is never answered.
    remove(oldest.id);
    oldest.close(closeCodes.replaced, 'REPLACED: a newer connection of this user');
  });
  context.on('connection:removed', ({ id }) => remove(id));
  return { window };
}

/** Refuses upgrades while the event loop lags more than `max` milliseconds. */
function refuseWhileLagging(context: PluginContext, max: number): void {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  histogram.enable();
  context.onUnload(() => void histogram.disable());
  // The histogram records the time between two samples. A percentile takes 4 µs.
  const percentile = (): number => histogram.percentile(99) / 1e6 - RESOLUTION;
  let [now, second] = [performance.now(), performance.now()];
  // The highest lag of this second and of the one before.
  let [recent, before] = [0, 0];
  context.every(INTERVAL, () => {
    // A histogram that was just reset misses a block that is running; the late timer shows it.
    recent = Math.max(recent, performance.now() - now - INTERVAL);
    now = performance.now();
    if (now - second < 1_000) return;
    second = now;
    before = Math.max(recent, percentile());
    recent = 0;
    histogram.reset();
  });
  context.use({
    type: 'upgrade',
    name: 'connection-limits',
    handler() {
      if (Math.max(recent, before, percentile()) > max) throw new ModuleError('SERVER_OVERLOADED');
    },
  });
}

connectionLimits.connectionLimits = connectionLimits;
export { connectionLimits as default, connectionLimits as 'module.exports' };
