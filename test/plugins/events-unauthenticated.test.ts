import { expect } from 'chai';
import { definePlugin, type Node } from '../../index.ts';
import { acknowledge, join, serve, type Joined } from '../support/events.ts';

/** Two sockets, the first of whose connections has yet to authenticate. */
async function two() {
  let node!: Node;
  const holder = definePlugin({ name: 'holder', setup(context) { node = context.node; } });
  const served = await serve({}, { use: [holder] });
  const [held, free] = [await join(served), await join(served)];
  node.hold(held.socket.connection, true);
  return { ...served, held, free, release: () => node.hold(held.socket.connection, false) };
}

/** The types that came before the answer to a ping. */
async function typesOf({ client }: Joined): Promise<string[]> {
  await client.request({ type: 'ping' });
  return client.messages.map(({ type }) => type).filter((type) => type !== 'pong');
}

describe('a connection that has not authenticated yet', () => {
  it('gets no broadcast, with or without acknowledgements, and is not missing among them', async () => {
    const { io, held, free } = await two();
    io.socketsJoin('r');

    const sent = [
      io.emit('all'), io.to('r').emit('room'), free.socket.broadcast.emit('others'), io.to(held.socket.id).emit('id'),
    ];
    const asked = io.timeout(1_000).emitWithAck('question');
    await acknowledge(free.client, 'question', { content: 'free' });
    const called = new Promise((resolve) => io.to('r').emit('callback', (...given: unknown[]) => resolve(given)));
    await acknowledge(free.client, 'callback', { content: 'free' });
    const other = await io.timeout(1_000).to(held.socket.id).emitWithAck('question');

    expect(await asked).to.deep.equal(['free']);
    expect(await called).to.deep.equal([null, ['free']]);
    expect(other).to.deep.equal([]);
    expect(sent).to.deep.equal([true, true, false, false]);
    expect(await typesOf(held)).to.deep.equal([]);
  });

  it('gets what is sent to it alone, and all broadcasts once it has authenticated', async () => {
    const { io, held, release } = await two();

    held.socket.emit('for you');
    const asked = held.socket.emitWithAck('who are you?');
    await acknowledge(held.client, 'who are you?', { content: 'held' });
    release();
    io.emit('all');
    io.to(held.socket.id).emit('id');

    expect(await asked).to.equal('held');
    expect(await typesOf(held)).to.deep.equal(['for you', 'who are you?', 'all', 'id']);
  });
});
