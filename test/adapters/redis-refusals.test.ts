import { expect } from 'chai';
import type { ModuleError } from '../../src/index.ts';
import { redisServer } from '../support/redis.ts';
import { CLIENTS, redisPeer } from '../support/redis-bench.ts';
import { eventually } from '../support/timing.ts';

for (const name of ['redis', 'a client of ioredis'] as const) {
  describe(`a Redis that refuses, with ${name}`, function () {
    this.timeout(60_000);

    it('is not used while it is a replica, and used again as a primary', async () => {
      const server = await redisServer();
      const peer = await redisPeer(CLIENTS[name](server.port));
      await peer.subscribe('chat');

      await server.command('REPLICAOF', '127.0.0.1', '1');
      await server.command('CLIENT', 'KILL', 'TYPE', 'normal');
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await eventually('the reason', async () => String((await peer.adapter.check())['reason']).includes('it is a replica'));
      await server.command('REPLICAOF', 'NO', 'ONE');
      await eventually('green health', async () => await peer.status() === 'healthy');

      expect(peer.interruptions).to.have.length(1);
    });

    it('is named in the error, and in the reason of the health', async () => {
      const server = await redisServer();
      const peer = await redisPeer(CLIENTS[name](server.port));
      await server.command('ACL', 'SETUSER', 'default', '-publish');

      const error = await peer.publish('chat', 'no').then(() => undefined, (thrown: unknown) => thrown as ModuleError);

      expect(error?.code).to.equal('ADAPTER_REFUSED');
      expect(error?.message).to.match(/^Redis refused PUBLISH: NOPERM/);
      expect(await peer.status()).to.equal('healthy');
    });

    it('is unhealthy while the password is wrong, and healthy when it is right again', async () => {
      const server = await redisServer();
      const peer = await redisPeer(CLIENTS[name](server.port));

      await server.kill();
      await server.restart(['--requirepass', 'new']);
      await eventually('the reason', async () => String((await peer.adapter.check())['reason']).includes('NOAUTH'));
      await server.kill();
      await server.restart([]);
      await eventually('green health', async () => await peer.status() === 'healthy');
    });
  });
}
