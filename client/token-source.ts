import type { AuthConfig } from './config.ts';

type Token = string | undefined;

/** Gets tokens from the application. */
export class TokenSource {
  readonly #auth: Pick<AuthConfig, 'getToken' | 'refreshToken'>;
  #token: Token;
  #refreshing: Promise<Token> | undefined;

  constructor(auth: Pick<AuthConfig, 'token' | 'getToken' | 'refreshToken'>) {
    this.#auth = auth;
    this.#token = auth.token || undefined;
  }

  /** Whether tokens are configured at all. */
  get isUsed(): boolean { return this.#token !== undefined || this.canRenew; }

  /** Whether a newer token than the current one can be had. */
  get canRenew(): boolean { return Boolean(this.#auth.refreshToken ?? this.#auth.getToken); }

  /** A token for one attempt. Each attempt asks anew: the user may have changed since the one before. */
  async get(): Promise<Token> {
    return this.#auth.getToken ? await this.#auth.getToken() : this.#token;
  }

  /** A newer token. Concurrent calls share one, because refreshing twice may revoke the first result. */
  refresh(): Promise<Token> {
    if (!this.#auth.refreshToken) return this.get();
    const refreshing = this.#refreshing ??= this.#refresh().finally(() => {
      if (this.#refreshing === refreshing) this.#refreshing = undefined;
    });
    return refreshing;
  }

  /** Forgets a call that is under way: after a disconnect its result is not used. */
  reset(): void {
    this.#refreshing = undefined;
  }

  async #refresh(): Promise<Token> {
    const token = await this.#auth.refreshToken!();
    if (token) this.#token = token;
    return token;
  }
}
