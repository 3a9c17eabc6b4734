import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { ModuleError } from '../../src/index.ts';

const derive = promisify(scrypt) as (password: string, salt: Buffer, length: number) => Promise<Buffer>;

export interface PasswordHash { readonly salt: Buffer; readonly hash: Buffer }

/** Maximum UTF-16 units of a password. */
export const MAX_PASSWORD_LENGTH = 128;

/** Checks a password. The error does not quote it. @throws OPTION_INVALID */
export function assertPassword(password: unknown): asserts password is string | undefined {
  if (password === undefined) return;
  const isText = typeof password === 'string';
  if (isText && password !== '' && password.length <= MAX_PASSWORD_LENGTH) return;
  const given = isText ? `one of ${password.length}` : `of type ${typeof password}`;
  const expected = `a string of 1 to ${MAX_PASSWORD_LENGTH} characters`;
  throw new ModuleError('OPTION_INVALID', { path: 'room.password', given, expected });
}

/** Half of libuv's four threads, so that file reads, DNS and compression continue during a flood of passwords. */
const MAX_RUNNING = 2;
/** At 50 ms each, the last one waits 25 s; handlers time out after 30 s. */
const MAX_WAITING = 1_000;

/** Hashes and checks passwords with scrypt, a few at a time. */
export class RoomPasswords {
  readonly #maxRunning: number;
  readonly #maxWaiting: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor({ maxRunning = MAX_RUNNING, maxWaiting = MAX_WAITING } = {}) {
    this.#maxRunning = maxRunning;
    this.#maxWaiting = maxWaiting;
  }

  /** @throws SERVER_OVERLOADED */
  async hash(password: string): Promise<PasswordHash> {
    const salt = randomBytes(16);
    return { salt, hash: await this.#derive(password, salt) };
  }

  /** Compares in constant time. @throws SERVER_OVERLOADED */
  async matches(password: string, { salt, hash }: PasswordHash): Promise<boolean> {
    return timingSafeEqual(await this.#derive(password, salt), hash);
  }

  async #derive(password: string, salt: Buffer): Promise<Buffer> {
    if (this.#waiting.length >= this.#maxWaiting) throw new ModuleError('SERVER_OVERLOADED');
    if (this.#running >= this.#maxRunning) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await derive(password, salt, 32);
    } finally {
      const next = this.#waiting.shift();
      // The next one takes over the slot, so that a newer call cannot overtake it.
      if (next) next();
      else this.#running--;
    }
  }
}
