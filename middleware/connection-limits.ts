import type { Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { check, closeCodes, customerKey, defineErrors, definePlugin, ModuleError, rules, type ErrorsOf, type Plugin, type PluginContext } from '../src/index.ts';

export interface ConnectionLimitsOptions {
  /** Connections that one address may have open, an IPv6 address with its whole /64 network; `false` for any number. @default 50 */
  readonly maxPerIP?: number | false;
  /** Connections that one user may have open. @default any number */
  readonly maxPerUser?: number;
  /** Connections that one address, and one user, may open in `windowMs`; all at once or one after the other. @default any number */
  readonly maxPerWindow?: number;
  /** Milliseconds in which `maxPerWindow` is used up and regained. @default 60_000 */
  readonly windowMs?: number;
  /** Milliseconds the event loop may be late (99th percentile of the last second or two) before nobody is let in until it is over. @default never */
  readonly maxEventLoopLag?: number;
  /** Addresses, and users, whose use of the window is remembered. @default 100_000 */
  readonly maxTracked?: number;
}

export const connectionLimitsErrors = defineErrors('connection-limits', {
  SERVER_OVERLOADED: [() => 'the server is overloaded; try again later', { expose: true, status: 503, closeCode: 4153 }],
  TOO_MANY_CONNECTIONS: [(d: { scope: string; limit: number }) => `too many connections from this ${d.scope}`, { expose: true, status: 429, closeCode: 4129 }],
});

declare module '../src/index.ts' { interface Errors extends ErrorsOf<typeof connectionLimitsErrors> {} }

const COUNT = rules.integer(1, 10_000_000);
const RULES = {
  maxPerIP: rules.either(COUNT, rules.rule('false', (value) => value === false)),
  maxPerUser: COUNT,
  maxPerWindow: COUNT,
  windowMs: rules.duration,
  maxEventLoopLag: rules.integer(1, 60_000),
  maxTracked: COUNT,
};

/** Milliseconds between two looks at the event loop: 50 in a second, so that the 99th percentile of a second is the worst of it. */
const RESOLUTION = 20;
/** Milliseconds between two looks of our own. */
const LOOK = 100;
/** Slack for sums of fractions, in milliseconds. */
const EPSILON = 1e-6;

/**
 * Bounds the connections of one address and of one user, those open and those opened lately: an upgrade too many is answered 429,
 * a connection that turns out to be a user's one too many is closed with 4129. Lets nobody in (503) while the event loop is late.
 *
 * @example manager.use(connectionLimits({ maxPerIP: 20, maxPerUser: 5, maxPerWindow: 60, maxEventLoopLag: 200 }));
 */
export function connectionLimits(options: ConnectionLimitsOptions = {}): Plugin<'connection-limits'> {
  const given = check(options, RULES, 'connectionLimits');
  const { maxPerIP = 50, maxPerUser = Infinity, maxPerWindow = Infinity, windowMs = 60_000, maxEventLoopLag, maxTracked = 100_000 } = given;
  return definePlugin({
    name: 'connection-limits',
    setup(context) {
      const window = { most: maxPerWindow, interval: windowMs / maxPerWindow, size: maxTracked };
      const addresses = new Ledger('address', maxPerIP === false ? Infinity : maxPerIP, window);
      const users = new Ledger('user', maxPerUser, window);
      if (maxEventLoopLag !== undefined) pauseWhenLate(context, maxEventLoopLag);
      countAddresses(context, addresses);
      countUsers(context, users);
      const prefix = context.name.replaceAll('-', '_');
      context.metrics(() => ({
        [`${prefix}_open_addresses`]: { type: 'gauge', help: 'Addresses that have connections open now.', value: addresses.open },
        [`${prefix}_tracked`]: { type: 'gauge', help: 'Addresses and users whose use of the window is remembered now.', value: addresses.tracked + users.tracked },
      }));
    },
  });
}

interface Window {
  readonly most: number;
  /** Milliseconds in which one connection is regained. */
  readonly interval: number;
  readonly size: number;
}

/** Who has how many connections open, and how many of the window are used up. */
class Ledger {
  readonly #scope: string;
  readonly #most: number;
  readonly #window: Window;
  // As long as the list of open connections, which the kernel bounds.
  readonly #open = new Map<string, number>();
  // When each will have its whole window again (the generic cell rate algorithm, ITU-T I.371). In two generations: who has not come for a
  // window has it whole, and is forgotten.
  #recent = new Map<string, number>();
  #older = new Map<string, number>();
  #turnsAt = 0;

  constructor(scope: string, most: number, window: Window) {
    this.#scope = scope;
    this.#most = most;
    this.#window = window;
  }

  get open(): number { return this.#open.size; }

  get tracked(): number { return this.#recent.size + this.#older.size; }

  /** Counts one more. @throws TOO_MANY_CONNECTIONS, and then it is not counted */
  enter(key: string): void {
    if ((this.#open.get(key) ?? 0) >= this.#most) throw this.#refusal(this.#most);
    if (this.#window.most !== Infinity) this.#use(key, this.#window, performance.now());
    this.count(key);
  }

  /** Counts one that is already there. */
  count(key: string): void { this.#open.set(key, (this.#open.get(key) ?? 0) + 1); }

  leave(key: string): void {
    const count = this.#open.get(key) ?? 0;
    if (count > 1) this.#open.set(key, count - 1);
    else this.#open.delete(key);
  }

  #use(key: string, { most, interval, size }: Window, now: number): void {
    if (now >= this.#turnsAt || this.#recent.size >= size / 2) {
      this.#older = this.#recent;
      this.#recent = new Map();
      this.#turnsAt = now + most * interval;
    }
    const fullAt = Math.max(this.#recent.get(key) ?? this.#older.get(key) ?? 0, now);
    if (fullAt - now > (most - 1) * interval + EPSILON) throw this.#refusal(most);
    this.#older.delete(key);
    this.#recent.set(key, fullAt + interval);
  }

  #refusal(limit: number): ModuleError {
    return new ModuleError('TOO_MANY_CONNECTIONS', { scope: this.#scope, limit });
  }
}

/** From the upgrade, so that a burst cannot pass between counting and refusing, until the socket is gone, however that comes about. */
function countAddresses(context: PluginContext, addresses: Ledger): void {
  const counted = new Map<Socket, string>();
  const present = new Map([...context.node.connections.values()].map(({ id, ip }) => [id, customerKey(ip)]));
  for (const key of present.values()) addresses.count(key);
  context.on('connection:removed', ({ id }) => {
    const key = present.get(id);
    if (key !== undefined && present.delete(id)) addresses.leave(key);
  });
  // One function for all sockets: a connection costs no closure.
  function gone(this: Socket): void {
    const key = counted.get(this);
    if (key !== undefined && counted.delete(this)) addresses.leave(key);
  }
  context.use({
    type: 'upgrade',
    name: 'connection-limits',
    handler({ socket }, { ip }) {
      const key = customerKey(ip);
      addresses.enter(key);
      counted.set(socket, key);
      socket.on('close', gone);
    },
  });
  context.onUnload(() => counted.forEach((_, socket) => socket.off('close', gone)));
}

/** From the moment a connection is known to be a user's, which may be long after its handshake. */
function countUsers(context: PluginContext, users: Ledger): void {
  const counted = new Map<string, string>();
  for (const { id, user } of context.node.connections.values()) {
    if (!user) continue;
    counted.set(id, user.id);
    users.count(user.id);
  }
  context.on('connection:identified', (connection) => {
    const { id, user } = connection;
    if (!user || counted.has(id)) return;
    try {
      users.enter(user.id);
      counted.set(id, user.id);
    } catch (error) {
      connection.close(closeCodes.rateLimited, `TOO_MANY_CONNECTIONS: ${(error as Error).message}`);
    }
  });
  context.on('connection:removed', ({ id }) => {
    const key = counted.get(id);
    if (key !== undefined && counted.delete(id)) users.leave(key);
  });
}

function pauseWhenLate(context: PluginContext, most: number): void {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  histogram.enable();
  context.onUnload(() => void histogram.disable());
  // What it records is the time between two looks. To ask takes 4 µs.
  const percentile = (): number => histogram.percentile(99) / 1e6 - RESOLUTION;
  let [now, second] = [performance.now(), performance.now()];
  // The worst of this second and of the one before.
  let [recent, before] = [0, 0];
  context.every(LOOK, () => {
    // A histogram that was just reset does not see the delay that is under way; a timer that comes late shows it.
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
      if (Math.max(recent, before, percentile()) > most) throw new ModuleError('SERVER_OVERLOADED');
    },
  });
}

connectionLimits.connectionLimits = connectionLimits;
export { connectionLimits as default, connectionLimits as 'module.exports' };
