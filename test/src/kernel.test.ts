import { expect } from 'chai';
import type { Node } from '../../src/contracts.ts';
import { next, only, plugin, startKernel } from './start-kernel.ts';

/** A kernel with one client, and what plugins see of it. */
async function inside() {
  let node!: Node;
  const kernel = await startKernel({ use: [plugin('inside', (context) => { ({ node } = context); })] });
  const client = await kernel.connect();
  return { ...kernel, client, node, connection: only(kernel.manager) };
}

describe('who a connection belongs to', () => {
  it('can be said later, and is told', async () => {
    const { manager, node, connection, client } = await inside();
    const identified = next(manager, 'connection:identified');

    node.identify(connection, { id: 'ann', roles: ['admin'] });

    expect((await identified)[0]).to.equal(connection);
    expect(connection.user).to.deep.equal({ id: 'ann', roles: ['admin'] });
    expect(manager.sendToUser('ann', { type: 'hi' })).to.equal(1);
    expect(await client.next()).to.include({ type: 'hi' });
  });

  it('can be said again with newer claims, but not changed', async () => {
    const { manager, node, connection } = await inside();
    node.identify(connection, { id: 'ann', roles: ['admin'] });

    node.identify(connection, { id: 'ann', roles: [] });

    expect(connection.user).to.deep.equal({ id: 'ann', roles: [] });
    expect(() => { node.identify(connection, { id: 'bob' }); }).to.throw().with.property('code', 'USER_MISMATCH');
    expect(connection.user).to.have.property('id', 'ann');
    expect([manager.sendToUser('ann', { type: 'hi' }), manager.sendToUser('bob', { type: 'hi' })]).to.deep.equal([1, 0]);
  });

  it('cannot be said of one that there is not', async () => {
    const { node } = await inside();

    expect(() => { node.identify({ id: 'nobody' } as never, { id: 'ann' }); }).to.throw().with.property('code', 'CONNECTION_UNKNOWN');
  });
});

describe('what plugins see of the kernel', () => {
  it('gives a connection the session it had before', async () => {
    const { node, connection } = await inside();

    node.resume(connection, 'the session it had');

    expect(connection.sessionId).to.equal('the session it had');
  });

  it('sends, publishes, subscribes, and tells who is subscribed', async () => {
    const { node, connection, client } = await inside();
    node.subscribe(connection, 'news');

    const outcomes = [node.send(connection.id, { type: 'one' }), node.publish('news', { type: 'two' }), [...node.subscribers('news')].length, [...node.subscribers('*')].length];
    node.unsubscribe(connection, 'news');
    await node.drained('*');

    expect(outcomes).to.deep.equal([true, 1, 1, 1]);
    expect(node.publish('news', { type: 'three' })).to.equal(0);
    expect([(await client.next()).type, (await client.next()).type]).to.deep.equal(['one', 'two']);
    expect(node.connections.get(connection.id)).to.equal(connection);
    expect(connection.id.startsWith(`${node.id}.`)).to.be.true;
  });
});
