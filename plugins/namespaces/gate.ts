import { customerKey, ModuleError, type Connection } from '../../src/index.ts';
import type { NamespaceOptions } from './contracts.ts';

/** Who may be in a namespace by its options: users, roles, and so many of one address. */
export class Gate {
  readonly #isRequired: boolean;
  readonly #roles: readonly string[];
  readonly #perAddress: number;
  /** Connections by what stands for one customer. */
  readonly #counts = new Map<string, number>();

  constructor({ auth = {}, rateLimit: { connectionsPerIP = Infinity } = {} }: NamespaceOptions) {
    const { required = false, roles = [] } = auth;
    this.#isRequired = required || roles.length > 0;
    this.#roles = roles;
    this.#perAddress = connectionsPerIP;
  }

  /** @throws AUTH_REQUIRED, FORBIDDEN */
  require({ user }: Connection): void {
    if (!this.#isRequired) return;
    if (!user) throw new ModuleError('AUTH_REQUIRED');
    if (this.#roles.length === 0 || this.#roles.some((role) => user.roles?.includes(role))) return;
    throw new ModuleError('FORBIDDEN', { needs: `the role ${this.#roles.map((role) => `"${role}"`).join(' or ')}` });
  }

  /** Counts one more. @throws TOO_MANY_CONNECTIONS, and then it is not counted */
  reserve({ ip }: Connection): void {
    // Over a unix socket the address is unknown, and not the same one for all.
    if (this.#perAddress === Infinity || ip === '') return;
    const key = customerKey(ip);
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.#perAddress) {
      throw new ModuleError('TOO_MANY_CONNECTIONS', { scope: 'address', limit: this.#perAddress });
    }
    this.#counts.set(key, count + 1);
  }

  /** Counts one less, of those that were counted. */
  release({ ip }: Connection): void {
    const key = customerKey(ip);
    const count = this.#counts.get(key);
    if (count === undefined) return;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
  }
}
