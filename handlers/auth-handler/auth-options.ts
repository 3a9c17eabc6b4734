import type { KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { check, isRecord, ModuleError, rules, type Rules } from '../../src/index.ts';
import { ALGORITHMS, verificationKey, type Algorithm, type VerificationKey } from './verification-key.ts';

/** What `authenticate` returns: the fields of the user, or nothing to refuse the token. */
export type Answer = object | false | null | undefined;

type Authenticate = (token: string, request: IncomingMessage | undefined) => Answer | Promise<Answer>;

interface Fields {
  /** The secret, or the public key in PEM, that tokens are verified with. */
  readonly jwtSecret?: string | Uint8Array | KeyObject | undefined;
  /** Accepted algorithms, all of one family. @default ['HS256'] with a secret; required with a public key */
  readonly algorithms?: readonly Algorithm[] | undefined;
  /** Accepted issuers (`iss`). @default any */
  readonly issuer?: string | readonly string[] | undefined;
  /** Accepted audiences (`aud`). @default any */
  readonly audience?: string | readonly string[] | undefined;
  /**
   * Returns the user of a token. With `jwtSecret` it is called after the token was verified, and the fields that it
   * returns replace the claims. The request is undefined if the token was sent in a message.
   */
  readonly authenticate?: Authenticate | undefined;
  /** Whether clients without a token may connect. @default the opposite of `requireAuth` */
  readonly allowAnonymous?: boolean | undefined;
  /**
   * Whether every client must authenticate; with `allowAnonymous`, by a first message.
   * @default the opposite of `allowAnonymous`
   */
  readonly requireAuth?: boolean | undefined;
  /** Whether a token without `exp` is refused. @default true, with `authenticate` alone false */
  readonly requireExpiry?: boolean | undefined;
  /** Milliseconds by which clocks may differ, at most 60,000. @default 0 */
  readonly clockTolerance?: number | undefined;
  /** Milliseconds within which a client without a token must send a valid `auth` message. @default 10_000 */
  readonly authTimeout?: number | undefined;
  /** The cookie that holds a token, or `false` for none. @default 'token' */
  readonly cookie?: string | false | undefined;
  /** Whether the query may carry a token, as `token`. @default true */
  readonly query?: boolean | undefined;
  /**
   * The longest lifetime of a token, in milliseconds. A revocation is kept for this time, or for the longest lifetime
   * of a token that was accepted.
   * @default 86_400_000
   */
  readonly tokenLife?: number | undefined;
  /** Revocations that are kept. Further ones are refused with REVOCATIONS_FULL. @default 100_000 */
  readonly maxRevocations?: number | undefined;
}

/**
 * `jwtSecret` or `authenticate` must be given, or both. An undefined secret is refused: the environment variable may be
 * missing.
 */
export type AuthOptions = Fields & (
  | { readonly jwtSecret: Fields['jwtSecret'] }
  | { readonly authenticate: Authenticate }
);

/** The defaults that do not depend on another option. */
export const AUTH_DEFAULTS = {
  clockTolerance: 0,
  authTimeout: 10_000,
  cookie: 'token',
  query: true,
  tokenLife: 86_400_000,
  maxRevocations: 100_000,
} as const satisfies Fields;

type Settled = keyof typeof AUTH_DEFAULTS | 'allowAnonymous' | 'requireAuth' | 'requireExpiry';

/** The options with every default. */
export interface AuthSettings extends Readonly<{ [K in Settled]: NonNullable<Fields[K]> }> {
  /** How a JWT is verified; undefined if `authenticate` alone verifies tokens. */
  readonly jwt: (VerificationKey & Pick<Fields, 'issuer' | 'audience'>) | undefined;
  readonly authenticate: Fields['authenticate'];
}

const { boolean, callback, duration, integer, rule } = rules;
const isName = (value: unknown): boolean => typeof value === 'string' && value !== '';
const isList = (value: unknown, test: (item: any) => boolean): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(test);
// With an empty list or string, jsonwebtoken would check nothing.
const names = rule(
  'a string, or a list of strings, none of them empty',
  (value) => isName(value) || isList(value, isName),
);
// RFC 6265 4.1.1: a cookie's name is a token.
const COOKIE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/;

export const AUTH_RULES: Rules<Fields> = {
  // verificationKey() checks it, with an error that does not show it.
  jwtSecret: rule('a secret', () => true),
  algorithms: rule(`a list of ${ALGORITHMS.join(', ')}`, (value) => isList(value, (name) => ALGORITHMS.includes(name))),
  issuer: names,
  audience: names,
  authenticate: callback,
  allowAnonymous: boolean,
  requireAuth: boolean,
  requireExpiry: boolean,
  clockTolerance: integer(0, 60_000),
  authTimeout: duration,
  cookie: rule(
    'false, or the name of a cookie',
    (value) => value === false || (typeof value === 'string' && COOKIE.test(value)),
  ),
  query: boolean,
  tokenLife: integer(1, Number.MAX_SAFE_INTEGER),
  maxRevocations: integer(1, 10_000_000),
};

/** Names of these options in other libraries that are not similar enough to be suggested otherwise. */
const ALIASES: Readonly<Record<string, keyof Fields>> = {
  secret: 'jwtSecret', secretOrKey: 'jwtSecret', key: 'jwtSecret', publicKey: 'jwtSecret', privateKey: 'jwtSecret',
  verify: 'authenticate', verifyToken: 'authenticate', validate: 'authenticate', getUser: 'authenticate',
  required: 'requireAuth', anonymous: 'allowAnonymous', timeout: 'authTimeout', expiresIn: 'tokenLife',
  iss: 'issuer', aud: 'audience',
};

/** The options checked, with defaults. @throws OPTION_INVALID, OPTION_UNKNOWN */
export function resolveAuthOptions(options: AuthOptions | undefined): AuthSettings {
  // `use('auth')` passes no options.
  const given = check<Fields>(known(options ?? {}), AUTH_RULES, 'auth');
  const { jwtSecret, algorithms, issuer, audience, authenticate, ...rest } = given;
  const hasKey = jwtSecret !== undefined || !authenticate;
  for (const name of ['algorithms', 'issuer', 'audience'] as const) {
    // Without a key it would not be checked: a check must not be off silently.
    if (!hasKey && given[name] !== undefined) {
      const expected = 'left out, unless "jwtSecret" is given';
      throw new ModuleError('OPTION_INVALID', { path: `auth.${name}`, given: String(given[name]), expected });
    }
  }
  const { requireAuth = !(rest.allowAnonymous ?? false), allowAnonymous = !requireAuth, requireExpiry = hasKey } = rest;
  if (!requireAuth && !allowAnonymous) {
    const expected = 'true, because "allowAnonymous" is false';
    throw new ModuleError('OPTION_INVALID', { path: 'auth.requireAuth', given: 'false', expected });
  }
  const claims = { ...(issuer && { issuer }), ...(audience && { audience }) };
  const jwt = hasKey ? { ...verificationKey(jwtSecret, algorithms), ...claims } : undefined;
  const settings = { ...AUTH_DEFAULTS, ...rest, requireAuth, allowAnonymous, requireExpiry, authenticate, jwt };
  return Object.freeze(settings as AuthSettings);
}

/** Refuses option names of other libraries. @throws OPTION_UNKNOWN */
function known(options: Fields): Fields {
  const alias = isRecord(options) ? Object.keys(options).find((name) => Object.hasOwn(ALIASES, name)) : undefined;
  if (alias === undefined) return options;
  throw new ModuleError('OPTION_UNKNOWN', { path: `auth.${alias}`, nearest: `auth.${ALIASES[alias]!}` });
}
