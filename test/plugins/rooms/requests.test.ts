import { expect } from 'chai';
import fc from 'fast-check';
import { ModuleError, type MessageLayer } from '../../../index.ts';
import { code, received, serve } from './serving.ts';

/** The places of the room's id in a message, each with the room that it names; `undefined`: none. */
const places: readonly (readonly [message: object, named: string | undefined])[] = [
  [{ roomId: 'lobby' }, 'lobby'],
  [{ content: { roomId: 'lobby' } }, 'lobby'],
  [{ data: { roomId: 'lobby' } }, 'lobby'],
  [{ content: 'lobby' }, 'lobby'],
  [{ room: 'lobby' }, 'lobby'],
  [{ content: { room: 'lobby' } }, 'lobby'],
  [{ roomId: 'lobby', content: 'hello' }, 'lobby'],
  [{ room: 'lobby', content: 'hello' }, 'lobby'],
  [{ roomId: 'lobby', room: 'den' }, 'lobby'],
  [{ roomId: 'lobby', content: { room: 'den' } }, 'lobby'],
  [{ roomId: 'lobby', content: { roomId: 'den' } }, 'lobby'],
  [{ roomId: 'lobby', content: { roomId: null } }, 'lobby'],
  [{ content: { roomId: 'lobby', room: 'den' } }, 'lobby'],
  [{ password: 'x', content: 'lobby' }, 'lobby'],
  [{}, undefined],
  [{ content: {} }, undefined],
  [{ room: null }, undefined],
  [{ room: 5 }, undefined],
  [{ roomId: ['lobby'] }, undefined],
  [{ room: '' }, undefined],
  [{ room: 'x'.repeat(256) }, undefined],
  [{ room: 'lobby', content: { roomId: 'den' } }, undefined],
  [{ roomId: null, content: { roomId: 'lobby' } }, undefined],
];

describe('the room that a message names', () => {
  for (const [message, named] of places) {
    it(`is ${named ?? 'refused'} in ${JSON.stringify(message).slice(0, 60)}`, async () => {
      const { api, guest } = await serve();
      for (const id of ['lobby', 'den']) await api.create(id);
      const alice = await guest('alice');

      const reply = await alice.client.request({ type: 'join-room', ...message });

      const joined = named === undefined ? [] : [named];
      expect([...alice.connection.rooms!]).to.deep.equal(joined);
      expect(reply.content).to.include(named === undefined ? { code: 'VALIDATION_FAILED' } : { roomId: named });
    });
  }

  it('is the one that layers see in the payload, wherever the fields stand', async function () {
    this.timeout(60_000);
    const guard: MessageLayer = {
      type: 'message',
      handler({ type, payload }, _connection, next) {
        const { roomId } = (payload ?? {}) as { roomId?: unknown };
        if (type === 'join-room' && !String(roomId).startsWith('public-')) throw new ModuleError('FORBIDDEN');
        return next();
      },
    };
    const { api, guest } = await serve({}, { use: [guard] });
    await api.create('staff');
    await api.create('public-1');
    const alice = await guest('alice');
    const value = fc.constantFrom('staff', 'public-1', null, undefined, 7);
    const fields = fc.record({ roomId: value, room: value }, { requiredKeys: [] });

    await fc.assert(fc.asyncProperty(fields, fc.oneof(fields, value), async (beside, content) => {
      await alice.client.request({ type: 'join-room', ...beside, ...(content !== undefined && { content }) });
      const joined = [...alice.connection.rooms!];
      await api.leaveAll(alice.id);
      expect(joined).to.not.include('staff');
    }), { numRuns: 200 });
  });
});

describe('an identifier', () => {
  const long = 'u'.repeat(255);

  it('of 255 characters joins, speaks, and is muted and banned like others', async () => {
    const { api, guest } = await serve({ maxNameLength: 255 });
    const roomId = 'r'.repeat(255);
    await api.create(roomId, { owner: 'olga' });
    const [olga, member] = [await guest('olga'), await guest(long)];
    for (const one of [olga, member]) await one.ask('join-room', { roomId });

    expect((await member.ask('room-message', 'hi', { roomId, ack: true })).type).to.equal('ack');
    expect((await olga.ask('room-mute', { roomId, userId: long, duration: 60_000 })).type).to.equal('room-mute');
    expect(await member.refused('room-message', 'hi', { roomId })).to.equal('MUTED');
    expect((await olga.ask('room-ban', { roomId, userId: long })).type).to.equal('room-ban');
    expect(await member.refused('join-room', { roomId })).to.equal('BANNED');
  });

  it('of a room has 255 UTF-16 units, however few characters they are', async () => {
    const { api } = await serve({ maxNameLength: 255 });
    const families = '👨‍👩‍👧‍👦'.repeat(24);

    const error = await api.create('families', { id: families }).catch((thrown: unknown) => thrown);

    expect(error).to.include({ code: 'ROOM_NAME_INVALID' });
    expect(families.length).to.equal(264);
  });

  it('of a user that is not a string, or too long, is rejected by every action', async () => {
    const { api, members } = await serve();
    await members('lobby', 'mia');

    for (const given of [17, 17n, null, undefined, {}, '', 'u'.repeat(256)]) {
      const userId = given as string;
      for (const action of ['kick', 'ban', 'unban', 'unmute', 'warn', 'invite'] as const) {
        expect(await code(api[action]('lobby', userId)), `${action} ${typeof given}`).to.equal('VALIDATION_FAILED');
      }
      expect(await code(api.mute('lobby', userId, 1_000))).to.equal('VALIDATION_FAILED');
      expect(await code(api.setRole('lobby', userId, 'admin'))).to.equal('VALIDATION_FAILED');
      if (given !== undefined) expect(await code(api.create('den', { owner: userId }))).to.equal('VALIDATION_FAILED');
    }
    expect(api.get('lobby')!.remembered().size).to.equal(0);
  });
});

describe('the handlers of rooms', () => {
  it('are registered in the naming of the application', async () => {
    const types: string[] = [];
    const { members } = await serve({}, {
      naming: 'snake',
      use: [{ type: 'message', handler(message, _connection, next) { types.push(message.type); return next(); } }],
    });
    const [alice] = await members('lobby', 'alice');

    for (const type of ['leave-room', 'join room', 'get_room_info']) await alice.ask(type, { roomId: 'lobby' });

    expect(types.filter((type) => type !== 'who')).to.deep.equal(['leave_room', 'join_room', 'get_room_info']);
    expect(await received(alice, 'room_left')).to.have.length(1);
  });
});
