import type { Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import {
  check, closeCodes, customerKey, definePlugin, ModuleError, RateMeter, RateTable, rules, type Connection, type Plugin,
  type PluginContext,
} from '../src/index.ts';

export interface ConnectionLimitsOptions {
  /**
   * Connections that one address may have open, an IPv6 address with its /64 network; `false` for any number.
   * @default 50
   */
  readonly maxPerIP?: number | false | undefined;
  /** Connections that one user may have open. @default any number */
  readonly maxPerUser?: number | undefined;
  /**
   * What happens when a user opens one more than `maxPerUser`: the newest connection is refused with 4129, or the
   * oldest is closed with 4011. With `refuse-newest` and `maxPerUser: 1`, a user whose link broke cannot come back
   * until the heartbeat notices.
   *
   * @default 'refuse-newest'
   */
  readonly whenUserFull?: 'refuse-newest' | 'replace-oldest' | undefined;
  /**
   * Connections that one address, and one user, may open in `windowMs`; all at once or one after the other.
   * @default any number
   */
  readonly maxPerWindow?: number | undefined;
  /** Milliseconds in which `maxPerWindow` is used up and regained. @default 60_000 */
  readonly windowMs?: number | undefined;
  /**
   * Milliseconds that the event loop may be late (99th percentile of the last second or two). While it is later, all
   * upgrades are refused.
   *
   * @default never
   */
  readonly maxEventLoopLag?: number | undefined;
  /** Addresses, and users, whose use of the window is remembered. Further ones are refused. @default 100_000 */
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

/** Milliseconds between two samples of the event loop: 50 a second, so the 99th percentile of a second is its worst. */
const RESOLUTION = 20;
/** Milliseconds between two looks at the clock. */
const LOOK = 100;

/**
 * Bounds the connections of one address and of one user, those open and those opened lately: an upgrade too many is
 * answered 429, a connection too many of a user is closed with 4129. While the event loop is late, all upgrades are
 * answered 503.
 *
 * @example manager.use(connectionLimits({ maxPerIP: 20, maxPerUser: 5, maxPerWindow: 60, maxEventLoopLag: 200 }));
 */
export function connectionLimits(options: ConnectionLimitsOptions = {}): Plugin<'connection-limits'> {
  const given = check(options, RULES, 'connectionLimits');
  const { maxPerIP = 50, maxPerUser = Infinity, whenUserFull = 'refuse-newest' } = given;
  const { maxPerWindow = Infinity, windowMs = 60_000, maxEventLoopLag, maxTracked = 100_000 } = given;
  if (given.whenUserFull !== undefined && maxPerUser === Infinity) {
    const expected = 'given beside "maxPerUser"';
    throw new ModuleError('OPTION_INVALID', { path: 'connectionLimits.whenUserFull', given: 'alone', expected });
  }
  return definePlugin({
    name: 'connection-limits',
    setup(context) {
      const newWindow = (scope: Scope): Window => new Window(scope, maxPerWindow, windowMs, maxTracked);
      if (maxEventLoopLag !== undefined) refuseWhenLate(context, maxEventLoopLag);
      const addresses = limitAddresses(context, maxPerIP === false ? Infinity : maxPerIP, newWindow('address'));
      const users = limitUsers(context, maxPerUser, whenUserFull === 'replace-oldest', newWindow('user'));
      const prefix = context.name.replaceAll('-', '_');
      const gauge = (value: number, help: string) => ({ type: 'gauge', help, value }) as const;
      context.metrics(() => {
        const tracked = addresses.window.size + users.window.size;
        return {
          [`${prefix}_open_addresses`]: gauge(addresses.open.size, 'Number of addresses with open connections.'),
          [`${prefix}_tracked`]: gauge(tracked, 'Number of addresses and users whose use of the window is remembered.'),
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

  /** How many are remembered. */
  get size(): number { return this.#table?.size ?? 0; }

  /** Takes one. @throws TOO_MANY_CONNECTIONS */
  take(key: string): void {
    if (this.#table && this.#table.take(key, performance.now()) > 0) throw tooMany(this.#scope, this.#max);
  }
}

/**
 * Counts a connection from its upgrade, so that a burst cannot pass between counting and refusing, until its socket is
 * gone, whatever becomes of it. A client of unknown address, as over a unix socket, is not counted.
 */
function limitAddresses(context: PluginContext, max: number, window: Window) {
  /** How many connections each address has. As long as the list of open connections, which the kernel bounds. */
  const open = new Map<string, number>();
  const counted = new Map<Socket, string>();
  /** Connections that were there before, by id. */
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
  // One function for all sockets: a connection costs no closure.
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

/** Counts a connection from when it is identified, which may be long after its handshake. */
function limitUsers(context: PluginContext, max: number, replacesOldest: boolean, window: Window) {
  /** The connections of each user by id, oldest first. */
  const open = new Map<string, Map<string, Connection>>();
  const add = (userId: string, connection: Connection): void => {
    counted.set(connection.id, userId);
    const own = open.get(userId);
    if (own) own.set(connection.id, connection);
    else open.set(userId, new Map([[connection.id, connection]]));
  };
  const remove = (userId: string, id: string): void => {
    const own = open.get(userId);
    if (own?.delete(id) && own.size === 0) open.delete(userId);
  };
  /** The user that each connection counts for, by its id. It may have none any more, when what gave it is unloaded. */
  const counted = new Map<string, string>();
  const forget = ({ id }: Connection): void => {
    const userId = counted.get(id);
    if (userId !== undefined && counted.delete(id)) remove(userId, id);
  };
  for (const connection of context.node.connections.values()) if (connection.user) add(connection.user.id, connection);
  context.on('connection:identified', (connection) => {
    const { id, user } = connection;
    if (!user) return forget(connection);
    const own = open.get(user.id);
    // It was identified before, with older claims.
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
    // Its link may be dead, and its close frame never answered: it counts no longer.
    remove(user.id, oldest.id);
    oldest.close(closeCodes.replaced, 'REPLACED: a newer connection of this user');
  });
  context.on('connection:removed', forget);
  return { window };
}

/** Refuses upgrades while the event loop is later than so many milliseconds. */
function refuseWhenLate(context: PluginContext, max: number): void {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  histogram.enable();
  context.onUnload(() => void histogram.disable());
  // The histogram records the time between two samples. A percentile takes 4 µs.
  const percentile = (): number => histogram.percentile(99) / 1e6 - RESOLUTION;
  let [now, second] = [performance.now(), performance.now()];
  // The worst of this second and of the one before.
  let [recent, before] = [0, 0];
  context.every(LOOK, () => {
    // A histogram that was just reset does not see the delay that is under way; a late timer shows it.
    recent = Math.max(recent, performance.now() - now - LOOK);
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
