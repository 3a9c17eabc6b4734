import { expect } from 'chai';
import { packed } from '../../support/packed.ts';
import { redisServer } from '../../support/redis.ts';
import { serve, snippet } from '../../support/snippets.ts';

// The block is written for version 3 of the package `redis`, whose functions ioredis has today.
const redis = 'const Redis = require("ioredis"); exports.createClient = (options) => new Redis(options);';
const setting = `
const { WebSocketServer } = require('ws');
const http = require('http');
const server = http.createServer();
const wss = new WebSocketServer({ server });
const authManager = { getUserInfo: () => ({ id: 'u1', username: 'ann' }) };
const roomManager = {
  broadcastToRoom(roomId, data) { for (const client of wss.clients) client.send(JSON.stringify(data)); },
};
`;
const application = `
wss.on('connection', (ws) => ws.on('message', (data) => {
  const message = JSON.parse(data);
  if (message.type === 'say') handleRoomMessage(ws, message);
}));
messageQueue.storeUserSession('u1', { page: 1 })
  .then(() => messageQueue.getUserSession('u1')).then((session) => console.log('session', JSON.stringify(session)));
server.listen(3001);
`;

describe('the message queue of document 3, on a real Redis', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(300_000);
    await packed();
  });

  it('carries messages between two servers, and keeps their history and sessions', async () => {
    const { port } = await redisServer();
    const env = { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port) };
    const start = () => serve('cjs', snippet('3-05-message-queue'), { before: setting, after: application, standIns: { redis }, env });
    const [here, there] = await Promise.all([start(), start()]);
    await Promise.all([here, there].map(({ until }) => until(/session \{"page":1\}/)));
    const [near, far] = [await here.connect({ path: '/' }), await there.connect({ path: '/' })];

    void near.send({ type: 'say', roomId: 'lobby', content: 'hello' });
    const heard = await far.next('room-message');
    void far.send({ type: 'get-history', roomId: 'lobby', limit: 10 });
    const history = await far.next('message-history');

    expect(heard).to.deep.include({ roomId: 'lobby', user: { id: 'u1', username: 'ann' }, content: 'hello' });
    expect((history as unknown as { messages: { content: string }[] }).messages.map(({ content }) => content)).to.deep.equal(['hello']);
  });
});
