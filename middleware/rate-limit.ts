import {
  byType, canonical, check, definePlugin, ModuleError, RateMeter, rules, type MessageLayer, type Plugin,
} from '../src/index.ts';
import { Budgets } from './rate-limit/budgets.ts';
import type { Limit, RateLimitScope } from './rate-limit/limit.ts';
import { Penalties } from './rate-limit/penalties.ts';
import { SharedTokens } from './rate-limit/shared-tokens.ts';

export type { RateLimitScope } from './rate-limit/limit.ts';

/** How many messages are accepted, by token buckets: each message takes a token. */
export interface Rate {
  /** Messages per second, on average; `0.5` is one in two seconds. */
  readonly maxPerSecond?: number | undefined;
  /** Messages per minute, on average; also all at once, unless `maxPerSecond` or `burstSize` is lower. */
  readonly maxPerMinute?: number | undefined;
  /** Messages that may arrive at once. @default maxPerSecond */
  readonly burstSize?: number | undefined;
}

export interface RateLimitOptions extends Rate {
  /** Messages per second, when `maxPerMinute` is not given either. @default 100 */
  readonly maxPerSecond?: number | undefined;
  /** Bytes per second, on average, after decompression; `false` for no limit. @default 262_144 */
  readonly maxBytesPerSecond?: number | false | undefined;
  /** Bytes that may arrive at once. @default 4 * maxBytesPerSecond */
  readonly burstBytes?: number | undefined;
  /**
   * Which messages are counted together: one scope, or several, whose limits all apply. Under `user`, an anonymous
   * client counts by its connection, and so does a client without a known address under `ip`.
   *
   * @default 'connection'
   */
  readonly by?: RateLimitScope | readonly RateLimitScope[] | undefined;
  /** Rates of message types, in addition to the general one. @default {} */
  readonly types?: Readonly<Record<string, Rate>> | undefined;
  /** Rejections after which a connection is muted. @default 10 */
  readonly muteAfter?: number | undefined;
  /** Milliseconds for which a muted connection is not read; `0` for no mutes. @default 250 */
  readonly muteFor?: number | undefined;
  /** Mutes after which the connection is closed with 4129 instead, or `false` for never. @default 3 */
  readonly closeAfter?: number | false | undefined;
  /** Users, and addresses, whose buckets are tracked. Further ones are rejected. @default 100_000 */
  readonly maxTracked?: number | undefined;
}

const COUNT = rules.number(0.001, 1_000_000);
const RATE = { maxPerSecond: COUNT, maxPerMinute: COUNT, burstSize: rules.integer(1, 1_000_000) };
const SCOPE = rules.oneOf('connection', 'user', 'ip');
const FALSE = rules.rule('false', (value) => value === false);
const SCOPES = rules.rule('a list of these', (value) =>
  Array.isArray(value) && value.length > 0 && value.every((item) => SCOPE.test(item)));
const RULES = {
  ...RATE,
  maxBytesPerSecond: rules.either(rules.integer(1, 2 ** 31 - 1), FALSE),
  burstBytes: rules.bytes,
  by: rules.either(SCOPE, SCOPES),
  types: rules.group({ each: rules.group({ fields: RATE }) }),
  muteAfter: rules.integer(1, 1_000_000),
  muteFor: rules.integer(0, 600_000),
  closeAfter: rules.either(rules.integer(0, 1_000_000), FALSE),
  maxTracked: rules.integer(1, 10_000_000),
};

/**
 * Rejects messages over a rate, in messages and in bytes, before they are parsed, with RATE_LIMITED and `retryAfter` in
 * milliseconds. A client that does not slow down is muted, and the last answer says so: the server does not read it for
 * a time, so that its messages wait at the client, and none is lost. After several mutes it is closed with 4129.
 *
 * @example manager.use(rateLimit({ maxPerSecond: 20, burstSize: 40, types: { search: { maxPerMinute: 10 } } }));
 */
export function rateLimit(options: RateLimitOptions = {}): Plugin<'rate-limit'> {
  const given = check(options, RULES, 'rateLimit');
  const { by = 'connection', types = {}, maxTracked = 100_000 } = given;
  const { muteAfter = 10, muteFor = 250, closeAfter = 3 } = given;
  const { maxPerMinute, maxPerSecond = maxPerMinute === undefined ? 100 : undefined, burstSize } = given;
  const { maxBytesPerSecond = 262_144, burstBytes = 4 * Number(maxBytesPerSecond) } = given;
  if (maxBytesPerSecond === false && given.burstBytes !== undefined) {
    const expected = 'given with "maxBytesPerSecond"';
    throw new ModuleError('OPTION_INVALID', { path: 'rateLimit.burstBytes', given: 'given alone', expected });
  }
  const scopes = [...new Set(typeof by === 'string' ? [by] : by)];
  /** All limits, by slot. */
  const limits: Limit[] = [];
  const limit = (meter: RateMeter, unit: Limit['unit'], label: string): Limit => {
    const made = { meter, slot: limits.length, unit, label };
    limits.push(made);
    return made;
  };
  const perMessage = metersOf({ maxPerSecond, maxPerMinute, burstSize }).map((meter) => limit(meter, 'messages', ''));
  const general = maxBytesPerSecond === false ? perMessage : [
    ...perMessage,
    limit(new RateMeter({ count: maxBytesPerSecond, per: 1_000, burst: burstBytes }), 'bytes', ' bytes'),
  ];
  const limitsOf = new Map([...byType(types, 'rateLimit.types')].map(([type, rate]) =>
    [type, metersOf(rate, type).map((meter) => limit(meter, 'messages', ` ${type}`))]));

  return definePlugin({
    name: 'rate-limit',
    setup(context) {
      const { store } = context;
      const isShared = store !== undefined && scopes.some((scope) => scope !== 'connection');
      const shared = isShared ? new SharedTokens(context, store, limits, maxTracked) : undefined;
      const budgets = new Budgets(scopes, limits.length, maxTracked, shared);
      const penalties = new Penalties(context, { muteAfter, muteFor, closeAfter });

      context.guardFrames({
        charge(connection, bytes) {
          // Unloading waits for earlier messages, so these must pass.
          if (context.signal.aborted) return undefined;
          const muted = penalties.muteOf(connection);
          if (muted) return muted;
          const now = performance.now();
          const shortage = budgets.take(connection, general, bytes, now);
          return shortage && penalties.refuse(connection, shortage, now);
        },
        refund: (connection, bytes) => budgets.giveBack(connection, general, bytes),
      });

      // The type is only known after a message is parsed.
      const limitType: MessageLayer['handler'] = (message, connection, next) => {
        const own = limitsOf.get(canonical(message.type));
        if (!own || context.signal.aborted) return next();
        const muted = penalties.muteOf(connection);
        if (muted) return muted.then(() => limitType(message, connection, next));
        const now = performance.now();
        const shortage = budgets.take(connection, own, 0, now);
        if (!shortage) return next();
        // A rejected message takes no token. Its bytes stay charged, because they were parsed.
        budgets.giveBack(connection, perMessage, 0);
        throw penalties.refuse(connection, shortage, now);
      };
      if (limitsOf.size > 0) context.use({ type: 'message', name: 'rate-limit', handler: limitType });

      const prefix = context.name.replaceAll('-', '_');
      const counter = (value: number, help: string) => ({ type: 'counter', help, value }) as const;
      const gauge = (value: number, help: string) => ({ type: 'gauge', help, value }) as const;
      context.metrics(() => {
        const { counts: { refused, muted, closed } } = penalties;
        return {
          [`${prefix}_refused_total`]: counter(refused, 'Number of messages rejected by the rate limit.'),
          [`${prefix}_muted_total`]: counter(muted, 'Number of mutes of connections.'),
          [`${prefix}_closed_total`]: counter(closed, 'Number of connections closed by the rate limit.'),
          [`${prefix}_tracked`]: gauge(budgets.tracked, 'Number of users and addresses whose rates are tracked.'),
        };
      });
    },
  });
}

/** The meters of a rate, one or two. @param type the message type of the rate */
function metersOf({ maxPerSecond, maxPerMinute, burstSize }: Partial<Unset<Rate>>, type = ''): RateMeter[] {
  const meters: RateMeter[] = [];
  if (maxPerSecond !== undefined) meters.push(new RateMeter({ count: maxPerSecond, per: 1_000, burst: burstSize }));
  const burst = maxPerSecond === undefined ? burstSize : undefined;
  if (maxPerMinute !== undefined) meters.push(new RateMeter({ count: maxPerMinute, per: 60_000, burst }));
  if (meters.length > 0) return meters;
  const expected = 'an object with "maxPerSecond" or "maxPerMinute"';
  throw new ModuleError('OPTION_INVALID', { path: `rateLimit.types.${type}`, given: 'without either', expected });
}

type Unset<T> = { readonly [K in keyof T]: T[K] | undefined };

rateLimit.rateLimit = rateLimit;
export { rateLimit as default, rateLimit as 'module.exports' };
