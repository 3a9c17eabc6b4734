import { Redis as IoRedis } from 'ioredis';
import { RedisJournal } from '../../adapters/redis/redis-journal.ts';
import { RedisLinks } from '../../adapters/redis/redis-links.ts';
import { redisSettings, type RedisAdapterOptions } from '../../adapters/redis/redis-options.ts';
import type { ServerSettings } from '../../adapters/redis/redis-settings.ts';
import { journalSuite } from '../../testing/index.ts';
import { redisServer, type RedisServer } from '../support/redis.ts';

let server: RedisServer;
before(async () => { server = await redisServer({ forFile: true }); });

const CLIENTS: Readonly<Record<string, () => RedisAdapterOptions>> = {
  'redis': () => ({ url: server.url }),
  'redis with a client of ioredis': () => ({ client: new IoRedis(server.port, { lazyConnect: true }) }),
};

let backends = 0;

for (const [name, options] of Object.entries(CLIENTS)) {
  journalSuite(name, () => {
    const keyPrefix = `test:${++backends}:`;
    const opened: RedisLinks[] = [];
    return {
      async journal() {
        const settings = redisSettings({ ...options(), keyPrefix }) as ServerSettings;
        const links = new RedisLinks(settings, { changed: () => undefined, interrupted: () => undefined });
        opened.push(links);
        await links.start();
        const channelOf = (topic: string) => `${keyPrefix}${topic}`;
        const journal = new RedisJournal({ commands: () => links, channelOf, keyWindow: 1_000 });
        await links.subscribe(channelOf('topic'), (notice) => journal.receive('topic', notice));
        return journal;
      },
      stop: () => Promise.all(opened.map((links) => links.stop())),
    };
  });
}
