import { expect } from 'chai';
import { only, startKernel } from './start-kernel.ts';

describe('the users of a manager', () => {
  it('are set for a connection, which their topic then reaches', async () => {
    const { manager, connect } = await startKernel();
    const client = await connect();
    const told: unknown[] = [];
    manager.on('connection:identified', ({ user }) => { told.push(user); });

    manager.identify(only(manager).id, { id: 'ann' });
    const reached = manager.sendToUser('ann', { type: 'hello' });

    expect(told).to.deep.equal([{ id: 'ann' }]);
    expect(reached).to.equal(1);
    await client.next('hello');
  });

  it('are changed on all of their connections, with an event for each', async () => {
    const { manager, connect } = await startKernel();
    await connect();
    await connect();
    for (const { id } of manager.connections.values()) manager.identify(id, { id: 'ann', name: 'Ann', roles: ['guest'] });
    let told = 0;
    manager.on('connection:identified', () => told++);

    const changed = manager.updateUser('ann', { roles: ['admin'], id: 'ben' });

    expect([changed, told]).to.deep.equal([2, 2]);
    for (const { user } of manager.connections.values()) expect(user).to.deep.equal({ id: 'ann', name: 'Ann', roles: ['admin'] });
  });

  it('are disconnected by their id, with a code that forbids reconnecting', async () => {
    const { manager, connect } = await startKernel();
    const [ann, ben] = [await connect(), await connect()];
    const [first, second] = [...manager.connections.values()];
    manager.identify(first!.id, { id: 'ann' });
    manager.identify(second!.id, { id: 'ben' });

    const count = manager.disconnectUser('ann', undefined, 'signed out');

    expect(count).to.equal(1);
    expect(await ann.closed).to.deep.equal({ code: 4010, reason: 'signed out' });
    expect(ben.ws.readyState).to.equal(ben.ws.OPEN);
  });

  it('are found by their id, not by who receives their messages', async () => {
    const { manager, connect } = await startKernel();
    const [, observer] = [await connect(), await connect()];
    const [first, second] = [...manager.connections.values()];
    manager.identify(first!.id, { id: 'ann' });
    manager.subscribe(second!.id, 'user:ann');

    const counts = [manager.updateUser('ann', { name: 'Ann' }), manager.disconnectUser('ann')];

    expect(counts).to.deep.equal([1, 1]);
    expect(second!.user).to.equal(undefined);
    expect(observer.ws.readyState).to.equal(observer.ws.OPEN);
  });

  it('cannot change their id, nor have the id of a connection', async () => {
    const { manager, connect } = await startKernel();
    await connect();
    const { id } = only(manager);
    manager.identify(id, { id: 'ann' });

    expect(() => manager.identify(id, { id: 'ben' })).to.throw().with.property('code', 'USER_MISMATCH');
    expect(() => manager.identify(id, { id })).to.throw().with.property('code', 'USER_ID_RESERVED');
    expect(() => manager.identify('nowhere', { id: 'ann' })).to.throw().with.property('code', 'CONNECTION_UNKNOWN');
    expect([manager.updateUser('nowhere', {}), manager.disconnectUser('nowhere')]).to.deep.equal([0, 0]);
  });
});
