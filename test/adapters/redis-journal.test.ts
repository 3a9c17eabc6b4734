import { RedisJournal } from '../../adapters/redis/redis-journal.ts';
import { RedisLinks } from '../../adapters/redis/redis-links.ts';
import { redisSettings } from '../../adapters/redis/redis-options.ts';
import type { ServerSettings } from '../../adapters/redis/redis-settings.ts';
import { journalSuite } from '../../testing/index.ts';
import { redisBackends } from '../support/redis-backends.ts';

redisBackends((name, backend) => {
  journalSuite(name, () => {
    const { options } = backend();
    const opened: RedisLinks[] = [];
    return {
      async journal() {
        const settings = redisSettings(options()) as ServerSettings;
        const links = new RedisLinks(settings, { changed: () => undefined, interrupted: () => undefined });
        opened.push(links);
        await links.start();
        const channelOf = (topic: string) => `${settings.keyPrefix}${topic}`;
        const journal = new RedisJournal({ commands: () => links, channelOf, keyWindow: 1_000 });
        await links.subscribe(channelOf('topic'), (notice) => journal.receive('topic', notice));
        return journal;
      },
      stop: () => Promise.all(opened.map((links) => links.stop())),
    };
  });
});
