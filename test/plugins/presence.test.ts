import { expect } from 'chai';
import { ModuleError } from '../../index.ts';
import { namespaces } from '../../plugins/namespaces.ts';
import { presence, type PresenceOptions } from '../../plugins/presence.ts';
import { rooms } from '../../plugins/rooms.ts';
import type { Client } from '../support/client.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start, type Started } from '../support/start.ts';
import { eventually } from '../support/timing.ts';
import { byName, caughtUp, codeOf, metrics, gone, heard, iAm, QUIET, typists, watched, type Person } from './presence/lab.ts';

describe('presence', () => {
  it('needs rooms', async () => {
    const { manager } = await start({ ...QUIET });
    manager.use(presence());

    const failure = await manager.ready().catch((error: unknown) => error as ModuleError);

    expect(failure).to.have.property('code', 'PLUGIN_DEPENDENCY_MISSING');
    await manager.unload('presence');
  });

  describe('on the server', () => {
    it('a user counts once, with any number of connections', async () => {
      const { manager, presence: present, as } = await watched();

      const [anna] = [await as('anna'), await as('anna'), await as('ben'), await as('')];
      const { content } = await anna.request({ type: 'get-online-users' });

      expect(present.online()).to.deep.equal(['anna', 'ben']);
      expect(content).to.deep.equal({ users: [{ userId: 'anna', username: 'ANNA' }, { userId: 'ben', username: 'BEN' }], total: 2, guests: 1 });
      expect(metrics(manager)).to.include({ presence_users: 2, presence_guests: 1, presence_absences: 0 });
    });

    it('all clients are told who connects, and who is offline after the grace period, and nothing in between', async () => {
      const { manager, clock, as, round, presence: present } = await watched({ audience: 'everyone' });
      const ben = await as('ben');
      await round();
      const [anna, phone] = [await as('anna'), await as('anna')];
      await round();

      await gone(manager, anna);
      await clock.tickAsync(20_000);
      const withPhone = await heard(ben);
      await gone(manager, phone);
      await clock.tickAsync(9_000);
      const during = [await heard(ben), present.isOnline('anna')];
      await clock.tickAsync(2_000);

      expect(withPhone).to.deep.equal(['+ben', '+anna']);
      expect(during).to.deep.equal([['+ben', '+anna'], true]);
      expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '-anna']);
      expect(present.isOnline('anna')).to.equal(false);
    });

    it('a reload is not announced', async () => {
      const { manager, clock, as, presence: present } = await watched({ audience: 'everyone' });
      const events: string[] = [];
      manager.on('presence:online', ({ userId }) => events.push(`+${userId}`));
      manager.on('presence:offline', ({ userId }) => events.push(`-${userId}`));
      const ben = await as('ben');
      let anna = await as('anna');
      await clock.tickAsync(1_000);

      for (let reload = 0; reload < 3; reload++) {
        await gone(manager, anna);
        await clock.tickAsync(8_000);
        anna = await as('anna');
        await clock.tickAsync(8_000);
      }

      expect(await heard(ben)).to.deep.equal(['+ben', '+anna']);
      expect(events).to.deep.equal(['+ben', '+anna']);
      expect(present.online()).to.deep.equal(['ben', 'anna']);
      expect(metrics(manager)['presence_absences']).to.equal(0);
    });

    it('without a grace period a user is offline at once, and is not announced when online again in the same round', async () => {
      const { manager, as, round, presence: present } = await watched({ audience: 'everyone', grace: 0 });
      const [ben, anna] = [await as('ben'), await as('anna')];
      await round();

      await gone(manager, anna);
      const isOnline = present.isOnline('anna');
      const again = await as('anna');
      await round();
      const reloaded = await heard(ben);
      await gone(manager, again);
      await round();

      expect(isOnline).to.equal(false);
      expect(reloaded).to.deep.equal(['+ben', '+anna']);
      expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '-anna']);
    });

    it('many users who reconnect at once are announced in few messages, which list a hundred', async () => {
      const { manager, as, round, clock } = await watched({ audience: 'everyone', grace: 0 });
      const ben = await as('ben');
      await round();

      const herd = await Promise.all(Array.from({ length: 120 }, (_, index) => as(`user-${index}`)));
      await round();
      const { content } = await ben.next('user-online').then(() => ben.next('user-online'));
      await Promise.all(herd.map(caughtUp));
      const messages = herd.flatMap(({ messages: all }) => all.filter(({ type }) => type === 'user-online'));
      await gone(manager, ...herd);
      await clock.tickAsync(1_000);
      const left = await ben.next('user-offline');

      expect(content.users).to.have.lengthOf(100);
      expect(content.more).to.equal(20);
      expect(messages).to.have.lengthOf(120);
      expect([left.content.users.length, left.content.more]).to.deep.equal([100, 20]);
    });

    it('a connection counts for its user as soon as it is identified, and not before', async () => {
      const { as, round, presence: present } = await watched({ audience: 'everyone' }, { use: [iAm] });
      const [ben, late] = [await as('ben'), await as('')];
      await round();
      const before = present.online();

      await late.request({ type: 'i-am', content: 'Anna' });
      await late.request({ type: 'i-am', content: 'Anna B.' });
      await round();

      expect(before).to.deep.equal(['ben']);
      expect(await heard(ben)).to.deep.equal(['+ben', '+anna']);
      expect((await ben.request({ type: 'get-online-users' })).content).to.deep.include({ users: [{ userId: 'ben', username: 'BEN' }, { userId: 'anna', username: 'Anna B.' }], guests: 0 });
    });

    it('knows when maxRemembered users were last seen, and drops none for another', async () => {
      const { manager, presence: present, as, clock } = await watched({ maxRemembered: 2, grace: 0 });
      const anna = await as('anna');
      const began = Date.now();

      await clock.tickAsync(5_000);
      const meanwhile = present.lastSeen('anna');
      await gone(manager, anna);
      await clock.tickAsync(60_000);
      const seen = [meanwhile, present.lastSeen('anna'), present.lastSeen('nobody'), present.lastSeen('__proto__')];
      for (const user of ['ben', 'carla']) await gone(manager, await as(user));

      expect(seen).to.deep.equal([began + 5_000, began + 5_000, undefined, undefined]);
      expect(['anna', 'ben', 'carla'].map((user) => present.lastSeen(user) !== undefined)).to.deep.equal([true, true, false]);
    });

    it('gives grace periods to maxRemembered users, and ends none for another', async () => {
      const { manager, presence: present, as, round } = await watched({ maxRemembered: 2 });
      const clients = [await as('anna'), await as('ben'), await as('carla')];

      for (const client of clients) await gone(manager, client);
      await round();

      expect(present.online()).to.deep.equal(['anna', 'ben']);
    });

    it('emits events when a user is online, and when the user is offline', async () => {
      const { manager, as, clock } = await watched({ audience: 'nobody' });
      const events: unknown[] = [];
      manager.on('presence:online', (event) => events.push(event));
      manager.on('presence:offline', (event) => events.push(event));

      const [anna, phone] = [await as('anna'), await as('anna')];
      await gone(manager, anna, phone);
      const lastSeen = Date.now();
      await clock.tickAsync(11_000);

      expect(events).to.deep.equal([{ userId: 'anna' }, { userId: 'anna', lastSeen }]);
      expect(await heard(await as('ben'))).to.deep.equal([]);
    });

    it('shows the fields that `profile` returns, and always the id', async () => {
      const { as } = await watched({ profile: ({ id }) => ({ name: `<${id}>`, userId: 'forged' }) });
      const anna = await as('anna');

      const { content } = await anna.request({ type: 'get-online-users' });

      expect(content.users).to.deep.equal([{ name: '<anna>', userId: 'anna' }]);
    });

    it('shows only the id when `profile` throws, and reports the error', async () => {
      const { as, errors } = await watched({ profile: () => { throw new Error('no profile'); } });
      const anna = await as('anna');

      const { content } = await anna.request({ type: 'get-online-users' });

      expect(content.users).to.deep.equal([{ userId: 'anna' }]);
      expect(errors.splice(0).map(({ message }) => message)).to.deep.equal(['no profile']);
    });

    it('knows the users who came before it was loaded, and announces none of them', async () => {
      const { manager, as, round } = await watched({ audience: 'everyone' });
      const anna = await as('anna');
      await round();
      await manager.unload('presence');

      manager.use(presence({ audience: 'everyone' }));
      await manager.ready();
      await round();

      expect(manager.api('presence').online()).to.deep.equal(['anna']);
      expect(await heard(anna)).to.deep.equal(['+anna']);
    });
  });

  describe('in a room', () => {
    it('its members are told who joins and who leaves, and other clients are not', async () => {
      const { manager, create, join, leave, as, round, clock, presence: present } = await watched();
      await create('lobby');
      await create('other');
      const [ben, carla] = [await as('ben', 'lobby'), await as('carla', 'other')];
      await round();

      const anna = await as('anna', 'lobby');
      await round();
      const during = present.online({ room: 'lobby' });
      await leave(anna, 'lobby');
      await round();
      const left = await heard(ben);
      await join(anna, 'lobby');
      await round();
      await gone(manager, anna);
      await clock.tickAsync(5_000);
      const absent = present.online({ room: 'lobby' });
      await clock.tickAsync(6_000);

      expect(during).to.deep.equal(['ben', 'anna']);
      expect(left).to.deep.equal(['+ben', '+anna', '-anna']);
      expect(absent).to.deep.equal(['ben', 'anna']);
      expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '-anna', '+anna', '-anna']);
      expect(await heard(carla)).to.deep.equal(['+carla']);
      expect(present.online({ room: 'lobby' })).to.deep.equal(['ben']);
      expect((await ben.next('user-online')).content).to.deep.equal({ roomId: 'lobby', users: [{ userId: 'ben', username: 'BEN' }], more: 0 });
    });

    it('a reload is not announced when the user joins again in time; otherwise the user is announced as offline', async () => {
      const { manager, create, as, clock, presence: present } = await watched();
      await create('lobby');
      const ben = await as('ben', 'lobby');
      await clock.tickAsync(1_000);

      await gone(manager, await as('anna', 'lobby'));
      await clock.tickAsync(5_000);
      const back = await as('anna', 'lobby');
      await clock.tickAsync(30_000);
      const once = await heard(ben);
      await gone(manager, back);
      await as('anna');
      await clock.tickAsync(30_000);

      expect(once).to.deep.equal(['+ben', '+anna']);
      expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '-anna']);
      expect(present.online()).to.deep.equal(['ben', 'anna']);
      expect(present.online({ room: 'lobby' })).to.deep.equal(['ben']);
    });

    it('a reload is not announced while the user has another connection either', async () => {
      const { manager, create, as, clock } = await watched();
      await create('lobby');
      const [ben] = [await as('ben', 'lobby'), await as('anna')];
      await clock.tickAsync(1_000);

      await gone(manager, await as('anna', 'lobby'));
      await clock.tickAsync(5_000);
      await as('anna', 'lobby');
      await clock.tickAsync(30_000);

      expect(await heard(ben)).to.deep.equal(['+ben', '+anna']);
    });

    it('a guest who is identified comes as a user', async () => {
      const { manager, create, as, round } = await watched({}, { use: [iAm] });
      await create('lobby');
      const [ben, late] = [await as('ben', 'lobby'), await as('', 'lobby')];
      await round();

      await late.request({ type: 'i-am', content: 'Anna' });
      await round();
      const during = await heard(ben);
      await manager.api('rooms').leave(late.id, 'lobby');
      await round();

      expect(during).to.deep.equal(['+ben', '+anna']);
      expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '-anna']);
    });

    it('a user who is kicked is offline there at once', async () => {
      const { manager, create, as, round } = await watched();
      await create('lobby');
      const [ben, anna] = [await as('ben', 'lobby'), await as('anna', 'lobby')];
      await round();

      await manager.api('rooms').kick('lobby', 'anna');
      await round();

      expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '-anna']);
      expect(manager.connections.has(anna.id)).to.equal(true);
    });

    it('a user who leaves is offline there at once, whatever the other connections do', async () => {
      const { manager, create, leave, as, round, presence: present } = await watched();
      await create('lobby');
      const [ben, anna, phone] = [await as('ben', 'lobby'), await as('anna', 'lobby'), await as('anna')];
      await round();
      // It stays in the closing state, because it does not read the close frame.
      phone.ws.pause();
      manager.connections.get(phone.id)!.close();

      await leave(anna, 'lobby');
      const left = present.online({ room: 'lobby' });
      await round();

      expect(left).to.deep.equal(['ben']);
      expect(await heard(ben)).to.deep.equal(['+ben', '+anna', '-anna']);
    });

    it('guests are counted and not listed', async () => {
      const { create, as, round } = await watched();
      await create('lobby');
      const [ben] = [await as('ben', 'lobby'), await as('', 'lobby')];
      await round();

      const { content } = await ben.request({ type: 'get_online_users', content: { roomId: 'lobby' } });

      expect(content).to.deep.equal({ roomId: 'lobby', users: [{ userId: 'ben', username: 'BEN' }], total: 1, guests: 1 });
      expect(await heard(ben)).to.deep.equal(['+ben']);
    });

    it('a deleted room announces nothing', async () => {
      const { manager, create, as, round, clock, presence: present } = await watched();
      await create('lobby');
      const [ben, anna] = [await as('ben', 'lobby'), await as('anna', 'lobby')];
      await round();
      await gone(manager, anna);

      await manager.api('rooms').delete('lobby');
      await clock.tickAsync(20_000);

      expect(await heard(ben)).to.deep.equal(['+ben', '+anna']);
      expect(present.online({ room: 'lobby' })).to.deep.equal([]);
      expect(metrics(manager)['presence_absences']).to.equal(0);
    });
  });

  describe('in a namespace', () => {
    async function annaTwice() {
      const started = await watched({}, { use: [namespaces()] });
      started.manager.of('/chat');
      const clients = [await started.as('anna'), await started.as('anna')] as const;
      for (const client of clients) expect((await client.request({ type: 'connect', namespace: '/chat' })).type).to.equal('connected');
      return { ...started, clients };
    }

    it('its members see who is in it, also over a short absence', async () => {
      const { manager, as, clock, presence: present } = await watched({}, { use: [namespaces()] });
      manager.of('/chat');
      const enter = (client: Person) => client.request({ type: 'connect', namespace: '/chat' });
      const [ben, anna, carla, guest] = [await as('ben'), await as('anna'), await as('carla'), await as('')];
      for (const client of [ben, anna, guest]) expect((await enter(client)).type).to.equal('connected');

      const { content } = await ben.request({ type: 'get-online-users', content: { namespace: '/chat' } });
      const refused = await carla.request({ type: 'get-online-users', content: { namespace: '/chat' } });
      await gone(manager, anna);
      const absent = present.online({ namespace: '/chat' });
      await ben.request({ type: 'disconnect', namespace: '/chat' });
      const left = present.online({ namespace: '/chat' });
      await clock.tickAsync(11_000);

      expect(content).to.deep.equal({ namespace: '/chat', users: [{ userId: 'ben', username: 'BEN' }, { userId: 'anna', username: 'ANNA' }], total: 2, guests: 1 });
      expect(codeOf(refused)).to.equal('FORBIDDEN');
      expect([absent, left, present.online({ namespace: '/chat' })]).to.deep.equal([['ben', 'anna'], ['anna'], []]);
    });

    it('a user who leaves is offline there at once, even after another connection broke', async () => {
      const { manager, clients: [tab, phone], presence: present } = await annaTwice();

      await gone(manager, tab);
      await phone.request({ type: 'disconnect', namespace: '/chat' });

      expect(present.online({ namespace: '/chat' })).to.deep.equal([]);
    });

    it('a user who leaves with one connection stays online there with the other', async () => {
      const { clients: [, phone], presence: present } = await annaTwice();

      await phone.request({ type: 'disconnect', namespace: '/chat' });

      expect(present.online({ namespace: '/chat' })).to.deep.equal(['anna']);
    });
  });

  describe('the list', () => {
    it('of a room is for its members, unless canList says otherwise', async () => {
      const canList: PresenceOptions['canList'] = ({ user }, { room }) => user?.id === 'admin' || room === undefined;
      const { create, as } = await watched({});
      await create('lobby');
      const anna = await as('anna');
      const refused = [await anna.request({ type: 'get-online-users', roomId: 'lobby' }), await anna.request({ type: 'get-online-users', roomId: 'no such room' })];
      const strict = await start({ ...QUIET, use: [byName, rooms(), presence({ canList })] });
      const [admin, user] = [await strict.connect({ search: '?user=admin' }), await strict.connect({ search: '?user=user' })];

      const replies = [await admin.request({ type: 'get-online-users', roomId: 'x' }), await user.request({ type: 'get-online-users', roomId: 'x' }), await user.request({ type: 'get-online-users' })];

      expect(refused.map(codeOf)).to.deep.equal(['FORBIDDEN', 'FORBIDDEN']);
      expect(replies.map(({ type }) => type)).to.deep.equal(['online-users', 'error', 'online-users']);
    });

    it('lists maxListed users, and counts the others', async () => {
      const { as } = await watched({ maxListed: 2 });
      const [anna] = [await as('anna'), await as('ben'), await as('carla')];

      const { content } = await anna.request({ type: 'get-online-users' });

      expect(content.users.map(({ userId }: { userId: string }) => userId)).to.deep.equal(['anna', 'ben']);
      expect(content.total).to.equal(3);
    });

    const wrong: readonly (readonly [object, string])[] = [
      [{ roomId: 5 }, 'VALIDATION_FAILED'], [{ roomId: ['lobby'] }, 'VALIDATION_FAILED'], [{ content: { roomId: {} } }, 'VALIDATION_FAILED'],
      [{ content: { namespace: 5 } }, 'VALIDATION_FAILED'], [{ content: { namespace: '/chat', roomId: 'lobby' } }, 'VALIDATION_FAILED'],
      [{ content: { namespace: '/chat#room' } }, 'VALIDATION_FAILED'],
      [{ roomId: '' }, 'FORBIDDEN'], [{ roomId: '__proto__' }, 'FORBIDDEN'], [{ roomId: 'constructor' }, 'FORBIDDEN'], [{ roomId: 'x'.repeat(10_240) }, 'FORBIDDEN'],
      [{ content: { namespace: '/nowhere' } }, 'FORBIDDEN'], [{ roomId: 'lobby\u0000' }, 'FORBIDDEN'],
    ];
    for (const [payload, code] of wrong) {
      it(`is refused to ${JSON.stringify(payload).slice(0, 50)} with ${code}`, async () => {
        const { as } = await watched();
        const anna = await as('anna');

        expect(codeOf(await anna.request({ type: 'get-online-users', ...payload }))).to.equal(code);
      });
    }

    for (const payload of [{}, { content: null }, { content: 'text' }, { content: [] }, { roomId: null }]) {
      it(`of the server is given to ${JSON.stringify(payload)}`, async () => {
        const { as } = await watched();
        const anna = await as('anna');

        expect((await anna.request({ type: 'get-online-users', ...payload })).content.total).to.equal(1);
      });
    }
  });

  describe('typing', () => {
    async function chat(options?: PresenceOptions) {
      const started = await watched(options);
      await started.create('lobby');
      const [anna, phone, ben] = [await started.as('anna', 'lobby'), await started.as('anna', 'lobby'), await started.as('ben', 'lobby')];
      const types = (client: Client, isTyping: unknown = true, roomId: unknown = 'lobby') => client.request({ type: 'typing', roomId, isTyping, ack: true });
      return { ...started, anna, phone, ben, types };
    }

    it('is sent to the other members, and not to the member who types', async () => {
      const { anna, phone, ben, types, as, round } = await chat();
      const carla = await as('carla');

      await types(anna);
      await types(anna, false);
      await round();

      const [message] = ben.messages.filter(({ type }) => type === 'user-typing');
      expect(await typists(ben)).to.deep.equal(['anna…', 'anna.']);
      expect(message!.content).to.deep.equal({ roomId: 'lobby', userId: 'anna', username: 'ANNA', isTyping: true });
      for (const client of [anna, phone, carla]) expect(await typists(client)).to.deep.equal([]);
    });

    it('ends by itself', async () => {
      const { manager, anna, ben, types, clock } = await chat();

      await types(anna);
      await clock.tickAsync(5_000);
      const during = await typists(ben);
      await clock.tickAsync(2_000);

      expect(during).to.deep.equal(['anna…']);
      expect(await typists(ben)).to.deep.equal(['anna…', 'anna.']);
      await clock.tickAsync(5_000);
      expect(metrics(manager)['presence_typing']).to.equal(0);
    });

    it('is sent at most once per interval, however often the client sends it', async () => {
      const { anna, phone, ben, types, clock } = await chat();

      for (let time = 0; time < 9_000; time += 500) {
        await types(time % 1_000 ? anna : phone);
        await clock.tickAsync(500);
      }
      const steady = await typists(ben);
      await types(anna, false);
      for (let toggle = 0; toggle < 50; toggle++) await types(anna, toggle % 2 === 0);
      const toggled = await typists(ben);

      expect(steady).to.deep.equal(['anna…', 'anna…', 'anna…']);
      expect(toggled.slice(3)).to.have.lengthOf.at.most(3);
      expect(toggled.at(-1)).to.equal('anna.');
    });

    it('is sent later if it came before the interval was over', async () => {
      const { anna, ben, types, clock } = await chat();

      for (const isTyping of [true, false, true]) await types(anna, isTyping);
      const soon = await typists(ben);
      await clock.tickAsync(3_000);

      expect(soon).to.deep.equal(['anna…', 'anna.']);
      expect(await typists(ben)).to.deep.equal(['anna…', 'anna.', 'anna…']);
    });

    it('ends with a message in that room', async () => {
      const { anna, ben, types, say, create, join } = await chat();
      await create('other');
      for (const client of [anna, ben]) await join(client, 'other');

      await types(anna);
      await say('hello', 'other', anna);
      const elsewhere = await typists(ben);
      await say('hello', 'lobby', ben);
      await say('the server speaks', 'lobby');
      const others = await typists(ben);
      await say('hello', 'lobby', anna);

      expect([elsewhere, others]).to.deep.equal([['anna…'], ['anna…']]);
      expect(await typists(ben)).to.deep.equal(['anna…', 'anna.']);
    });

    it('ends when the member leaves', async () => {
      const { anna, phone, ben, types, leave } = await chat();

      await types(anna);
      for (const client of [anna, phone]) await leave(client, 'lobby');

      expect(await typists(ben)).to.deep.equal(['anna…', 'anna.']);
    });

    it('ends when the connection closes that typed last', async () => {
      const { manager, anna, phone, ben, types } = await chat();

      await types(anna);
      await types(phone);
      await gone(manager, anna);
      const first = await typists(ben);
      await gone(manager, phone);

      expect(first).to.deep.equal(['anna…']);
      expect(await typists(ben)).to.deep.equal(['anna…', 'anna.']);
    });

    it('of a guest is sent with the id of the connection', async () => {
      const { as, ben, types } = await chat();
      const guest = await as('', 'lobby');

      await types(guest);

      expect(await typists(ben)).to.deep.equal([`${guest.id}…`]);
      expect(await typists(guest)).to.deep.equal([]);
    });

    it('ends with the room', async () => {
      const { manager, anna, ben, types, clock } = await chat();

      await types(anna);
      await manager.api('rooms').delete('lobby');
      const heardOf = await typists(ben);
      await clock.tickAsync(10_000);

      expect(await typists(ben)).to.deep.equal(heardOf);
      expect(metrics(manager)['presence_typing']).to.equal(0);
    });

    it('is refused to clients that are not in the room, or may not send there', async () => {
      const { manager, ben, anna, types, as, create } = await chat();
      await create('quiet', { permissions: { defaultRole: 'guest' } });
      const [carla, quiet] = [await as('carla'), await as('dora', 'quiet')];
      await manager.api('rooms').mute('lobby', 'anna', 60_000);

      const replies = [await types(carla), await types(quiet, true, 'quiet'), await types(anna), await types(ben, true, '__proto__'), await types(ben, true, 'x'.repeat(10_240))];

      expect(replies.map(codeOf)).to.deep.equal(['NOT_IN_ROOM', 'FORBIDDEN', 'FORBIDDEN', 'NOT_IN_ROOM', 'NOT_IN_ROOM']);
      expect(metrics(manager)['presence_typing']).to.equal(0);
    });

    for (const payload of [{}, { roomId: 5 }, { roomId: 'lobby' }, { roomId: 'lobby', isTyping: 'yes' }, { roomId: 'lobby', isTyping: null }, { content: ['lobby'] }, { content: null }]) {
      it(`is refused for ${JSON.stringify(payload)}`, async () => {
        const { anna } = await chat();

        expect(codeOf(await anna.request({ type: 'typing', ...payload }))).to.equal('VALIDATION_FAILED');
      });
    }
  });

  it('uses the naming of the application', async () => {
    const { create, as, round } = await watched({}, { naming: 'snake' });
    await create('lobby');
    const [anna, ben] = [await as('anna', 'lobby'), await as('ben', 'lobby')];
    await round();

    await anna.request({ type: 'typing', content: { roomId: 'lobby', isTyping: true }, ack: true });
    const { type } = await anna.request({ type: 'get_online_users' });

    expect(type).to.equal('online_users');
    await ben.next('user_online');
    await ben.next('user_typing');
  });

  it('may be unloaded at any time', async () => {
    const { manager, create, as, clock } = await watched({ canList: () => new Promise((resolve) => setImmediate(resolve, true)) });
    await create('lobby');
    const [anna, ben] = [await as('anna', 'lobby'), await as('ben', 'lobby')];

    const lists = Array.from({ length: 20 }, () => anna.request({ type: 'get-online-users' }));
    for (let count = 0; count < 20; count++) void ben.send({ type: 'typing', roomId: 'lobby', isTyping: count % 2 === 0 });
    await manager.unload('presence');
    await gone(manager, ben);
    await clock.tickAsync(30_000);

    for (const { type, content } of await Promise.all(lists)) expect(type === 'online-users' || content.code === 'UNKNOWN_TYPE').to.equal(true);
  });

  describe('its options', () => {
    const wrong: readonly (readonly [options: object, code: string, path: string])[] = [
      [{ grace: -1 }, 'OPTION_INVALID', 'presence.grace'],
      [{ audience: 'all' }, 'OPTION_INVALID', 'presence.audience'],
      [{ interval: 0 }, 'OPTION_INVALID', 'presence.interval'],
      [{ typingTimeout: '6s' }, 'OPTION_INVALID', 'presence.typingTimeout'],
      [{ typingInterval: NaN }, 'OPTION_INVALID', 'presence.typingInterval'],
      [{ profile: {} }, 'OPTION_INVALID', 'presence.profile'],
      [{ canList: true }, 'OPTION_INVALID', 'presence.canList'],
      [{ maxListed: 0 }, 'OPTION_INVALID', 'presence.maxListed'],
      [{ maxRemembered: 0.5 }, 'OPTION_INVALID', 'presence.maxRemembered'],
      [{ graze: 5 }, 'OPTION_UNKNOWN', 'presence.graze'],
    ];

    for (const [options, code, path] of wrong) {
      it(`refuse ${JSON.stringify(options)} with ${code}, naming ${path}`, () => {
        expect(() => presence(options)).to.throw(ModuleError, path).with.property('code', code);
      });
    }
  });

  it('is a property of itself, so that `require()` can be destructured', () => {
    expect(presence.presence).to.equal(presence);
  });
});

pluginSuite('presence', () => presence({ interval: 10, grace: 20, audience: 'everyone' }), {
  requires: () => [rooms()],
  options: { ...QUIET, use: [byName] },
  exercise: async ({ manager, connect }: Started, client) => {
    const anna = await connect({ search: '?user=anna' });
    await client.next('user-online');
    await anna.close();
    await client.next('user-offline');
    await eventually('anna to be gone', () => manager.connections.size <= 1);
  },
});
