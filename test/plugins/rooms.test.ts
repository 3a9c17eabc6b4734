import { expect } from 'chai';
import { rooms } from '../../plugins/rooms.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start } from '../support/start.ts';

describe('rooms', () => {
  it('are made, joined, spoken in and left', async () => {
    const { connect } = await start({ use: [rooms()] });
    const alice = await connect();
    const bob = await connect();

    const created = await alice.request({ type: 'create-room', roomId: 'lobby' });
    await alice.request({ type: 'join-room', roomId: 'lobby' });
    const joined = await bob.request({ type: 'join-room', content: { roomId: 'lobby' } });
    const told = await alice.next('user-joined');
    await bob.send({ type: 'room-message', roomId: 'lobby', content: 'hi' });
    const heard = await alice.next('room-message');
    const own = await bob.next('room-message');
    const left = await bob.request({ type: 'leave-room', content: 'lobby' });
    const alsoTold = await alice.next('user-left');

    const { userId } = told.content;
    expect(created).to.deep.include({ type: 'room-created' });
    expect(created.content).to.include({ roomId: 'lobby', name: 'lobby', success: true, memberCount: 0 });
    expect(joined.type).to.equal('room-joined');
    expect(joined.content).to.include({ roomId: 'lobby', memberCount: 2, role: 'member', isPrivate: false, hasPassword: false });
    expect(told.content).to.deep.equal({ roomId: 'lobby', userId, memberCount: 2 });
    expect(heard.content).to.deep.equal({ roomId: 'lobby', userId, content: 'hi' });
    expect(own).to.deep.equal(heard);
    expect(left).to.deep.include({ type: 'room-left', content: { roomId: 'lobby' } });
    expect(alsoTold.content).to.deep.equal({ roomId: 'lobby', userId, memberCount: 1 });
  });
});

pluginSuite('rooms', () => rooms(), {
  async exercise(_, client) {
    await client.request({ type: 'create-room', roomId: 'lobby' });
    await client.request({ type: 'join-room', roomId: 'lobby' });
    await client.send({ type: 'room-message', roomId: 'lobby', content: 'hi' });
    await client.next('room-message');
  },
});
