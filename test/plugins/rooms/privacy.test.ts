import { expect } from 'chai';
import type { RoomsOptions } from '../../../plugins/rooms.ts';
import { serve } from './serving.ts';

/** Every message that names a room, with what it needs beside. */
const requests: readonly (readonly [type: string, content?: object])[] = [
  ['join-room'],
  ['join-room', { password: 'x' }],
  ['leave-room'],
  ['get-room-info'],
  ['delete-room'],
  ['room-message', { content: 'hi' }],
  ...['room-kick', 'room-ban', 'room-unban', 'room-warn', 'room-unmute', 'room-invite'].map(
    (type) => [type, { userId: 'mia' }] as const,
  ),
  ['room-mute', { userId: 'mia', duration: 1_000 }],
  ['room-role', { userId: 'mia', role: 'admin' }],
];

describe('a private room', () => {
  const policies: Readonly<Record<string, RoomsOptions>> = {
    'by default': {},
    'with a canJoin that refuses': { canJoin: () => false },
    'with a canJoin that asks for the default': { canJoin: (_attempt, standard) => standard() },
    'with one room for each connection': { maxRoomsPerConnection: 1 },
  };

  for (const [what, options] of Object.entries(policies)) {
    it(`answers as an unknown one to users who may not see it, ${what}`, async () => {
      const { api, guest } = await serve(options);
      await api.create('secret', { isPrivate: true, owner: 'olga', maxUsers: 1 });
      await api.create('lobby');
      await api.manager.joinRoom('secret', 'mia');
      await api.ban('secret', 'banned');
      const users = [await guest('outsider'), await guest('banned'), await guest('kicked'), await guest()];
      await api.manager.joinRoom('secret', 'kicked');
      await api.kick('secret', 'kicked');
      if (options.maxRoomsPerConnection) for (const { id } of users) await api.join(id, 'lobby');

      for (const user of users) {
        for (const [type, content] of requests) {
          const ask = async (roomId: string) => {
            const reply = await user.ask(type, { roomId, ...content });
            return JSON.stringify({ type: reply.type, content: reply.content as object }).replaceAll(
              roomId,
              'the room',
            );
          };
          const about = `${type} by ${user.connection.user?.id ?? 'an anonymous client'}`;
          expect(await ask('secret'), about).to.equal(await ask('nowhere'));
        }
      }
      expect(api.members('secret')).to.deep.equal(['mia']);
    });
  }

  it('answers users who may see it', async () => {
    const { api, guest } = await serve();
    await api.create('secret', { isPrivate: true, owner: 'olga', maxUsers: 1 });
    const [olga, ivy] = [await guest('olga'), await guest('ivy')];
    await api.invite('secret', 'ivy');
    await olga.ask('join-room', 'secret');

    expect(await ivy.refused('join-room', 'secret')).to.equal('ROOM_FULL');
    expect(await ivy.refused('leave-room', 'secret')).to.equal('NOT_IN_ROOM');
    expect(await ivy.refused('room-kick', { roomId: 'secret', userId: 'olga' })).to.equal('NOT_IN_ROOM');
    expect((await ivy.ask('get-room-info', 'secret')).content).to.include({ roomId: 'secret' });
  });
});
