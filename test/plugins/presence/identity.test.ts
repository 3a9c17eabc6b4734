import { expect } from 'chai';
import { caughtUp, gone, heard, iAm, typists, watched } from './lab.ts';

describe('presence, when the user of a connection changes', () => {
  it('announces a changed name to the rooms of the user, once, with the new name', async () => {
    const { manager, create, as, round } = await watched();
    await create('lobby');
    await create('other');
    const [ben, carla] = [await as('ben', 'lobby'), await as('carla', 'other')];
    await as('anna', 'lobby');
    await as('anna', 'lobby');
    await round();

    manager.updateUser('anna', { username: 'Anna B.' });
    await round();
    manager.updateUser('anna', { username: 'Anna B.' });
    await round();

    expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '~anna']);
    expect(await heard(carla)).to.deep.equal(['+carla']);
    const update = ben.messages.find(({ type }) => type === 'user-updated')!;
    expect(update.content).to.deep.equal({ roomId: 'lobby', users: [{ userId: 'anna', username: 'Anna B.' }], more: 0 });
    const list = await ben.request({ type: 'get-online-users', roomId: 'lobby' });
    expect(list.content.users).to.deep.equal([{ userId: 'ben', username: 'BEN' }, { userId: 'anna', username: 'Anna B.' }]);
  });

  it('announces it to all clients with the audience "everyone"', async () => {
    const { manager, as, round } = await watched({ audience: 'everyone' });
    const [ben] = [await as('ben'), await as('anna')];
    await round();

    manager.updateUser('anna', { username: 'Anna B.', secret: 'y' });
    manager.updateUser('ben', { secret: 'y' });
    await round();

    expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '~anna']);
  });

  it('announces a user who connects and is renamed in one round once, with the new name', async () => {
    const { manager, create, as, round } = await watched();
    await create('lobby');
    const ben = await as('ben', 'lobby');
    await round();

    await as('anna', 'lobby');
    manager.updateUser('anna', { username: 'Anna B.' });
    await round();

    expect(await heard(ben)).to.deep.equal(['+ben', '+anna']);
    expect(ben.messages.at(-2)!.content.users).to.deep.equal([{ userId: 'anna', username: 'Anna B.' }]);
  });

  it('announces the new name of a user who reconnects with it within the grace period', async () => {
    let name = 'Anna';
    const { manager, create, join, as, round } = await watched({ profile: ({ id }) => ({ name: id === 'anna' ? name : id }) });
    await create('lobby');
    const [ben, anna] = [await as('ben', 'lobby'), await as('anna', 'lobby')];
    await round();

    await gone(manager, anna);
    await round();
    name = 'Anna B.';
    const back = await as('anna');
    await round();
    const before = await heard(ben);
    await join(back, 'lobby');
    await round();

    expect(before).to.deep.equal(['+ben', '+anna']);
    expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '~anna']);
  });

  it('announces a user who leaves and comes back renamed in one round as updated', async () => {
    const { manager, create, join, leave, as, round } = await watched();
    await create('lobby');
    const [ben, anna] = [await as('ben', 'lobby'), await as('anna', 'lobby')];
    await round();

    await leave(anna, 'lobby');
    manager.updateUser('anna', { username: 'Anna B.' });
    await join(anna, 'lobby');
    await round();

    expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '~anna']);
  });

  it('counts a connection as a guest after the plugin that identified it is unloaded, and its user is offline', async () => {
    const { manager, create, as, round, presence } = await watched({}, { use: [iAm] });
    await create('lobby');
    const [ben, late] = [await as('ben', 'lobby'), await as('', 'lobby')];
    await late.request({ type: 'i-am', content: 'Anna' });
    await late.request({ type: 'typing', roomId: 'lobby', isTyping: true, ack: true });
    await round();
    const offline: string[] = [];
    manager.on('presence:offline', ({ userId }) => void offline.push(userId));

    await manager.unload('i-am');
    await round();
    await caughtUp(ben);

    expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '-anna']);
    expect(await typists(ben)).to.deep.equal(['anna…', 'anna.']);
    expect([offline, presence.isOnline('anna'), presence.online({ room: 'lobby' })]).to.deep.equal([['anna'], false, ['ben']]);
    expect((await ben.request({ type: 'get-online-users' })).content).to.include({ total: 1, guests: 1 });
  });
});
