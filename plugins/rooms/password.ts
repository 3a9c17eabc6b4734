import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { ModuleError } from '../../src/index.ts';

const derive = promisify(scrypt) as (password: string, salt: Buffer, length: number) => Promise<Buffer>;

/** What is kept of a password. */
export interface Secret { readonly salt: Buffer; readonly hash: Buffer }

/** Characters a password may have. */
export const MOST_PASSWORD = 128;

/** Says what is wrong with a password, and not what it is. @throws OPTION_INVALID */
export function assertPassword(password: unknown): asserts password is string | undefined {
  if (password === undefined) return;
  const isText = typeof password === 'string';
  if (isText && password !== '' && password.length <= MOST_PASSWORD) return;
  const given = isText ? `one of ${password.length}` : `of type ${typeof password}`;
  throw new ModuleError('OPTION_INVALID', { path: 'room.password', given, expected: `a text of 1 to ${MOST_PASSWORD} characters` });
}

/** Half of libuv's four threads: file reads, DNS and compression go on beside a flood of passwords. */
const AT_ONCE = 2;
/** With 50 ms each, the last of them waits 25 s: a handler has 30. */
const MOST_WAITING = 1_000;

/** Hashes and checks passwords with scrypt, a few at a time. */
export class Passwords {
  readonly #atOnce: number;
  readonly #mostWaiting: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor({ atOnce = AT_ONCE, mostWaiting = MOST_WAITING } = {}) {
    this.#atOnce = atOnce;
    this.#mostWaiting = mostWaiting;
  }

  /** @throws SERVER_OVERLOADED */
  async hash(password: string): Promise<Secret> {
    const salt = randomBytes(16);
    return { salt, hash: await this.#derive(password, salt) };
  }

  /** Compares in constant time. @throws SERVER_OVERLOADED */
  async matches(password: string, { salt, hash }: Secret): Promise<boolean> {
    return timingSafeEqual(await this.#derive(password, salt), hash);
  }

  async #derive(password: string, salt: Buffer): Promise<Buffer> {
    if (this.#waiting.length >= this.#mostWaiting) throw new ModuleError('SERVER_OVERLOADED');
    if (this.#running >= this.#atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await derive(password, salt, 32);
    } finally {
      const next = this.#waiting.shift();
      // Who waits takes over the place, so that nobody can come between.
      if (next) next();
      else this.#running--;
    }
  }
}
