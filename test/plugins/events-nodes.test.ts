import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { join, serve } from '../support/events.ts';

describe('events on several nodes', () => {
  it('reach a namespace, a room and a socket, wherever they are', async () => {
    const bus = {};
    const [here, there] = [await serve({}, { adapter: new MemoryAdapter(bus) }), await serve({}, { adapter: new MemoryAdapter(bus) })];
    const [ann, bob, carl] = [await join(here), await join(there), await join(there)];
    bob.socket.join(['r', 's']);

    here.io.emit('all');
    here.io.to('r').emit('room');
    ann.socket.to(bob.socket.id).emit('private');
    here.io.except(bob.socket.id).emit('but bob');
    here.io.to(['r', 's']).emit('both');
    here.io.emit('last');

    await Promise.all([ann, bob, carl].map(({ client }) => client.next('last')));
    const types = ({ client }: typeof ann) => client.messages.map(({ type }) => type);
    const twice = bob.client.messages.filter(({ type }) => type === 'both');
    expect(types(ann)).to.deep.equal(['all', 'but bob', 'last']);
    expect(types(bob)).to.deep.equal(['all', 'room', 'private', 'both', 'both', 'last']);
    expect(types(carl)).to.deep.equal(['all', 'but bob', 'last']);
    expect(twice[0]!.id).to.equal(twice[1]!.id);
  });
});
