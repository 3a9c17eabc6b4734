import { expect } from 'chai';
import { RedisAdapter } from '../../adapters/redis.ts';
import { acknowledge, join, serve, type Joined, type Served } from '../support/events.ts';
import { knowEachOther } from '../support/nodes.ts';
import { redisServer } from '../support/redis.ts';

describe('sockets of several nodes over Redis', () => {
  let url: string;
  let buses = 0;
  before(async () => { ({ url } = await redisServer({ forFile: true })); });

  async function peopled(): Promise<[Served[], Joined[]]> {
    const keyPrefix = `events:${++buses}:`;
    const nodes = await Promise.all(['a', 'b'].map((nodeId) => serve({}, { nodeId, adapter: new RedisAdapter({ url, keyPrefix }) })));
    await knowEachOther(...nodes);
    return [nodes, await Promise.all(nodes.map((node) => join(node)))];
  }

  it('get what is sent to a room right after the awaited join', async () => {
    const [[a], [, bob]] = await peopled();
    const got: unknown[] = [];

    for (let number = 0; number < 20; number++) {
      await bob!.socket.join(`room ${number}`);
      a!.io.to(`room ${number}`).emit('news', number);
      got.push((await bob!.client.next('news')).content);
    }

    expect(got).to.deep.equal(Array.from({ length: 20 }, (_, index) => index));
  });

  it('keep the order of one node', async () => {
    const [[a], [, bob]] = await peopled();
    await bob!.socket.join(['x', 'y']);

    for (let number = 0; number < 300; number += 3) {
      a!.io.emit('number', number);
      a!.io.to('x').emit('number', number + 1);
      a!.io.to(['x', 'y']).except('z').emit('number', number + 2);
    }
    a!.io.emit('end');
    await bob!.client.next('end');

    expect(bob!.client.messages.slice(0, -1).map(({ content }) => content)).to.deep.equal(Array.from({ length: 300 }, (_, index) => index));
  });

  it('are fetched and asked', async () => {
    const [[a], people] = await peopled();
    for (const [index, { client }] of people.entries()) void acknowledge(client, 'question', { content: index });

    const fetched = await a!.io.fetchSockets();
    const answers = await a!.io.emitWithAck('question');

    expect(fetched.map(({ id }) => id)).to.have.members(people.map(({ socket }) => socket.id));
    expect(answers).to.have.members([0, 1]);
  });
});
