import { expect } from 'chai';
import { useFakeTimers } from 'sinon';
import { ModuleError } from '../../../index.ts';
import type { RoomsOptions } from '../../../plugins/rooms.ts';
import { cleanup } from '../../support/cleanup.ts';
import { eventually } from '../../support/timing.ts';
import { code, received, serve, type Guest } from './serving.ts';

/** A room with its owner in it, a member, and a user who never was in it. */
async function open(options: RoomsOptions = {}) {
  const serving = await serve(options);
  const room = await serving.api.create('lobby', { owner: 'olga' });
  const [olga, mia] = await serving.members('lobby', 'olga', 'mia');
  return { ...serving, room, olga, mia, stranger: await serving.guest('stranger') };
}

const deeds = ['room-kick', 'room-ban', 'room-mute', 'room-warn'] as const;
const act = (by: Guest, type: string, userId: string, reason?: string) =>
  by.ask(type, { roomId: 'lobby', userId, duration: 60_000, ...(reason !== undefined && { reason }) });
const notices = ['kicked', 'banned', 'muted', 'warning'];
const told = async (one: Guest) => (await Promise.all(notices.map((type) => received(one, type)))).flat();

describe('an action on a user', () => {
  for (const type of deeds) {
    it(`${type} is refused, and not told, when the user never was in the room`, async () => {
      const { olga, stranger, room } = await open();

      const reply = await act(olga, type, 'stranger', 'x'.repeat(500));

      expect(reply.content).to.include({ code: 'NOT_IN_ROOM', room: 'lobby', user: 'stranger' });
      expect(await told(stranger)).to.deep.equal([]);
      expect(room.remembers('stranger')).to.be.false;
    });
  }

  it('is possible for an hour after the user has left', async () => {
    const { api, olga, mia, members } = await open();
    const [max] = await members('lobby', 'max');
    const clock = useFakeTimers({ toFake: ['performance'] });
    cleanup(() => clock.restore());
    for (const one of [mia, max]) await api.leave(one.id, 'lobby');

    clock.tick(3_599_000);
    const inTime = await act(olga, 'room-ban', 'mia');
    clock.tick(2_000);
    const late = await act(olga, 'room-ban', 'max');

    expect(inTime.type).to.equal('room-ban');
    expect(late.content).to.include({ code: 'NOT_IN_ROOM' });
  });

  it('is possible on an invited user, and on one who was kicked', async () => {
    const { olga, mia } = await open();
    await olga.ask('room-invite', { roomId: 'lobby', userId: 'stranger' });
    await act(olga, 'room-kick', 'mia');

    expect((await act(olga, 'room-warn', 'stranger')).type).to.equal('room-warn');
    expect((await act(olga, 'room-ban', 'mia')).type).to.equal('room-ban');
    expect(await mia.refused('join-room', 'lobby')).to.equal('BANNED');
  });

  it('is not possible through a deleted room of the same id', async () => {
    const { api, olga, mia } = await open();
    await api.leave(mia.id, 'lobby');
    await api.delete('lobby');
    await api.create('lobby', { owner: 'olga' });

    expect((await act(olga, 'room-warn', 'mia')).content).to.include({ code: 'NOT_IN_ROOM' });
  });

  it('is possible for the server on any user', async () => {
    const { api, stranger } = await open();

    await api.ban('lobby', 'stranger', { reason: 'spam' });

    expect((await told(stranger)).map(({ content }) => content as object)).to.deep.equal([
      { roomId: 'lobby', reason: 'spam' },
    ]);
    expect(await stranger.refused('join-room', 'lobby')).to.equal('BANNED');
  });
});

describe('the reason of an action', () => {
  it('passes the filters of messages, which may replace it', async () => {
    const { api, olga, mia } = await open();
    const seen: unknown[] = [];
    api.filter(({ room, userId, connection, content }) => {
      seen.push([room.id, userId, connection?.id === olga.id]);
      return String(content).replace('damn', '****');
    });

    await act(olga, 'room-warn', 'mia', 'damn noise');

    expect((await mia.client.next('warning')).content).to.include({ reason: '**** noise' });
    expect(seen).to.deep.equal([['lobby', 'olga', true]]);
  });

  const obstacles: Readonly<Record<string, readonly [options: RoomsOptions, code: string]>> = {
    'a filter': [{}, 'BAD_WORD'],
    'canSend': [{ canSend: () => false }, 'FORBIDDEN'],
    'the length of messages': [{ defaults: { message: { maxLength: 3 } } }, 'MESSAGE_TOO_LONG'],
    'the kinds of content': [{ defaults: { message: { allowEmojis: false } } }, 'CONTENT_NOT_ALLOWED'],
  };
  for (const [what, [options, expected]] of Object.entries(obstacles)) {
    it(`must pass ${what}; otherwise the action is refused, too`, async () => {
      const { api, olga, mia, room } = await open(options);
      api.filter(({ content }) => { if (content === 'bad 🍵') throw new ModuleError('BAD_WORD'); });

      for (const type of deeds) expect((await act(olga, type, 'mia', 'bad 🍵')).content).to.include({ code: expected });

      expect(await told(mia)).to.deep.equal([]);
      expect(room.users.has('mia')).to.be.true;
      expect((await act(olga, 'room-ban', 'mia')).type).to.equal('room-ban');
    });
  }

  it('is refused from a muted member', async () => {
    const { api, members, mia } = await open();
    const [adam] = await members('lobby', 'adam');
    await api.setRole('lobby', 'adam', 'admin');
    await api.mute('lobby', 'adam', 60_000);

    expect((await act(adam, 'room-kick', 'mia', 'noise')).content).to.include({ code: 'MUTED' });
    expect(await told(mia)).to.deep.equal([]);
  });

  it('does not outlive the permission of the member, nor the room', async () => {
    const { api, members, mia } = await open();
    const [adam, eve] = await members('lobby', 'adam', 'eve');
    for (const one of ['adam', 'eve']) await api.setRole('lobby', one, 'admin');
    const waiting: (() => void)[] = [];
    api.filter(() => new Promise<void>((resolve) => waiting.push(resolve)));
    const replies = [act(adam, 'room-kick', 'mia', 'noise'), act(eve, 'room-kick', 'mia', 'noise')];
    await eventually('both wait', () => waiting.length === 2);

    await api.setRole('lobby', 'adam', 'member');
    waiting[0]!();
    const demoted = await replies[0]!;
    await api.delete('lobby');
    waiting[1]!();

    expect(demoted.content).to.include({ code: 'FORBIDDEN' });
    expect((await replies[1]!).content).to.include({ code: 'ROOM_UNKNOWN' });
    expect(await told(mia)).to.deep.equal([]);
  });

  it('of the server is not checked', async () => {
    const { api, mia } = await open({ canSend: () => false });

    await api.warn('lobby', 'mia', { reason: 'x'.repeat(5_000) });

    expect((await mia.client.next('warning')).content.reason).to.have.length(5_000);
  });
});

describe('the name of a room in an invitation', () => {
  it('passes the filters if a member has chosen it', async () => {
    const { api, guest } = await serve();
    const [olga, stranger] = [await guest('olga'), await guest('stranger')];
    await olga.ask('create-room', 'damn you');
    await api.create('damn server');
    await api.join(olga.id, 'damn server');
    await api.setRole('damn server', 'olga', 'admin');
    api.filter(({ content }) => { if (String(content).startsWith('damn')) throw new ModuleError('BAD_WORD'); });

    const refused = await olga.refused('room-invite', { roomId: 'damn you', userId: 'stranger' });
    const passed = await olga.ask('room-invite', { roomId: 'damn server', userId: 'stranger' });

    expect(refused).to.equal('BAD_WORD');
    expect(passed.type).to.equal('room-invite');
    expect((await received(stranger, 'room-invited')).map(({ content }) => content.name as string)).to.deep.equal([
      'damn server',
    ]);
  });
});

describe('actions', () => {
  it('are limited for each member, in all rooms together', async () => {
    const { api, olga, members } = await open({ maxActionsPerMinute: 3 });
    const [adam] = await members('lobby', 'adam');
    await api.setRole('lobby', 'adam', 'admin');
    await api.create('den', { owner: 'olga' });

    for (let n = 0; n < 2; n++) await act(olga, 'room-warn', 'mia');
    await olga.ask('room-invite', { roomId: 'den', userId: 'mia' });
    const beyond = await act(olga, 'room-warn', 'mia');

    expect(beyond.content).to.include({ code: 'RATE_LIMITED', scope: 'action' });
    expect(beyond.content.retryAfter).to.be.within(19_000, 20_000);
    expect((await act(adam, 'room-warn', 'mia')).content).to.include({ warningCount: 3 });
    expect(await api.warn('lobby', 'mia')).to.equal(4);
  });

  it('of anonymous members share the limit of their address', async () => {
    const { api, guest } = await serve({ maxActionsPerMinute: 3 });
    const outcomes: unknown[] = [];

    for (let n = 0; n < 4; n++) {
      const one = await guest();
      await api.create(`room ${n}`, { owner: one.id });
      outcomes.push(await code(api.invite(`room ${n}`, 'stranger', { by: one.id })));
    }

    expect(outcomes.slice(2)).to.deep.equal([{ resolved: undefined }, 'RATE_LIMITED']);
  });
});
