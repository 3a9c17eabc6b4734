import { customerKey, ModuleError, RateMeter, type Connection } from '../../src/index.ts';
import type { AdmissionCheck, Handshake, NamespaceOptions } from './namespace-contracts.ts';

/** Checks the requirements in the options of a namespace: user, roles, connections per address, message rate. */
export class NamespaceRequirements {
  readonly #isUserRequired: boolean;
  readonly #roles: readonly string[];
  readonly #maxPerAddress: number;
  /** Number of connections that are in the namespace or entering, by address. */
  readonly #counts = new Map<string, number>();
  readonly #messages: ConnectionRate | undefined;
  // Counted separately, so that entering does not reduce the number of allowed messages.
  readonly #entries: ConnectionRate | undefined;

  constructor(name: string, { auth = {}, rateLimit = {} }: NamespaceOptions) {
    const { required = false, roles = [] } = auth;
    const { messagesPerMinute, connectionsPerIP = Infinity } = rateLimit;
    this.#isUserRequired = required || roles.length > 0;
    this.#roles = roles;
    this.#maxPerAddress = connectionsPerIP;
    if (messagesPerMinute === undefined) return;
    this.#messages = new ConnectionRate(messagesPerMinute, `namespace ${name}`);
    this.#entries = new ConnectionRate(messagesPerMinute, `entering ${name}`);
  }

  /** @throws AUTH_REQUIRED, FORBIDDEN */
  require({ user }: Connection): void {
    if (!this.#isUserRequired) return;
    if (!user) throw new ModuleError('AUTH_REQUIRED');
    // Only lists: as a string, "not-admin" would include "admin".
    const roles: readonly unknown[] = Array.isArray(user.roles) ? user.roles : [];
    if (this.#roles.length === 0 || this.#roles.some((role) => roles.includes(role))) return;
    throw new ModuleError('FORBIDDEN', { needs: `the role ${this.#roles.map((role) => `"${role}"`).join(' or ')}` });
  }

  /** @throws RATE_LIMITED */
  chargeMessage(connection: Connection): void { this.#messages?.charge(connection); }

  /** @throws RATE_LIMITED */
  chargeEntry(connection: Connection): void { this.#entries?.charge(connection); }

  /** Counts a connection. @throws TOO_MANY_CONNECTIONS, then it is not counted */
  reserve({ ip }: Connection): void {
    // Over a unix socket, all addresses are unknown, so they cannot be counted.
    if (this.#maxPerAddress === Infinity || ip === '') return;
    const key = customerKey(ip);
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.#maxPerAddress) {
      throw new ModuleError('TOO_MANY_CONNECTIONS', { scope: 'address', limit: this.#maxPerAddress });
    }
    this.#counts.set(key, count + 1);
  }

  /** Stops counting a connection. */
  release({ ip }: Connection): void {
    const key = customerKey(ip);
    const count = this.#counts.get(key);
    if (count === undefined) return;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
  }
}

/** A rate limit per connection. Leaving and entering again does not reset it. */
class ConnectionRate {
  readonly #meter: RateMeter;
  readonly #scope: string;
  // A WeakMap, so that closing a connection frees its entry.
  readonly #fullAt = new WeakMap<Connection, number>();

  constructor(perMinute: number, scope: string) {
    this.#meter = new RateMeter({ count: perMinute, per: 60_000 });
    this.#scope = scope;
  }

  /** @throws RATE_LIMITED with `retryAfter`, in milliseconds */
  charge(connection: Connection): void {
    const now = performance.now();
    const fullAt = this.#fullAt.get(connection) ?? 0;
    const retryAfter = this.#meter.wait(fullAt, now);
    if (retryAfter > 0) throw new ModuleError('RATE_LIMITED', { retryAfter, scope: this.#scope });
    this.#fullAt.set(connection, this.#meter.charge(fullAt, now));
  }
}

/** Runs the admission checks of one connection, and keeps their undos. */
export class AdmissionRun {
  readonly #connection: Connection;
  readonly #report: (error: unknown) => void;
  readonly #undos: (() => void)[] = [];
  #isOver = false;

  /** @param report reports errors of undos */
  constructor(connection: Connection, report: (error: unknown) => void) {
    this.#connection = connection;
    this.#report = report;
  }

  /** Runs the checks in order until one rejects. @throws the error of that check */
  async run(checks: Iterable<AdmissionCheck>, handshake: Handshake): Promise<void> {
    for (const check of checks) {
      const result = await check(this.#connection, handshake.credentials, handshake);
      if (result === false) throw new ModuleError('FORBIDDEN');
      if (typeof result === 'function') this.#undos.push(result);
      // The checks took too long, so the remaining ones are skipped.
      if (this.#isOver) return this.undo();
    }
  }

  /** The connection does not enter: calls the undos of the checks, last first. */
  undo(): void {
    this.#isOver = true;
    for (const undo of this.#undos.splice(0).reverse()) {
      try {
        undo();
      } catch (error) {
        this.#report(error);
      }
    }
  }
}
