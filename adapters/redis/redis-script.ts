import { createHash } from 'node:crypto';
import type { RedisCommands } from './redis-commands.ts';
import { refusalOf } from './redis-errors.ts';

/** RedisScript is a Lua script. It declares one key, with a hash tag. All keys that it uses begin with this one. */
export class RedisScript {
  readonly #lua: string;
  readonly #sha: string;
  readonly #known = new WeakSet<RedisCommands>();

  constructor(lua: string) {
    this.#lua = lua;
    this.#sha = createHash('sha1').update(lua).digest('hex');
  }

  /** Runs the script on the server that has the keys. @param base the beginning of all keys */
  async run(commands: RedisCommands, base: string, given: readonly string[]): Promise<unknown> {
    if (!this.#known.has(commands)) {
      this.#known.add(commands);
      // Later connections load the script first, so that EVALSHA does not fail on them.
      commands.onConnected((send) => send(['SCRIPT', 'LOAD', this.#lua]));
    }
    try {
      return await commands.command(['EVALSHA', this.#sha, '1', base, ...given], base);
    } catch (error) {
      if (!isUnknown(error)) throw error;
      // The server has restarted, which deletes scripts, or the script was not loaded yet.
      return await commands.command(['EVAL', this.#lua, '1', base, ...given], base);
    }
  }
}

const isUnknown = (error: unknown): boolean => refusalOf(error)?.startsWith('NOSCRIPT') === true;
