import { createHash } from 'node:crypto';
import { ModuleError } from '../../src/index.ts';
import type { ConnectionStep, RedisCommands } from './redis-commands.ts';

/** A Lua script. All keys that it uses begin with its one declared key, whose hash tag keeps them in one slot. */
export class RedisScript {
  readonly #lua: string;
  readonly #sha: string;

  constructor(lua: string) {
    this.#lua = lua;
    this.#sha = createHash('sha1').update(lua).digest('hex');
  }

  /** Loads the script on a new connection, so that no call needs to be repeated. */
  readonly load: ConnectionStep = (send) => send(['SCRIPT', 'LOAD', this.#lua]);

  /** Runs the script on the server that has the keys. @param base the beginning of all keys */
  async run(commands: RedisCommands, base: string, given: readonly string[]): Promise<unknown> {
    try {
      return await commands.command(['EVALSHA', this.#sha, '1', base, ...given], base);
    } catch (error) {
      if (!isUnknown(error)) throw error;
      // Scripts do not survive a restart of Redis.
      return await commands.command(['EVAL', this.#lua, '1', base, ...given], base);
    }
  }
}

function isUnknown(error: unknown): boolean {
  if (!(error instanceof ModuleError) || error.code !== 'ADAPTER_REFUSED') return false;
  return String(error.details['reply']).startsWith('NOSCRIPT');
}
