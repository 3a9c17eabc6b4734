import {
  byType, canonical, check, closeCodes, customerKey, definePlugin, ModuleError, rules,
  type Connection, type Message, type Next, type Plugin, type PluginContext,
} from '../src/index.ts';

/** Whose messages are counted together. An IPv6 address counts as its /64 network. */
export type RateLimitScope = 'connection' | 'user' | 'ip';

/** How many messages may come: buckets of tokens, of which each message takes one. */
export interface Rate {
  /** Messages per second in the long run; half a one is one in two seconds. */
  readonly maxPerSecond?: number;
  /** Messages per minute in the long run; as many at once, unless `maxPerSecond` or `burstSize` says less. */
  readonly maxPerMinute?: number;
  /** Messages that may come at once. @default maxPerSecond */
  readonly burstSize?: number;
}

export interface RateLimitOptions extends Rate {
  /** Messages per second, when `maxPerMinute` is not given either. @default 100 */
  readonly maxPerSecond?: number;
  /** Whose messages are counted together: one, or several, each of which must have a token. Without a user, `user` is the connection. @default 'connection' */
  readonly by?: RateLimitScope | readonly RateLimitScope[];
  /** Rates of message types, which hold beside the general one. @default {} */
  readonly types?: Readonly<Record<string, Rate>>;
  /** Refusals after which a connection is muted. @default 10 */
  readonly muteAfter?: number;
  /** Milliseconds for which a muted connection is not read from; less than `message.timeout`. With 0 it is read from, and answered. @default 2_000 */
  readonly muteFor?: number;
  /** Mutes after which the connection is closed with 4129 instead, or `false` for never. @default 3 */
  readonly closeAfter?: number | false;
  /** Users, and addresses, whose buckets are remembered. @default 100_000 */
  readonly maxTracked?: number;
}

const COUNT = rules.number(0.001, 1_000_000);
const RATE = { maxPerSecond: COUNT, maxPerMinute: COUNT, burstSize: rules.integer(1, 1_000_000) };
const SCOPE = rules.oneOf('connection', 'user', 'ip');
const RULES = {
  ...RATE,
  by: rules.either(SCOPE, rules.rule('a list of these', (value) => Array.isArray(value) && value.length > 0 && value.every((item) => SCOPE.test(item)))),
  types: rules.group({ each: rules.group({ fields: RATE }) }),
  muteAfter: rules.integer(1, 1_000_000),
  muteFor: rules.integer(0, 600_000),
  closeAfter: rules.either(rules.integer(0, 1_000_000), rules.rule('false', (value) => value === false)),
  maxTracked: rules.integer(1, 10_000_000),
};

/** Milliseconds without a refusal after which those before are forgiven. */
const FORGIVEN_AFTER = 60_000;
/** Slack for sums of fractions, in milliseconds: a thousandth of what a monotonic clock tells apart. */
const EPSILON = 1e-6;

/**
 * A bucket as one number: the time at which it will be full again. Each message moves it by an interval; it may not be further
 * ahead than the burst (the virtual scheduling form of the generic cell rate algorithm, ITU-T I.371). In any time t no more than
 * burst + t / interval messages pass, and no timer refills anything.
 */
interface Limit {
  /** Where in a meter its number is. */
  readonly slot: number;
  readonly interval: number;
  readonly ahead: number;
  readonly type: string | undefined;
}
/** The numbers of one connection, user or address: one for every limit. */
type Meter = number[];

interface Client {
  readonly meter: Meter;
  readonly key: string;
  refusals: number;
  mutes: number;
  refusedAt: number;
  /** Resolves when it is read from again. */
  muted: Promise<void> | undefined;
}

/**
 * Refuses messages that come faster than a rate: each is answered RATE_LIMITED with `retryAfter`, in milliseconds. A client that goes
 * on is muted, which the last answer says: for a while it is not read from, so that its messages wait on its own side, and none
 * is lost. One that goes on then is closed with 4129.
 *
 * @example manager.use(rateLimit({ maxPerSecond: 20, burstSize: 40, by: ['connection', 'ip'], types: { search: { maxPerMinute: 10 } } }));
 */
export function rateLimit(options: RateLimitOptions = {}): Plugin<'rate-limit'> {
  const given = check(options, RULES, 'rateLimit');
  const { by = 'connection', types = {}, muteAfter = 10, muteFor = 2_000, closeAfter = 3, maxTracked = 100_000 } = given;
  const { maxPerMinute, maxPerSecond = maxPerMinute === undefined ? 100 : undefined, burstSize } = given;
  const scopes = [...new Set(typeof by === 'string' ? [by] : by)];
  const limits: Limit[] = [];
  const general = add(limits, { maxPerSecond, maxPerMinute, burstSize });
  const limitsOf = new Map([...byType(types, 'rateLimit.types')].map(([type, rate]) => [type, [...general, ...add(limits, rate, type)]]));

  return definePlugin({
    name: 'rate-limit',
    setup(context) {
      const clients = new WeakMap<Connection, Client>();
      const tables = { user: new Table(limits, maxTracked), ip: new Table(limits, maxTracked) };
      const counts = { refused: 0, muted: 0, closed: 0 };
      const mute = muter(context, muteFor);
      // Filled and read within one call, so that a message needs no array.
      const meters: Meter[] = [];

      const meterOf = (scope: RateLimitScope, client: Client, { user }: Connection, now: number): Meter => {
        if (scope === 'ip') return tables.ip.meter(client.key, now);
        return scope === 'user' && user ? tables.user.meter(user.id, now) : client.meter;
      };

      const refuse = (client: Client, connection: Connection, details: { retryAfter: number; scope: string }, now: number): ModuleError => {
        counts.refused++;
        if (now - client.refusedAt > FORGIVEN_AFTER) client.refusals = client.mutes = 0;
        client.refusedAt = now;
        if (++client.refusals < muteAfter) return new ModuleError('RATE_LIMITED', details);
        client.refusals = 0;
        if (closeAfter !== false && client.mutes >= closeAfter) {
          counts.closed++;
          connection.close(closeCodes.rateLimited, `RATE_LIMITED: retry after ${details.retryAfter} ms`);
          return new ModuleError('RATE_LIMITED', details);
        }
        client.mutes++;
        if (muteFor === 0) return new ModuleError('RATE_LIMITED', details);
        client.muted = mute(() => (client.muted = undefined));
        if (!client.muted) return new ModuleError('RATE_LIMITED', details);
        counts.muted++;
        const announced = { ...details, retryAfter: Math.max(details.retryAfter, muteFor), muted: true };
        return new ModuleError('RATE_LIMITED', announced);
      };

      const judge = (message: Message, connection: Connection, next: Next): unknown => {
        let client = clients.get(connection);
        if (!client) clients.set(connection, (client = newClient(connection, newMeter(limits))));
        // The kernel handles the messages of a connection in order, and stops reading where too many wait for this one.
        if (client.muted) return client.muted.then(() => judge(message, connection, next));
        if (context.signal.aborted) return next();
        const now = performance.now();
        const applicable = limitsOf.get(canonical(message.type)) ?? general;
        let wait = 0;
        let worst = '';
        for (let index = 0; index < scopes.length; index++) {
          const scope = scopes[index]!;
          const meter = (meters[index] = meterOf(scope, client, connection, now));
          for (const { slot, ahead, type } of applicable) {
            const missing = meter[slot]! - now - ahead;
            if (missing > Math.max(wait, EPSILON)) {
              wait = missing;
              worst = type === undefined ? scope : `${scope} ${type}`;
            }
          }
        }
        if (wait > 0) throw refuse(client, connection, { retryAfter: Math.ceil(wait - EPSILON), scope: worst }, now);
        // An anonymous client's `user` is its connection: a meter that stands there twice is charged once.
        for (let index = 0; index < scopes.length; index++) if (meters.indexOf(meters[index]!) === index) charge(meters[index]!, applicable, now);
        return next();
      };

      context.use({ type: 'message', name: 'rate-limit', handler: judge });
      const prefix = context.name.replaceAll('-', '_');
      const counter = (value: number, help: string) => ({ type: 'counter', help, value }) as const;
      context.metrics(() => ({
        [`${prefix}_refused_total`]: counter(counts.refused, 'Messages refused for their rate since start.'),
        [`${prefix}_muted_total`]: counter(counts.muted, 'Times a connection was muted for its rate since start.'),
        [`${prefix}_closed_total`]: counter(counts.closed, 'Connections closed for their rate since start.'),
        [`${prefix}_tracked`]: { type: 'gauge', help: 'Users and addresses whose rates are remembered now.', value: tables.user.size + tables.ip.size },
      }));
    },
  });
}

/** Makes the limits of a rate and adds them to those there are. */
function add(limits: Limit[], { maxPerSecond, maxPerMinute, burstSize }: { [K in keyof Rate]: Rate[K] | undefined }, type?: string): Limit[] {
  const own: Limit[] = [];
  const bucket = (interval: number, burst: number): void => {
    const limit = { slot: limits.length, interval, ahead: (Math.max(1, burst) - 1) * interval, type };
    limits.push(limit);
    own.push(limit);
  };
  if (maxPerSecond !== undefined) bucket(1_000 / maxPerSecond, burstSize ?? maxPerSecond);
  if (maxPerMinute !== undefined) bucket(60_000 / maxPerMinute, (maxPerSecond === undefined ? burstSize : undefined) ?? maxPerMinute);
  if (own.length > 0) return own;
  throw new ModuleError('OPTION_INVALID', { path: `rateLimit.types.${type}`, given: 'without either', expected: 'an object with "maxPerSecond" or "maxPerMinute"' });
}

const newMeter = (limits: readonly Limit[]): Meter => Array<number>(limits.length).fill(0);
const newClient = ({ ip }: Connection, meter: Meter): Client => ({ meter, key: customerKey(ip), refusals: 0, mutes: 0, refusedAt: 0, muted: undefined });

function charge(meter: Meter, limits: readonly Limit[], now: number): void {
  for (const { slot, interval } of limits) meter[slot] = Math.max(meter[slot]!, now) + interval;
}

/**
 * The meters of users, or of addresses, in two generations. Who is not met for as long as any bucket takes to fill is forgotten, and
 * nothing is lost by it; beyond the bound, also who has not been met for longest. No step goes through all of them.
 */
class Table {
  readonly #limits: readonly Limit[];
  readonly #half: number;
  readonly #refill: number;
  #recent = new Map<string, Meter>();
  #older = new Map<string, Meter>();
  #turnsAt = 0;

  constructor(limits: readonly Limit[], most: number) {
    this.#limits = limits;
    this.#half = most / 2;
    this.#refill = Math.max(...limits.map(({ interval, ahead }) => interval + ahead));
  }

  get size(): number { return this.#recent.size + this.#older.size; }

  meter(key: string, now: number): Meter {
    const recent = this.#recent.get(key);
    if (recent && now < this.#turnsAt) return recent;
    if (now >= this.#turnsAt || this.#recent.size >= this.#half) {
      this.#older = this.#recent;
      this.#recent = new Map();
      this.#turnsAt = now + this.#refill;
    }
    const meter = recent ?? this.#older.get(key) ?? newMeter(this.#limits);
    this.#older.delete(key);
    this.#recent.set(key, meter);
    return meter;
  }
}

/** Mutes: a promise that resolves when the time is over, or the plugin or the server goes; then nobody is muted any more. */
function muter(context: PluginContext, milliseconds: number): (ended: () => void) => Promise<void> | undefined {
  const endings = new Set<() => void>();
  // Nobody may wait for a plugin that is being unloaded: it would wait for them.
  let isOver = false;
  const endAll = (): void => {
    isOver = true;
    endings.forEach((end) => end());
  };
  context.signal.addEventListener('abort', endAll);
  // Nor for a mute, when the server is to stop.
  context.on('stopping', endAll);
  return (ended) => (isOver ? undefined : new Promise((resolve) => {
    const end = (): void => {
      endings.delete(end);
      ended();
      resolve();
    };
    endings.add(end);
    context.after(milliseconds, end);
  }));
}

rateLimit.rateLimit = rateLimit;
export { rateLimit as default, rateLimit as 'module.exports' };
