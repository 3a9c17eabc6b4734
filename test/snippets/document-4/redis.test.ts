import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { redisServer } from '../../support/redis.ts';
import { serve, snippet } from '../../support/snippets.ts';
import { eventually } from '../../support/timing.ts';
import { ask, listen, sockets, told } from './around.ts';

// The block is written for version 3 of the package `redis`, whose functions ioredis has today.
const redis = `
const Redis = require('ioredis');
exports.createClient = (options) => new Redis({ ...options, lazyConnect: true });
`;
// The statistics are collected when a client asks.
const setting = `${sockets}
const setInterval = (collect, milliseconds) => io.on('connection', (socket) => {
  socket.on('collect', async (done) => { await collect(); done(milliseconds); });
});
`;
const application = `
io.on('connection', (socket) => {
  socket.on('say', (text) => io.emit('said', text));
  socket.on('announce', (text) => clusterManager.sendClusterMessage('system_announcement', text));
  socket.on('ban', (socketId) => clusterManager.sendClusterMessage('user_banned', { socketId, reason: 'spam' }));
  socket.on('leave us', () => clusterManager.sendClusterMessage('server_shutdown', { serverId: clusterManager.serverId }));
  socket.on('who am i', (done) => done(socket.id));
  socket.on('statistics', async (done) => done(await clusterManager.getClusterStats()));
});
${listen}
`;

describe('block 4-08, servers that are connected by Redis', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('carries events to the clients of both servers, and messages of the cluster', async () => {
    const { port } = await redisServer();
    const start = (id: string) => serve('cjs', snippet('4-08-redis'), {
      before: setting, after: application, standIns: { redis },
      env: { PORT: '0', REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port), SERVER_ID: id },
    });
    const [here, there] = await Promise.all([start('here'), start('there')]);
    await Promise.all([here, there].map(({ until }) => until(/Redis adapter/)));
    const [near, far] = [await here.connect(), await there.connect()];

    // The servers find each other while their adapters start.
    await eventually('the other server hears', () => {
      void near.send({ type: 'say', content: 'hello' });
      return far.messages.some(({ type }) => type === 'said');
    });
    await ask(near, 'announce', 'maintenance at noon');
    const announced = await Promise.all([near, far].map((client) => told(client, 'system_announcement')));
    const every = await Promise.all([near, far].map((client) => ask(client, 'collect')));
    const statistics = await ask(near, 'statistics');
    await ask(near, 'leave us');
    await there.until(/服务器 here 即将关闭/);
    void near.send({ type: 'ban', content: await ask(far, 'who am i') });
    const banned = await told(far, 'banned');

    expect(announced).to.deep.equal(['maintenance at noon', 'maintenance at noon']);
    expect(banned).to.deep.equal({ reason: 'spam' });
    expect((await far.closed).code).to.equal(4010);
    expect(every).to.deep.equal([30_000, 30_000]);
    expect(statistics.map(({ serverId, connections }: { serverId: string; connections: number }) => [serverId, connections]))
      .to.have.deep.members([['here', 1], ['there', 1]]);
  });
});
