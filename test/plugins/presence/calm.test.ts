import { expect } from 'chai';
import fc from 'fast-check';
import { useFakeTimers, type SinonFakeTimers } from 'sinon';
import type { Connection, Outgoing, PluginContext } from '../../../index.ts';
import { presence, type PresenceApi } from '../../../plugins/presence.ts';
import { cleanup } from '../../support/cleanup.ts';

const INTERVAL = 100;
const USERS = ['a', 'b', 'c'] as const;
const ROOMS = ['x', 'y'] as const;

interface Client { readonly id: string; readonly user: { readonly id: string }; isOpen: boolean; readonly rooms: Set<string> }

/** The plugin with a stub of a server: a list of clients and their rooms, with events in the order of a real one. */
function world(grace: number, clock: SinonFakeTimers) {
  const clients = new Set<Client>();
  const listeners = new Map<string, (event: object, reason?: object) => void>();
  /** By room, the users that a client would list by the announcements alone. */
  const listed = new Map(ROOMS.map((room) => [room as string, new Set<string>()]));
  const flaps: string[] = [];
  /** Until when a user whose connection broke counts as present in a room. */
  const until = new Map<string, number>();
  let round = (): void => {};
  let made = 0;

  const tell = (event: string, ...args: [object, object?]): void => listeners.get(event)?.(...args);
  const isIn = (user: string, room: string): boolean => [...clients].some((client) => client.user.id === user && client.rooms.has(room));
  const roomOf = (id: string) => ({ id, topic: `room:${id}`, mutedUntil: () => undefined });
  const heard = (topic: string, { type, content }: Outgoing): void => {
    const room = topic.slice('room:'.length);
    const there = listed.get(room)!;
    for (const { userId } of (content as { users: { userId: string }[] }).users) {
      if (there.has(userId) === (type === 'user-online')) flaps.push(`${type} ${userId} ${room} twice`);
      if (type === 'user-online') there.add(userId);
      else there.delete(userId);
      if (type === 'user-offline' && (until.get(`${userId} ${room}`) ?? 0) > performance.now()) flaps.push(`${userId} ${room} within the grace`);
    }
  };
  const context = {
    name: 'presence',
    node: {
      connections: { get size() { return clients.size; }, values: () => [] },
      subscribers: (topic: string) => new Set([...clients].filter(({ rooms }) => rooms.has(topic.slice('room:'.length)))),
      deliver: heard,
    },
    named: (type: string) => type,
    escape: (value: unknown) => value,
    on: (event: string, listener: (event: object) => void) => void listeners.set(event, listener),
    every: (_: number, work: () => void) => void (round = work),
    emit() {}, metrics() {}, registerHandler() {},
  } as unknown as PluginContext;
  const api = presence({ grace, interval: INTERVAL }).setup(context, { rooms: { get: roomOf } as never }) as PresenceApi;

  const leave = (client: Client, room: string): void => {
    if (!client.rooms.delete(room) || isIn(client.user.id, room)) return;
    if (client.isOpen) until.delete(`${client.user.id} ${room}`);
    else until.set(`${client.user.id} ${room}`, performance.now() + grace);
    tell('room:left', { room: roomOf(room), userId: client.user.id, connection: client as unknown as Connection });
  };
  return {
    api, clients, listed, flaps, isIn,
    connect: (user: string): Client => {
      const client: Client = { id: `${++made}`, user: { id: user }, isOpen: true, rooms: new Set() };
      clients.add(client);
      tell('connection:identified', client);
      return client;
    },
    join: (client: Client, room: string): void => {
      const isFirst = !isIn(client.user.id, room);
      client.rooms.add(room);
      if (isFirst) tell('room:joined', { room: roomOf(room), userId: client.user.id, connection: client as unknown as Connection });
    },
    leave,
    cut: (client: Client): void => {
      client.isOpen = false;
      clients.delete(client);
      for (const room of client.rooms) leave(client, room);
      tell('connection:removed', client, { code: 1006, reason: '' });
    },
    wait: (rounds: number): void => {
      for (let count = 0; count < rounds; count++) {
        clock.tick(INTERVAL);
        round();
      }
    },
  };
}

describe('presence, in any order of events', () => {
  const which = fc.nat({ max: 20 });
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ act: fc.constant('connect' as const), user: fc.constantFrom(...USERS), room: fc.constantFrom(undefined, ...ROOMS) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('join' as const, 'leave' as const), which, room: fc.constantFrom(...ROOMS) }) },
    { weight: 3, arbitrary: fc.record({ act: fc.constant('cut' as const), which }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant('wait' as const), rounds: fc.integer({ min: 1, max: 5 }) }) },
  );

  for (const grace of [0, 350]) {
    it(`announces what it lists, and no user twice, with a grace period of ${grace} ms`, () => {
      const clock = useFakeTimers({ toFake: ['performance', 'Date'] });
      cleanup(() => clock.restore());

      fc.assert(fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const { api, clients, listed, flaps, isIn, connect, join, leave, cut, wait } = world(grace, clock);
        for (const one of steps) {
          const all = [...clients];
          const client = 'which' in one ? all[one.which % Math.max(1, all.length)] : undefined;
          if (one.act === 'connect') {
            const made = connect(one.user);
            if (one.room) join(made, one.room);
          } else if (one.act === 'wait') wait(one.rounds);
          else if (client && one.act === 'cut') cut(client);
          else if (client && one.act === 'join') join(client, one.room);
          else if (client && one.act === 'leave') leave(client, one.room);
          // No user who is online is ever missing.
          expect(api.online()).to.include.members([...clients].map(({ user }) => user.id));
          for (const room of ROOMS) expect(api.online({ room })).to.include.members(USERS.filter((user) => isIn(user, room)));
          if (one.act !== 'wait') continue;
          for (const room of ROOMS) expect([...listed.get(room)!]).to.have.members([...api.online({ room })]);
        }
        wait(grace / INTERVAL + 2);

        expect(flaps).to.deep.equal([]);
        expect(api.online()).to.have.members([...new Set([...clients].map(({ user }) => user.id))]);
        for (const room of ROOMS) {
          const members = USERS.filter((user) => isIn(user, room));
          expect([...api.online({ room })]).to.have.members(members);
          expect([...listed.get(room)!]).to.have.members(members);
        }
      }), { numRuns: 60 });
    });
  }
});
