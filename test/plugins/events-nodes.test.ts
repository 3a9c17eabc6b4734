import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { join, serve, type Joined, type Served } from '../support/events.ts';
import { eventually } from '../support/timing.ts';

async function two(): Promise<[Served, Served]> {
  const bus = {};
  return [await serve({}, { adapter: new MemoryAdapter(bus) }), await serve({}, { adapter: new MemoryAdapter(bus) })];
}

const types = ({ client }: Joined) => client.messages.map(({ type }) => type);

describe('events on several nodes', () => {
  it('reach a namespace, a room and a socket on all nodes', async () => {
    const [here, there] = await two();
    const [ann, bob, carl] = [await join(here), await join(there), await join(there)];
    void bob.socket.join(['r', 's']);

    here.io.emit('all');
    here.io.to('r').emit('room');
    ann.socket.to(bob.socket.id).emit('private');
    here.io.except(bob.socket.id).emit('but bob');
    here.io.to(['r', 's']).emit('both');
    here.io.emit('last');

    await Promise.all([ann, bob, carl].map(({ client }) => client.next('last')));
    expect(types(ann)).to.deep.equal(['all', 'but bob', 'last']);
    expect(types(bob)).to.deep.equal(['all', 'room', 'private', 'both', 'last']);
    expect(types(carl)).to.deep.equal(['all', 'but bob', 'last']);
  });

  it('reach the socket of an id only if it is in the namespace', async () => {
    const [here, there] = await two();
    for (const { io } of [here, there]) io.of('/admin').use((socket, next) => next(socket.handshake.auth['admin'] ? undefined : new Error('no')));
    const [bob, carl] = [await join(there), await join(there)];
    await carl.client.request({ type: 'connect', namespace: '/admin', content: { admin: true } });

    const told = [bob, carl].map(({ socket }) => here.io.of('/admin').to(socket.id).emit('secret'));
    here.io.emit('last');
    await Promise.all([bob, carl].map(({ client }) => client.next('last')));

    expect(told).to.deep.equal([true, true]);
    expect(bob.client.messages.map(({ type }) => type)).to.deep.equal(['last']);
    expect(carl.client.messages.map(({ type }) => type)).to.deep.equal(['connected', 'secret', 'last']);
  });

  it('reach the socket of an id, and the sockets that joined its room, on all nodes', async () => {
    const [here, there] = await two();
    const [ann, bob, carl] = [await join(here), await join(there), await join(there)];
    void ann.socket.join(bob.socket.id);
    void carl.socket.join(ann.socket.id);

    here.io.to(bob.socket.id).emit('for bob');
    here.io.to(ann.socket.id).emit('for ann');
    here.io.to([bob.socket.id, ann.socket.id]).emit('for both');
    here.io.emit('last');

    await Promise.all([ann, bob, carl].map(({ client }) => client.next('last')));
    expect(types(ann)).to.deep.equal(['for bob', 'for ann', 'for both', 'last']);
    expect(types(bob)).to.deep.equal(['for bob', 'for both', 'last']);
    expect(types(carl)).to.deep.equal(['for ann', 'for both', 'last']);
  });

  it('leave no topic of a socket behind', async () => {
    const [here] = await two();
    const before = here.manager.inspect()['topics'];
    const { client, socket } = await join(here);

    await client.close();
    await eventually('it to leave', () => socket.disconnected);

    expect(here.manager.inspect()['topics']).to.equal(before);
  });
});
