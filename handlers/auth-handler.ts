import type { IncomingMessage } from 'node:http';
import { definePlugin, describe, isRecord, ModuleError, toError, type Connection, type Message, type Metadata, type Peer, type Plugin, type User } from '../src/index.ts';
import { requireAuth, requireRole } from './auth-handler/guards.ts';
import { resolveAuthOptions, type AuthOptions, type AuthSettings } from './auth-handler/options.ts';
import { redact } from './auth-handler/redact.ts';
import { Revocations } from './auth-handler/revocations.ts';
import { part, Sessions, type Client } from './auth-handler/sessions.ts';
import { onceClosed, standalone, type AuthHost } from './auth-handler/standalone.ts';
import { tokenIn, tokenOf } from './auth-handler/token.ts';
import { userOf } from './auth-handler/user.ts';
import { assertToken, checkExpiry, verifyJwt } from './auth-handler/verify.ts';

export type { Algorithm } from './auth-handler/key.ts';
export type { GuardOptions } from './auth-handler/guards.ts';
export type { Answer, AuthOptions } from './auth-handler/options.ts';
export type { Client } from './auth-handler/sessions.ts';
export type { AuthHost } from './auth-handler/standalone.ts';

export interface AuthApi {
  /** Who sends a token. @throws TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED */
  verify(token: string, request?: IncomingMessage): Promise<User>;
  /** Closes the connections of a user, or of a token by its `jti`, with 4001, and refuses its tokens from now on. Returns how many were closed. */
  revoke(id: string): number;
}
declare module '../src/index.ts' { interface PluginApis { auth: AuthApi } }

/**
 * Says who a client is, by its token. In a connection layer of your own it verifies, and parts with a client at its token's
 * `exp`; what needs messages (a first `auth` message, renewal) only the plugin `auth()` can do.
 *
 * @example
 * const authHandler = new AuthHandler({ jwtSecret });
 * manager.use({ type: 'connection', handler: (ws, req, metadata) => authHandler.authenticateConnection(ws, req, metadata) });
 */
export class AuthHandler {
  // For `const { auth, requireRole } = require('websocket-module/handlers/AuthHandler')`.
  static readonly AuthHandler: typeof AuthHandler = AuthHandler;
  static readonly auth = auth;
  static readonly requireAuth = requireAuth;
  static readonly requireRole = requireRole;

  readonly #settings: AuthSettings;
  readonly #host: AuthHost;
  readonly #revocations: Revocations;
  readonly #sessions: Sessions;
  /** Who sent a request, so that its token is verified once, in whichever phase is first. */
  readonly #known = new WeakMap<IncomingMessage, User>();

  /** @throws OPTION_INVALID, OPTION_UNKNOWN */
  constructor(options: AuthOptions, host: AuthHost = standalone) {
    this.#settings = resolveAuthOptions(options);
    this.#host = host;
    this.#revocations = new Revocations(this.#settings.maxRevocations, this.#settings.tokenLife);
    this.#sessions = new Sessions(host.after, this.#settings.clockTolerance);
    if (this.#settings.jwt?.weakness) host.warn(this.#settings.jwt.weakness);
  }

  /** How much it remembers. */
  get size(): { readonly sessions: number; readonly revocations: number } {
    return { sessions: this.#sessions.size, revocations: this.#revocations.size };
  }

  /** Who sends a token. @throws TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED */
  async verify(token: unknown, request?: IncomingMessage): Promise<User> {
    assertToken(token);
    const { jwt, authenticate, clockTolerance } = this.#settings;
    const claims = jwt ? verifyJwt(token, jwt, clockTolerance) : {};
    if (jwt) checkExpiry(claims.exp, this.#settings);
    const answer = authenticate ? await this.#ask(authenticate, token, request) : undefined;
    const user = userOf(claims, answer);
    if (!user) throw new ModuleError('TOKEN_INVALID', { reason: 'it names no user' });
    // Again, and not before: the application took its time, and may have named an end of its own.
    checkExpiry(user.exp, this.#settings);
    if (this.#revocations.has(user)) throw new ModuleError('TOKEN_REVOKED');
    this.#revocations.saw(user, clockTolerance);
    return user;
  }

  async #ask(authenticate: NonNullable<AuthSettings['authenticate']>, token: string, request: IncomingMessage | undefined): Promise<Record<string, unknown>> {
    let answer: unknown;
    try {
      answer = await authenticate(token, request);
    } catch (cause) {
      this.#host.failed(redact(toError(cause), token));
      throw new ModuleError('TOKEN_INVALID', { reason: 'it could not be checked' }, { cause });
    }
    if (!isRecord(answer)) throw new ModuleError('TOKEN_INVALID', { reason: 'it was refused' });
    return answer;
  }

  /** Who sends a request; undefined where it carries no token. @throws TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED */
  async authenticateRequest(request: IncomingMessage): Promise<User | undefined> {
    const known = this.#known.get(request);
    const token = known ? undefined : tokenOf(request, this.#settings);
    if (token === undefined) return known;
    const user = await this.verify(token, request);
    this.#known.set(request, user);
    return user;
  }

  /**
   * What a connection layer returns: the user, or nothing for an anonymous client. Later it parts with the client when its
   * token ends or is revoked, provided that the socket tells when it closes, as one of `ws` does.
   * @throws AUTH_REQUIRED, TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED
   */
  async authenticateConnection(ws: Peer, request: IncomingMessage, _metadata?: Metadata): Promise<{ readonly user: User } | undefined> {
    const user = await this.authenticateRequest(request);
    // Alone it sees no messages, so it cannot wait for a first one that says who this is.
    if (!user && this.#settings.requireAuth) throw new ModuleError('AUTH_REQUIRED');
    if (!user) return undefined;
    if (onceClosed(ws, () => this.forget(ws))) this.keep(ws, user);
    return { user };
  }

  /** Parts with a client when its user's token ends or is revoked. Whoever calls it calls `forget` when the client is gone. */
  keep(client: Client, user: User): void {
    if (this.#revocations.has(user)) part(client, new ModuleError('TOKEN_REVOKED'));
    else this.#sessions.keep(client, user);
  }

  forget(client: Client): void {
    this.#sessions.forget(client);
  }

  /**
   * Parts with the clients of a user, or of a token by its `jti`, and refuses its tokens from now on. A user may come back
   * with a token that was issued in a later second. On this node only.
   * @returns how many clients it parted with
   */
  revoke(id: string): number {
    if (typeof id !== 'string' || id === '') throw new ModuleError('OPTION_INVALID', { path: 'revoke(id)', given: describe(id), expected: 'the id of a user, or the jti of a token' });
    const theirs = this.#sessions.of(id);
    const forgotten = this.#revocations.add(id, theirs.map(([, user]) => user));
    if (forgotten) this.#host.warn(`more than ${this.#settings.maxRevocations} revocations; the oldest is forgotten, and its tokens pass again. Raise maxRevocations`);
    for (const [client] of theirs) part(client, new ModuleError('TOKEN_REVOKED'));
    return theirs.length;
  }
}

/**
 * Who clients are: by a token in the upgrade request, or in a first message `{ type: 'auth', token }`; renewed in band with
 * `auth:refresh`. A client whose token ends is closed with 4001.
 *
 * @example manager.use(auth({ jwtSecret, issuer: 'https://login.example.com' }))
 */
export function auth(options: AuthOptions): Plugin<'auth', never, AuthApi> {
  // Now, so that a wrong option is an error of the line that gives it.
  const { requireAuth: isRequired, allowAnonymous, authTimeout } = resolveAuthOptions(options);
  return definePlugin({
    name: 'auth',
    setup(context): AuthApi {
      const { node, log } = context;
      const handler = new AuthHandler(options, {
        after: (milliseconds, work) => context.after(milliseconds, work),
        warn: (text) => log.warn(text),
        failed: (error) => context.emit('error', error, { phase: 'plugin', plugin: 'auth' }),
      });
      /** Who has not said yet who they are, and must. */
      const waiting = new Map<Connection, () => void>();

      const wait = (connection: Connection): void => {
        if (!isRequired || connection.user) return;
        const late = new ModuleError('AUTH_TIMEOUT', { timeout: authTimeout });
        // Who may be anybody gets nothing that is meant for everybody here.
        node.hold(connection, true);
        waiting.set(connection, context.after(authTimeout, () => part(connection, late)));
      };
      const waitNoMore = (connection: Connection): void => {
        waiting.get(connection)?.();
        waiting.delete(connection);
      };
      const known = (connection: Connection): void => {
        if (waiting.has(connection)) node.hold(connection, false);
        waitNoMore(connection);
        if (connection.user) handler.keep(connection, connection.user);
      };
      const admit = async (request: IncomingMessage): Promise<{ readonly user: User } | undefined> => {
        const user = await handler.authenticateRequest(request);
        if (!user && !allowAnonymous) throw new ModuleError('AUTH_REQUIRED');
        return user && { user };
      };
      const identify = async (message: Message, connection: Connection): Promise<object | undefined> => {
        const user = await handler.verify(tokenIn(message));
        // It may have left while the application was asked, or have been told that this took too long.
        if (!connection.isOpen || message.isAnswered) return undefined;
        node.identify(connection, user);
        const { id, username, roles, exp } = user;
        return { user: { id, ...(typeof username === 'string' && { username }), roles }, ...(typeof exp === 'number' && { expiresAt: new Date(exp * 1_000).toISOString() }) };
      };

      context.on('connection:identified', known);
      context.on('connection:added', wait);
      context.on('connection:removed', (connection) => {
        waitNoMore(connection);
        handler.forget(connection);
      });
      context.use({ type: 'upgrade', name: 'auth', async handler(request) { await admit(request); } });
      context.use({ type: 'connection', name: 'auth', handler: (_ws, request) => admit(request) });
      if (isRequired) context.use({ ...requireAuth(), name: 'auth' });
      context.registerHandler('auth', identify, { raw: true });
      context.registerHandler('auth:refresh', (message, connection) => {
        if (!connection.user) throw new ModuleError('AUTH_REQUIRED');
        return identify(message, connection);
      }, { raw: true });
      context.metrics(() => ({
        auth_connections: { type: 'gauge', help: 'Connections that belong to a user.', value: handler.size.sessions },
        auth_waiting: { type: 'gauge', help: 'Connections that have yet to say whose they are.', value: waiting.size },
        auth_revocations: { type: 'gauge', help: 'Users and tokens that are refused.', value: handler.size.revocations },
      }));
      context.onUnload(() => { for (const connection of waiting.keys()) node.hold(connection, false); });
      // Who came before it was loaded is held to it as well.
      for (const connection of node.connections.values()) (connection.user ? known : wait)(connection);
      return { verify: (token, request) => handler.verify(token, request), revoke: (id) => handler.revoke(id) };
    },
  });
}

export { requireAuth, requireRole, AuthHandler as default, AuthHandler as 'module.exports' };
