import { createHash } from 'node:crypto';
import type { RedisCommands } from '../../adapters/redis/redis-commands.ts';
import { RedisLinks } from '../../adapters/redis/redis-links.ts';
import { redisSettings, type RedisAdapterOptions } from '../../adapters/redis/redis-options.ts';
import { ModuleError } from '../../src/index.ts';
import { cleanup } from './cleanup.ts';

/** The two connections of an adapter, for stores with a clock of the test. Closed when the test is over. */
export async function redisLinks(options: RedisAdapterOptions): Promise<RedisLinks> {
  const settings = redisSettings(options);
  if (settings.type !== 'server') throw new Error('give the address of one server');
  const links = new RedisLinks(settings, { changed: () => undefined, interrupted: () => undefined });
  cleanup(() => links.stop());
  await links.start();
  return links;
}

const TIME = ['test:seconds', 'test:microseconds'] as const;

/** Connections on which scripts read the time from keys, instead of the clock of Redis. */
export function withStubbedTime(links: RedisCommands, keyPrefix: string): RedisCommands {
  let sha: string | undefined;
  return {
    keyPrefix,
    database: links.database,
    isSharded: links.isSharded,
    replicated: undefined,
    async command([name = '', script = '', ...rest], key) {
      if (name === 'EVALSHA' && sha !== undefined) return links.command([name, sha, ...rest], key);
      if (name === 'EVALSHA') throw new ModuleError('ADAPTER_REFUSED', { command: name, reply: 'NOSCRIPT' });
      if (name !== 'EVAL') return links.command([name, script, ...rest], key);
      const stubbed = String(script).replace('call(\'TIME\')', `call('MGET', '${TIME.join('\', \'')}')`);
      sha = createHash('sha1').update(stubbed).digest('hex');
      return links.command([name, stubbed, ...rest], key);
    },
    subscribe: (...given) => links.subscribe(...given),
    onInterrupted: (listener) => links.onInterrupted(listener),
    onConnected: (step) => links.onConnected(step),
  };
}

/** Sets the time that these scripts read. */
export const setTime = (links: RedisCommands, milliseconds: number): Promise<unknown> => {
  const seconds = Math.floor(milliseconds / 1_000);
  return links.command(['MSET', TIME[0], String(seconds), TIME[1], String((milliseconds - seconds * 1_000) * 1_000)], '');
};
