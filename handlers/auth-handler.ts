import type { IncomingMessage } from 'node:http';
import {
  definePlugin, describe, isRecord, ModuleError, publicProfile, toError,
  type Connection, type Message, type Metadata, type Peer, type Plugin, type User,
} from '../src/index.ts';
import { authHandlers, requireAuth, requireRole } from './auth-handler/auth-guards.ts';
import { onceClosed, standaloneHost, type AuthHost } from './auth-handler/auth-host.ts';
import { resolveAuthOptions, type AuthOptions, type AuthSettings } from './auth-handler/auth-options.ts';
import { claimedUser, fieldsOf, issuedAt } from './auth-handler/claimed-user.ts';
import { ClientDeadlines, closeWithError, type Client } from './auth-handler/client-deadlines.ts';
import { redactToken } from './auth-handler/redact-token.ts';
import { Revocations, type SharedRevocation } from './auth-handler/revocations.ts';
import { shareRevocations } from './auth-handler/shared-revocations.ts';
import { TokenSessions } from './auth-handler/token-sessions.ts';
import { tokenIn, tokenOf } from './auth-handler/token-sources.ts';
import { assertToken, checkExpiry, verifyJwt, type Claims } from './auth-handler/verify-jwt.ts';

export type { GuardOptions } from './auth-handler/auth-guards.ts';
export type { AuthHost } from './auth-handler/auth-host.ts';
export type { Answer, AuthOptions } from './auth-handler/auth-options.ts';
export type { Client } from './auth-handler/client-deadlines.ts';
export type { Algorithm } from './auth-handler/verification-key.ts';

export interface AuthApi {
  /** The user of a token. @throws TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED, USER_ID_RESERVED */
  verify(token: string, request?: IncomingMessage): Promise<User>;
  /**
   * Closes the connections of a user, or of a token by its `jti`, with 4001, and refuses these tokens from now on, on
   * all nodes.
   * @returns how many connections of this node were closed
   * @throws REVOCATIONS_FULL if there are `maxRevocations`: the connections are closed, but the tokens stay valid
   */
  revoke(id: string): number;
}
declare module '../src/index.ts' { interface PluginApis { auth: AuthApi } }

type Authenticate = NonNullable<AuthSettings['authenticate']>;
/** What a connection layer returns: the user, or nothing for an anonymous client. */
type Authenticated = { readonly user: User } | undefined;

/**
 * Verifies tokens. In a connection layer of your own it returns the user of a request, and closes the connection at the
 * token's `exp`. Authentication by message, and renewal, need the plugin `auth()`.
 *
 * @example
 * const authHandler = new AuthHandler({ jwtSecret });
 * manager.use({ type: 'connection', handler: (ws, request) => authHandler.authenticateConnection(ws, request) });
 */
export class AuthHandler {
  // For `const { auth, requireRole } = require('websocket-module/handlers/AuthHandler')`.
  static readonly AuthHandler: typeof AuthHandler = AuthHandler;
  static readonly auth = auth;
  static readonly requireAuth = requireAuth;
  static readonly requireRole = requireRole;

  /** Closes clients that did not authenticate in time. */
  readonly deadlines: ClientDeadlines;
  readonly #settings: AuthSettings;
  readonly #host: AuthHost;
  readonly #revocations: Revocations;
  readonly #sessions: TokenSessions;
  /** The user of each request, so that the phases of a handshake verify its token only once. */
  readonly #users = new WeakMap<IncomingMessage, User>();

  /** @throws OPTION_INVALID, OPTION_UNKNOWN */
  constructor(options: AuthOptions, host: AuthHost = standaloneHost) {
    const settings = (this.#settings = resolveAuthOptions(options));
    this.#host = host;
    this.deadlines = new ClientDeadlines(host.after, settings.authTimeout);
    this.#revocations = new Revocations(settings.maxRevocations, settings.tokenLife);
    this.#sessions = new TokenSessions(this.deadlines, settings.clockTolerance);
    if (settings.jwt?.weakness) host.warn(settings.jwt.weakness);
  }

  /** Number of sessions and revocations. */
  get size(): { readonly sessions: number; readonly revocations: number } {
    return { sessions: this.#sessions.size, revocations: this.#revocations.size };
  }

  /** The user of a token. @throws TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED */
  async verify(token: unknown, request?: IncomingMessage): Promise<User> {
    assertToken(token);
    const { jwt, authenticate, clockTolerance } = this.#settings;
    const claims = jwt ? verifyJwt(token, jwt, clockTolerance) : {};
    if (jwt) checkExpiry(claims.exp, this.#settings);
    const answer = authenticate ? await this.#ask(authenticate, token, request) : undefined;
    const user = claimedUser(claims, answer);
    // Checked again, because time has passed, and `authenticate` may have returned an `exp`.
    checkExpiry(user.exp, this.#settings);
    if (this.#revocations.has(user)) throw new ModuleError('TOKEN_REVOKED');
    this.#revocations.updateLifetime(user, clockTolerance);
    return user;
  }

  async #ask(authenticate: Authenticate, token: string, request: IncomingMessage | undefined): Promise<Claims> {
    let answer: unknown;
    try {
      answer = await authenticate(token, request);
      if (isRecord(answer)) return fieldsOf(answer);
    } catch (cause) {
      this.#host.failed(redactToken(toError(cause), token));
      throw new ModuleError('TOKEN_INVALID', { reason: 'it could not be checked' }, { cause });
    }
    throw new ModuleError('TOKEN_INVALID', { reason: 'it was refused' });
  }

  /** The user of a request; undefined without a token. @throws TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED */
  async authenticateRequest(request: IncomingMessage): Promise<User | undefined> {
    const known = this.#users.get(request);
    const token = known ? undefined : tokenOf(request, this.#settings);
    if (token === undefined) return known;
    const user = await this.verify(token, request);
    this.#users.set(request, user);
    return user;
  }

  /**
   * The result for a connection layer: the user, or nothing for an anonymous client. The client is closed when its
   * token expires or is revoked, provided that the socket emits `close`, as those of `ws` do.
   * @throws AUTH_REQUIRED, TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED
   */
  async authenticateConnection(ws: Peer, request: IncomingMessage, _metadata?: Metadata): Promise<Authenticated> {
    const user = await this.authenticateRequest(request);
    // The class alone receives no messages, so it cannot wait for an `auth` message.
    if (!user && this.#settings.requireAuth) throw new ModuleError('AUTH_REQUIRED');
    if (!user) return undefined;
    if (onceClosed(ws, () => this.forget(ws))) this.keep(ws, user);
    return { user };
  }

  /** Closes a client when its user's token expires or is revoked, until the caller calls `forget`. */
  keep(client: Client, user: User): void {
    if (this.#revocations.has(user)) closeWithError(client, new ModuleError('TOKEN_REVOKED'));
    else this.#sessions.keep(client, user);
  }

  forget(client: Client): void {
    this.#sessions.forget(client);
  }

  /**
   * Closes the clients of a user, or of a token by its `jti`, and refuses these tokens from now on, on this node only.
   * The user can connect again with a token that was issued in a later second.
   * @returns how many clients were closed
   * @throws REVOCATIONS_FULL when there are `maxRevocations`: the clients are closed, but the tokens stay valid
   */
  revoke(id: string): number {
    if (typeof id !== 'string' || id === '') {
      const expected = 'the id of a user, or the jti of a token';
      throw new ModuleError('OPTION_INVALID', { path: 'revoke(id)', given: describe(id), expected });
    }
    return this.#revoke(id, this.#sessions.of(id));
  }

  /** The present revocation of an id, as a list; without an id, all present revocations. */
  revoked(id?: string): readonly SharedRevocation[] {
    return id === undefined ? this.#revocations.all() : [this.#revocations.find(id) ?? []].flat();
  }

  /** Applies a revocation of another node. A client with a newer token stays connected. @throws REVOCATIONS_FULL */
  applyRevocation({ id, until }: SharedRevocation): void {
    const outdated = this.#sessions.of(id).filter(([, user]) => user.jti === id || (issuedAt(user) ?? 0) <= until);
    this.#revoke(id, outdated, until);
  }

  #revoke(id: string, sessions: readonly (readonly [Client, User])[], minUntil?: number): number {
    const isAdded = this.#revocations.add(id, sessions.map(([, user]) => user), minUntil);
    for (const [client] of sessions) closeWithError(client, new ModuleError('TOKEN_REVOKED'));
    const closed = sessions.length;
    if (!isAdded) throw new ModuleError('REVOCATIONS_FULL', { limit: this.#settings.maxRevocations, closed });
    return closed;
  }
}

/**
 * Authenticates clients: by a token in the upgrade request, or in a first message `{ type: 'auth', token }`.
 * `auth:refresh` renews the token of a connection. A client whose token expires is closed with 4001.
 *
 * @example manager.use(auth({ jwtSecret, issuer: 'https://login.example.com' }))
 */
export function auth(options: AuthOptions): Plugin<'auth', never, AuthApi> {
  // Checked here and not in setup, so that the stack of the error leads to the call.
  const { requireAuth: isRequired, allowAnonymous, authTimeout } = resolveAuthOptions(options);
  return definePlugin({
    name: 'auth',
    setup(context): AuthApi {
      const { node, log } = context;
      const handler = new AuthHandler(options, {
        after: (milliseconds, work) => context.after(milliseconds, work),
        warn: (text) => log.warn(text),
        failed: (error) => context.report(error),
      });
      const { deadlines } = handler;
      /** Anonymous connections that must authenticate, and the undo of the deadline of each. */
      const waiting = new Map<Connection, () => void>();

      const wait = (connection: Connection): void => {
        if (!isRequired || connection.user || waiting.has(connection)) return;
        // Until it authenticates, it receives nothing that is published.
        node.hold(connection, true);
        const error = new ModuleError('AUTH_TIMEOUT', { timeout: authTimeout });
        waiting.set(connection, deadlines.closeAfter(connection, authTimeout, error));
      };
      const stopWaiting = (connection: Connection): boolean => {
        waiting.get(connection)?.();
        return waiting.delete(connection);
      };
      const update = (connection: Connection): void => {
        if (connection.user) {
          if (stopWaiting(connection)) node.hold(connection, false);
          handler.keep(connection, connection.user);
        } else {
          // The plugin that identified the user was unloaded.
          handler.forget(connection);
          wait(connection);
        }
      };
      const admit = async (request: IncomingMessage): Promise<Authenticated> => {
        const user = await handler.authenticateRequest(request);
        if (!user && !allowAnonymous) throw new ModuleError('AUTH_REQUIRED');
        return user && { user };
      };
      const identify = async (message: Message, connection: Connection): Promise<object | undefined> => {
        const user = await deadlines.attempt(connection, handler.verify(tokenIn(message)));
        // During the await the client may have left, or may have received HANDLER_TIMEOUT.
        if (!connection.isOpen || message.isAnswered) return undefined;
        assertNotOutdated(user, connection.user);
        node.identify(connection, user);
        const { id, roles, exp } = user;
        const expiry = typeof exp === 'number' ? { expiresAt: new Date(exp * 1_000).toISOString() } : {};
        return { user: { id, ...publicProfile(user), roles }, ...expiry };
      };
      const refresh = (message: Message, connection: Connection): Promise<object | undefined> => {
        if (!connection.user) throw new ModuleError('AUTH_REQUIRED');
        return identify(message, connection);
      };

      context.signal.addEventListener('abort', () => deadlines.stop());
      context.on('connection:identified', update);
      context.on('connection:added', wait);
      context.on('connection:removed', (connection) => {
        stopWaiting(connection);
        handler.forget(connection);
        deadlines.forget(connection);
      });
      context.use({ type: 'upgrade', name: 'auth', async handler(request) { await admit(request); } });
      context.use({ type: 'connection', name: 'auth', handler: (_ws, request) => admit(request) });
      if (isRequired) context.use({ ...requireAuth(), name: 'auth' });
      for (const [type, run] of [['auth', identify], ['auth:refresh', refresh]] as const) {
        authHandlers.add(run);
        context.registerHandler(context.named(type), run, { raw: true });
      }
      context.metrics(() => ({
        auth_connections: { type: 'gauge', help: 'Number of authenticated connections.', value: handler.size.sessions },
        auth_waiting: { type: 'gauge', help: 'Number of connections that must authenticate.', value: waiting.size },
        auth_revocations: { type: 'gauge', help: 'Number of revocations.', value: handler.size.revocations },
      }));
      // Connections that are older than the plugin must authenticate, too.
      for (const connection of node.connections.values()) update(connection);
      return {
        verify: (token, request) => handler.verify(token, request),
        revoke: shareRevocations(context, handler),
      };
    },
  });
}

/** An older token would restore roles that a newer one has removed. @throws TOKEN_OUTDATED */
function assertNotOutdated(user: User, present: User | undefined): void {
  // The token of another user is refused later, with USER_MISMATCH.
  const inUse = present?.id === user.id ? issuedAt(present) : undefined;
  if (inUse !== undefined && !((issuedAt(user) ?? -Infinity) >= inUse)) throw new ModuleError('TOKEN_OUTDATED');
}

export { requireAuth, requireRole, AuthHandler as default, AuthHandler as 'module.exports' };
