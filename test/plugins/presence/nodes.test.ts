import { expect } from 'chai';
import { RedisAdapter } from '../../../adapters/redis.ts';
import { redisServer } from '../../support/redis.ts';
import { eventually } from '../../support/timing.ts';
import { knowEachOther } from '../../support/nodes.ts';
import { code } from '../rooms/serving.ts';
import { eventsOf, heard, idsIn, presentNodes, presentOn, withPresence } from './nodes-lab.ts';

describe('presence on nodes that share a store', () => {
  it('lists the users of all nodes once, on the server, in rooms and in namespaces, and counts the guests', async () => {
    const [here, there] = await presentNodes();
    await here.api.create('lobby');
    const [anna, phone, ben, guest] = [
      await here.guest('anna'), await there.guest('anna'), await there.guest('ben'), await there.guest(),
    ];
    for (const one of [anna, phone, ben, guest]) await one.ask('join-room', 'lobby');
    for (const one of [anna, phone]) await one.client.request({ type: 'connect', namespace: '/chat' });

    await eventually('the store has them', async () =>
      (await here.manager.api('presence').fetchOnline({ namespace: '/chat' })).users.length === 1);
    for (const one of [anna, ben]) {
      expect(await idsIn(one)).to.deep.equal([['anna', 'ben'], 2, 1]);
      expect(await idsIn(one, { roomId: 'lobby' })).to.deep.equal([['anna', 'ben'], 2, 1]);
    }
    expect(await idsIn(phone, { content: { namespace: '/chat' } })).to.deep.equal([['anna'], 1, 0]);
    expect((await anna.ask('get-online-users')).content.users).to.deep.include({ userId: 'ben', username: 'BEN' });
  });

  it('announces a user of two nodes once, to the clients of both', async () => {
    const [here, there] = await presentNodes({ grace: 0 });
    const events = eventsOf(here, there);
    const [anna, ben] = [await here.guest('anna'), await there.guest('ben')];
    await eventually('anna knows ben', async () => (await heard(anna)).includes('+ben'));

    const zoe = [await here.guest('zoe'), await there.guest('zoe')];
    await eventually('zoe is there', async () =>
      (await heard(ben)).includes('+zoe') && (await heard(anna)).includes('+zoe'));
    await zoe[0]!.client.terminate();
    await zoe[1]!.client.terminate();
    await eventually('zoe is gone', async () =>
      (await heard(ben)).includes('-zoe') && (await heard(anna)).includes('-zoe'));

    for (const one of [anna, ben]) {
      expect((await heard(one)).filter((change) => change.endsWith('zoe'))).to.deep.equal(['+zoe', '-zoe']);
    }
    expect(events.filter((event) => event.endsWith('zoe'))).to.deep.equal(['+zoe', '-zoe']);
    expect([...here.errors, ...there.errors]).to.deep.equal([]);
  });

  it('tells the changes in a room only to nodes with members of it, and no node what is announced to no client', async () => {
    const [here, there, { start }] = await presentNodes({ audience: 'rooms', grace: 0 });
    const other = await start({}, withPresence({ audience: 'rooms', grace: 0 }));
    await knowEachOther(here, there, other);
    await here.api.create('lobby');
    const [anna, zoe] = [await here.guest('anna'), await other.guest('zoe')];
    await anna.ask('join-room', 'lobby');
    await eventually('anna was announced', async () => (await heard(anna)).includes('+anna'));
    const changes = () => [there, other].map(({ packets }) =>
      packets.filter((packet) => packet.includes('"presence:changes"')).length);

    for (const name of ['ben', 'carl', 'dora']) {
      const guest = await there.guest(name);
      await guest.ask('join-room', 'lobby');
      await eventually('anna knows them', async () => (await heard(anna)).includes(`+${name}`));
      await guest.client.terminate();
      await eventually('anna knows that they left', async () => (await heard(anna)).includes(`-${name}`));
    }

    expect(changes()).to.deep.equal([0, 0]);
    expect(here.packets.filter((packet) => packet.includes('"presence:changes"')).length).to.be.within(6, 9);
    expect(await idsIn(zoe)).to.deep.equal([['anna', 'zoe'], 2, 0]);
  });

  it('announces nothing of a user who comes back to another node within the grace period', async () => {
    const [here, there] = await presentNodes({ audience: 'rooms', grace: 300 });
    await here.api.create('lobby');
    const [anna, ben] = [await here.guest('anna'), await there.guest('ben')];
    for (const one of [anna, ben]) await one.ask('join-room', 'lobby');
    await eventually('ben knows anna', async () => (await heard(ben)).includes('+anna'));
    const events = eventsOf(here, there);

    await anna.client.terminate();
    await eventually('the connection is gone', () => !here.manager.connections.has(anna.id));
    const back = await there.guest('anna');
    await back.ask('join-room', 'lobby');
    // The grace period of the first node ends with this one.
    const zoe = await here.guest('zoe');
    await zoe.ask('join-room', 'lobby');
    await zoe.client.terminate();
    await eventually('the grace period is over', async () => (await heard(ben)).includes('-zoe'));

    expect((await heard(ben)).filter((change) => change.endsWith('anna'))).to.deep.equal(['+anna']);
    expect(events.filter((event) => event.endsWith('anna'))).to.deep.equal([]);
    expect(await idsIn(ben, { roomId: 'lobby' })).to.deep.equal([['anna', 'ben'], 2, 0]);
  });

  it('announces a changed name once, and lists it', async () => {
    const [here, there] = await presentNodes();
    const [, phone, ben] = [await here.guest('anna'), await there.guest('anna'), await there.guest('ben')];
    await eventually('ben knows anna', async () => (await heard(ben)).includes('+anna'));

    here.manager.updateUser('anna', { username: 'Anne' });

    await eventually('ben is told', async () => (await heard(ben)).includes('~anna'));
    await eventually('the list has it', async () => {
      const { users } = (await phone.ask('get-online-users')).content as { users: { userId: string; username: string }[] };
      return users.find(({ userId }) => userId === 'anna')?.username === 'Anne' || users;
    });
    expect((await heard(ben)).filter((change) => change === '~anna')).to.have.length(1);
  });

  it('knows on every node when a user was last seen, and pages through the users', async () => {
    const [here, there] = await presentNodes({ grace: 0 });
    const before = Date.now();
    const zoe = await there.guest('zoe');
    for (const user of ['anna', 'ben', 'carl']) await there.guest(user);
    const api = here.manager.api('presence');
    await eventually('all are in', async () => (await api.fetchOnline()).users.length === 4);

    await zoe.client.terminate();

    await eventually('zoe is gone', async () => (await api.fetchOnline()).users.length === 3);
    const first = await api.fetchOnline({}, { limit: 2 });
    const second = await api.fetchOnline({}, { limit: 2, cursor: first.cursor });
    expect([...first.users, ...second.users].map(({ userId }) => userId)).to.deep.equal(['anna', 'ben', 'carl']);
    await eventually('it is kept', async () => (await api.fetchLastSeen('zoe') ?? 0) >= before);
    expect(await api.fetchLastSeen('nobody')).to.equal(undefined);
    expect(await code(api.fetchOnline({}, { limit: 0 }))).to.equal('OPTION_INVALID');
  });

  it('keeps no seat when the room is deleted, or when the plugin is unloaded', async () => {
    const [here, there, { data }] = await presentNodes();
    await here.api.create('lobby');
    const anna = await here.guest('anna');
    await anna.ask('join-room', 'lobby');
    const api = there.manager.api('presence');
    await eventually('anna is in', async () => (await api.fetchOnline({ room: 'lobby' })).users.length === 1);

    await here.api.delete('lobby');
    await eventually('the room is empty', async () => (await api.fetchOnline({ room: 'lobby' })).users.length === 0);
    await here.manager.unload('presence');

    expect((await api.fetchOnline()).users).to.deep.equal([]);
    expect(data.sizes.sets).to.equal(0);
    expect(anna.client.messages.filter(({ type }) => type === 'user-offline')).to.deep.equal([]);
  });

  it('refuses lists while the store cannot be used', async () => {
    const [here] = await presentNodes();
    const anna = await here.guest('anna');

    await here.store.lapse();

    expect(await anna.refused('get-online-users')).to.equal('STORE_UNAVAILABLE');
    expect(await code(here.manager.api('presence').fetchOnline())).to.equal('STORE_UNAVAILABLE');
    expect(here.manager.api('presence').online()).to.deep.equal(['anna']);
    here.store.open();
  });

  it('does the same over Redis', async () => {
    const { url } = await redisServer();
    const [here, there] = await presentOn([new RedisAdapter({ url }), new RedisAdapter({ url })]);
    const anna = await here.guest('anna');
    await there.guest('ben');

    await eventually('anna knows ben', async () => (await heard(anna)).includes('+ben'));

    expect(await idsIn(anna)).to.deep.equal([['anna', 'ben'], 2, 0]);
    expect([...here.errors, ...there.errors]).to.deep.equal([]);
  });
});
