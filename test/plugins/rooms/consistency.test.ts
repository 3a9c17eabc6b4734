import { expect } from 'chai';
import fc from 'fast-check';
import { definePlugin, isConnectionId, type Node } from '../../../index.ts';
import { undoAll } from '../../support/cleanup.ts';
import { eventually } from '../../support/timing.ts';
import { code, serve, type Guest } from './serving.ts';

const ROOMS = ['a', 'b', 'c'];
const USERS = ['mia', 'max', undefined];

const room = fc.constantFrom(...ROOMS);
const at = fc.nat({ max: 7 });
const step = fc.oneof(
  fc.record({ do: fc.constantFrom('come', 'kick', 'ban', 'unban', 'delete', 'create', 'enter', 'exit'), room, at }),
  fc.record({
    do: fc.constantFrom(
      'join',
      'join',
      'join',
      'leave',
      'leaveAll',
      'go',
      'identify',
      'place',
      'remove',
      'punish',
      'favor',
    ),
    room,
    at,
  }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

describe('membership', () => {
  it('is consistent between members, connections, topics and events after any steps', async function () {
    this.timeout(300_000);

    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      let node!: Node;
      const probe = definePlugin({ name: 'probe', setup(context) { node = context.node; } });
      const { api, manager, guest, errors } = await serve(
        { defaults: { maxUsers: 4 }, maxRoomsPerConnection: 2 },
        { use: [probe] },
      );
      const guests: Guest[] = [];
      const deadlines = manager.inspect()['deadlines'];
      /** Members by room, by the events. */
      const told = new Map<string, Set<string>>();
      manager.on('room:created', ({ room: { id } }) => { told.set(id, new Set()); });
      manager.on('room:deleted', ({ room: { id } }) => { told.delete(id); });
      manager.on('room:joined', ({ room: { id }, userId }) => {
        if (told.get(id)!.has(userId)) throw new Error(`${userId} joined twice`);
        told.get(id)!.add(userId);
      });
      manager.on('room:left', ({ room: { id }, userId }) => {
        if (!told.get(id)!.delete(userId)) throw new Error(`${userId} left twice`);
      });

      const run = async ({ do: what, room: roomId, at: index }: Step): Promise<void> => {
        const one = guests[index % Math.max(1, guests.length)];
        const userId = USERS[index % 2]!;
        if (what === 'come') guests.push(await guest(USERS[index % 3]));
        else if (what === 'create') await code(api.create(roomId, { isPrivate: index === 0 }));
        else if (what === 'delete') await code(api.delete(roomId));
        else if (what === 'enter') await code(api.manager.joinRoom(roomId, userId));
        else if (what === 'exit') await code(api.manager.leaveRoom(roomId, userId));
        else if (what === 'kick' || what === 'ban' || what === 'unban') await code(api[what](roomId, userId));
        else if (!one) return;
        else if (what === 'join') await code(api.join(one.id, roomId));
        else if (what === 'leave') await code(api.leave(one.id, roomId));
        else if (what === 'leaveAll') await code(api.leaveAll(one.id));
        else if (what === 'place') await code(manager.connections.joinRoom(one.id, roomId));
        else if (what === 'remove') await code(manager.connections.leaveRoom(one.id, roomId));
        else if (what === 'punish') {
          for (const deed of [
            () => api.warn(roomId, one.id),
            () => api.mute(roomId, one.id, 60_000),
            () => api.ban(roomId, one.id),
          ]) { await code(deed()); }
        } else if (what === 'favor') {
          for (const deed of [() => api.invite(roomId, one.id), () => api.setRole(roomId, one.id, 'admin')]) {
            await code(deed());
          }
        } else if (what === 'identify') {
          if (!one.connection.user) node.identify(one.connection, { id: userId });
        } else {
          guests.splice(guests.indexOf(one), 1);
          await one.client.terminate();
          await eventually('the connection is closed', () => !manager.connections.has(one.id));
        }
      };

      for (const user of USERS) guests.push(await guest(user));
      for (const roomId of ROOMS) await api.create(roomId);
      for (const each of steps) {
        await run(each);
        let memberships = 0;
        for (const { connection } of guests) memberships += connection.rooms!.size;
        for (const [id, { users, topic, bannedUsers, mutedUsers, userWarnings, invited, roles }] of api.manager.rooms) {
          const inside = guests.filter(({ connection }) => connection.rooms!.has(id));
          const members = new Set(inside.map(({ connection }) => connection.user?.id ?? connection.id));
          // joinRoom makes members also of users without a connection.
          for (const member of members) expect(users.has(member), `${member} in ${id}`).to.be.true;
          for (const user of users) {
            if (!members.has(user)) expect(inside.some(({ connection }) => connection.user?.id === user)).to.be.false;
          }
          expect([...node.subscribers(topic)].map((connection) => connection.id).sort()).to.deep.equal(
            inside.map((one) => one.id).sort(),
          );
          // Nothing is remembered of anonymous connections that are closed.
          const anonymous = guests.filter(({ connection }) => !connection.user).map((one) => one.id);
          for (const list of [bannedUsers, mutedUsers, userWarnings, invited, roles]) {
            expect([...list.keys()].filter((each) => isConnectionId(each))).to.satisfy((ids: string[]) =>
              ids.every((each) => anonymous.includes(each)),
            );
          }
          expect([...told.get(id)!].sort()).to.deep.equal([...users].sort());
        }
        expect(manager.getMetrics().plugins['rooms']).to.include({ room_memberships: memberships });
        expect(errors).to.deep.equal([]);
      }
      for (const { id } of [...api.manager.rooms.values()]) await api.delete(id);
      expect(manager.inspect()['deadlines']).to.equal(deadlines);
      await manager.unload('rooms');
      expect(ROOMS.every((id) => node.subscribers(`room:${id}`).size === 0)).to.be.true;
      await undoAll();
    }), { numRuns: 100 });
  });
});
