import { expect } from 'chai';
import { FaultyStore, type StoreFaults } from '../../../testing/index.ts';
import { knowEachOther } from '../../support/nodes.ts';
import { eventually } from '../../support/timing.ts';
import { code, type Guest } from './serving.ts';
import { sharing } from './sharing.ts';

const ROOMS = ['one', 'two'];
const USERS = ['a', 'b', 'c', 'd', 'e'];

/** Pseudo-random integers below a bound, the same for the same seed. */
function random(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * bound);
  };
}

/** Lets clients of three nodes do random things at once, and compares what all nodes know in the end. */
async function play(seed: number, { faults, lapses = false }: { faults?: StoreFaults; lapses?: boolean } = {}): Promise<void> {
  const next = random(seed);
  let number = seed * 10;
  const { start } = sharing((store) => (faults ? new FaultyStore(store, { ...faults, seed: ++number }) : store));
  const nodes = await Promise.all([start({ seatGrace: 0 }), start({ seatGrace: 0 }), start({ seatGrace: 0 })]);
  await knowEachOther(...nodes);
  /** By room and user, whether the last announcement was that the user has joined. */
  const announced = new Map<string, boolean>();
  for (const { manager } of nodes) {
    manager.on('room:joined', ({ room, userId }) => void announced.set(`${room.id} ${userId}`, true));
    manager.on('room:left', ({ room, userId }) => void announced.set(`${room.id} ${userId}`, false));
  }
  for (const id of ROOMS) {
    await eventually('the room', async () => typeof await code(nodes[0].api.ensure(id, { maxUsers: 3 })) === 'object');
  }
  const guests: Guest[] = [];
  const connect = async (): Promise<void> => {
    const user = USERS[next(USERS.length + 2)];
    guests.push(await nodes[next(3)]!.guest(user));
  };
  for (let n = 0; n < 9; n++) await connect();

  for (let round = 0; round < 12; round++) {
    await Promise.all(Array.from({ length: 8 }, async () => {
      const guest = guests[next(guests.length)]!;
      const room = ROOMS[next(ROOMS.length)]!;
      const { api, manager } = nodes[next(3)]!;
      const user = USERS[next(USERS.length)]!;
      const action = next(12);
      if (action < 5) await guest.ask('join-room', room).catch(() => undefined);
      else if (action < 7) await guest.ask('leave-room', room).catch(() => undefined);
      else if (action === 7) await code(api.kick(room, user));
      else if (action === 8) await code(api.ban(room, user));
      else if (action === 9) await code(api.unban(room, user));
      else if (action === 10) await code(api.mute(room, user, 60_000));
      else {
        for (const { id, user: known } of manager.connections.values()) {
          if (!known && next(2) === 0) manager.identify(id, { id: user });
        }
      }
    }));
    if (next(3) === 0) {
      const [gone] = guests.splice(next(guests.length), 1);
      await gone!.client.terminate();
      await connect();
    }
    if (lapses && next(4) === 0) {
      const { store } = nodes[next(3)]!;
      await store.lapse();
      await new Promise((resolve) => setTimeout(resolve, next(30)));
      store.open();
    }
    // The members of a node without a lease do not count: nothing is delivered to them.
    for (const id of lapses ? [] : ROOMS) expect(new Set(nodes.flatMap(({ api }) => [...api.get(id)?.users ?? []])).size, `seed ${seed}`).to.be.at.most(3);
  }

  for (const id of ROOMS) {
    await eventually(`all nodes to agree on room ${id} with seed ${seed}`, async () => {
      const page = await code(nodes[0].api.fetchMembers(id)) as { resolved?: { members: { userId: string }[] } };
      if (!page.resolved) return page;
      const stored = page.resolved.members.map(({ userId }) => userId).sort().join();
      const known = [...new Set(nodes.flatMap(({ api }) => [...api.get(id)?.users ?? []]))].sort().join();
      const banned = nodes.flatMap(({ api }) => [...api.get(id)?.users ?? []].filter((userId) => api.get(id)!.isBanned(userId)));
      const told = [...announced].flatMap(([key, isIn]) => (isIn && key.startsWith(`${id} `) ? [key.slice(id.length + 1)] : []));
      const isTold = faults !== undefined || told.sort().join() === stored;
      return (stored === known && banned.length === 0 && isTold) || { stored, known, banned, told };
    }, 10_000);
  }
  expect(nodes.flatMap(({ errors }) => errors), `seed ${seed}`).to.deep.equal([]);
}

describe('rooms that nodes share, whatever happens at once', function () {
  this.timeout(60_000);

  it('have the members that all nodes know, announced once', async () => {
    for (let seed = 1; seed <= 6; seed++) await play(seed);
  });

  it('have the members that all nodes know when nodes lose their leases', async () => {
    for (let seed = 1; seed <= 3; seed++) await play(seed, { lapses: true });
  });

  it('have the members that all nodes know when the store is unreliable', async () => {
    const faults = { losses: 0.03, lostReplies: 0.03, duplicates: 0.05, delays: 0.3, conflicts: 0.1, lostNotices: 0.1 };
    for (let seed = 1; seed <= 4; seed++) await play(seed, { faults });
  });
});
