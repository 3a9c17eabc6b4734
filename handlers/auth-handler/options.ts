import type { KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { check, ModuleError, rules, type Rules } from '../../src/index.ts';
import { ALGORITHMS, keyOf, type Algorithm, type VerificationKey } from './key.ts';

/** What an application says of a token: the user's fields, or nothing to refuse it. */
export type Answer = object | false | null | undefined;

interface Fields {
  /** The secret, or the public key in PEM, that tokens are verified with. */
  readonly jwtSecret?: string | Uint8Array | KeyObject;
  /** Algorithms that are accepted, all of one family. @default ['HS256'] with a secret; a public key needs them named */
  readonly algorithms?: readonly Algorithm[];
  /** Issuers that are accepted, by `iss`. @default any */
  readonly issuer?: string | readonly string[];
  /** Audiences that are ours, by `aud`. @default any */
  readonly audience?: string | readonly string[];
  /**
   * Says whose token it is. With `jwtSecret` it is asked after the token was verified, and what it answers comes on top.
   * The request is undefined where the token came in a message.
   */
  readonly authenticate?: (token: string, request: IncomingMessage | undefined) => Answer | Promise<Answer>;
  /** Whether clients without a token may connect. @default the opposite of `requireAuth` */
  readonly allowAnonymous?: boolean;
  /** Whether every client must say who it is; with `allowAnonymous`, by a first message. @default the opposite of `allowAnonymous` */
  readonly requireAuth?: boolean;
  /** Whether a token without `exp` is refused. @default true, with `authenticate` alone false */
  readonly requireExpiry?: boolean;
  /** Milliseconds by which clocks may differ, at most 60,000. @default 0 */
  readonly clockTolerance?: number;
  /** Milliseconds for the first `auth` message. @default 10_000 */
  readonly authTimeout?: number;
  /** The cookie that holds a token, or false to read none. @default 'token' */
  readonly cookie?: string | false;
  /** Whether a token may come in the query, as `token`. @default true */
  readonly query?: boolean;
  /** Milliseconds that tokens live at most; a revocation is remembered as long, or as the longest token seen. @default 86_400_000 */
  readonly tokenLife?: number;
  /** Revocations that are remembered; beyond, the oldest is forgotten, with a warning. @default 100_000 */
  readonly maxRevocations?: number;
}

/** Either `jwtSecret` or `authenticate` must be there, or both. */
export type AuthOptions = Fields & (Required<Pick<Fields, 'jwtSecret'>> | Required<Pick<Fields, 'authenticate'>>);

/** Every default that does not depend on another option. */
export const AUTH_DEFAULTS = {
  clockTolerance: 0,
  authTimeout: 10_000,
  cookie: 'token',
  query: true,
  tokenLife: 86_400_000,
  maxRevocations: 100_000,
} as const satisfies Fields;

/** Options with every default in place. */
export interface AuthSettings extends Required<Pick<Fields, keyof typeof AUTH_DEFAULTS | 'allowAnonymous' | 'requireAuth' | 'requireExpiry'>> {
  /** How a JWT is verified; undefined where the application alone says whose a token is. */
  readonly jwt: (VerificationKey & Pick<Fields, 'issuer' | 'audience'>) | undefined;
  readonly authenticate: Fields['authenticate'] | undefined;
}

const isName = (value: unknown): boolean => typeof value === 'string' && value !== '';
// An empty list or string would be no check at all to jsonwebtoken.
const names = rules.rule('a string, or a list of strings, none of them empty', (value) => isName(value) || (Array.isArray(value) && value.length > 0 && value.every(isName)));

export const AUTH_RULES: Rules<Fields> = {
  // Checked by keyOf(), whose error does not show it.
  jwtSecret: rules.rule('a secret', () => true),
  algorithms: rules.rule(`a list of ${ALGORITHMS.join(', ')}`, (value) => Array.isArray(value) && value.length > 0 && value.every((name) => ALGORITHMS.includes(name))),
  issuer: names,
  audience: names,
  authenticate: rules.callback,
  allowAnonymous: rules.boolean,
  requireAuth: rules.boolean,
  requireExpiry: rules.boolean,
  clockTolerance: rules.integer(0, 60_000),
  authTimeout: rules.duration,
  // RFC 6265 4.1.1: a cookie's name is a token.
  cookie: rules.rule('false, or the name of a cookie', (value) => value === false || (typeof value === 'string' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/.test(value))),
  query: rules.boolean,
  tokenLife: rules.integer(1, Number.MAX_SAFE_INTEGER),
  maxRevocations: rules.integer(1, 10_000_000),
};

/** The options checked, with defaults. @throws OPTION_INVALID, OPTION_UNKNOWN */
export function resolveAuthOptions(options: AuthOptions): AuthSettings {
  const given: Fields = check<Fields>(options, AUTH_RULES, 'auth');
  const { jwtSecret, algorithms, issuer, audience, authenticate, ...rest } = given;
  const hasKey = jwtSecret !== undefined || !authenticate;
  for (const name of ['algorithms', 'issuer', 'audience'] as const) {
    // Without a key nobody would look at it: a limit must not be off in silence.
    if (!hasKey && given[name] !== undefined) {
      throw new ModuleError('OPTION_INVALID', { path: `auth.${name}`, given: String(given[name]), expected: 'left out, unless "jwtSecret" is given' });
    }
  }
  const { requireAuth = !(rest.allowAnonymous ?? false), allowAnonymous = !requireAuth, requireExpiry = hasKey } = rest;
  if (!requireAuth && !allowAnonymous) {
    throw new ModuleError('OPTION_INVALID', { path: 'auth.requireAuth', given: 'false', expected: 'true where "allowAnonymous" is false' });
  }
  const jwt = hasKey ? { ...keyOf(jwtSecret, algorithms), ...(issuer && { issuer }), ...(audience && { audience }) } : undefined;
  return Object.freeze({ ...AUTH_DEFAULTS, ...rest, requireAuth, allowAnonymous, requireExpiry, authenticate, jwt });
}
