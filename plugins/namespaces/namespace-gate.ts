import { customerKey, ModuleError, RateMeter, type Connection } from '../../src/index.ts';
import type { AdmissionCheck, Handshake, NamespaceOptions } from './namespace-contracts.ts';

/** What the options of a namespace require of a connection: a user, a role, a free place for its address, a rate. */
export class NamespaceGate {
  readonly #isUserRequired: boolean;
  readonly #roles: readonly string[];
  readonly #maxPerAddress: number;
  /** Connections in the namespace, or on the way in, by the key of their address. */
  readonly #counts = new Map<string, number>();
  readonly #messages: ConnectionRate | undefined;
  // Apart from the messages, so that a connection that has entered may send as many as the option says.
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
    // A string would contain "admin" in "not-admin".
    const roles: readonly unknown[] = Array.isArray(user.roles) ? user.roles : [];
    if (this.#roles.length === 0 || this.#roles.some((role) => roles.includes(role))) return;
    throw new ModuleError('FORBIDDEN', { needs: `the role ${this.#roles.map((role) => `"${role}"`).join(' or ')}` });
  }

  /** @throws RATE_LIMITED */
  chargeMessage(connection: Connection): void { this.#messages?.charge(connection); }

  /** @throws RATE_LIMITED */
  chargeEntry(connection: Connection): void { this.#entries?.charge(connection); }

  /** Counts a connection of an address. @throws TOO_MANY_CONNECTIONS, and then it is not counted */
  reserve({ ip }: Connection): void {
    // Over a unix socket the address is unknown, and not the same one for all.
    if (this.#maxPerAddress === Infinity || ip === '') return;
    const key = customerKey(ip);
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.#maxPerAddress) {
      throw new ModuleError('TOO_MANY_CONNECTIONS', { scope: 'address', limit: this.#maxPerAddress });
    }
    this.#counts.set(key, count + 1);
  }

  /** Counts a connection no longer that was counted. */
  release({ ip }: Connection): void {
    const key = customerKey(ip);
    const count = this.#counts.get(key);
    if (count === undefined) return;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
  }
}

/** A rate for each connection. Leaving the namespace and entering it again does not reset it. */
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

/** The checks that one connection passes on its way into a namespace, with their undos. */
export class AdmissionRun {
  readonly #connection: Connection;
  readonly #report: (error: unknown) => void;
  readonly #undos: (() => void)[] = [];
  #isOver = false;

  /** @param report is told of an undo that fails */
  constructor(connection: Connection, report: (error: unknown) => void) {
    this.#connection = connection;
    this.#report = report;
  }

  /** Asks the checks in order, up to the first that refuses. @throws the refusal */
  async ask(checks: Iterable<AdmissionCheck>, handshake: Handshake): Promise<void> {
    for (const check of checks) {
      const verdict = await check(this.#connection, handshake.credentials, handshake);
      if (verdict === false) throw new ModuleError('FORBIDDEN');
      if (typeof verdict === 'function') this.#undos.push(verdict);
      // It took too long: the other checks do not matter any more.
      if (this.#isOver) return this.withdraw();
    }
  }

  /** The connection does not enter: undoes what the checks did, last first. */
  withdraw(): void {
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
