import { expect } from 'chai';
import fc from 'fast-check';
import type { Reaped, Store } from '../../index.ts';
import type { ManualClock } from './manual-clock.ts';

const NODES = ['a', 'b', 'c'];
const SETS = ['x', 'y'];
const MEMBERS = ['m0', 'm1', 'm2', 'm3'];
const TTL = 100;
const MAX = 3;

interface Run { until: number }
interface Seat { readonly set: string; readonly member: string; readonly run: Run }

/** The reference: runs of nodes, the seats that they hold, and what was handed to a node that died. */
interface Model {
  now: number;
  /** What each living process believes in. */
  readonly current: Map<string, Run>;
  /** The newest lease of each node id, which outlives its process. */
  readonly leases: Map<string, Run>;
  /** By `set member holder`. */
  readonly seats: Map<string, Seat>;
  /** What a reaper was handed before it crashed. */
  readonly pending: (Seat & { readonly key: string; readonly last: boolean })[];
}

/** What the stores of one run share. */
export interface ModelBackend {
  readonly clock: ManualClock;
  /** Creates the store of another process. */
  readonly store: () => Store;
  /** Moves the clock of the server, if it has one. */
  readonly moved?: ((milliseconds: number) => Promise<unknown>) | undefined;
}

interface Real extends ModelBackend {
  readonly stores: Map<string, Store>;
  readonly observer: Store;
  /** How many arrivals less departures were announced, by set and member. */
  readonly announced: Map<string, number>;
}

type Command = fc.AsyncCommand<Model, Real>;

const lives = ({ current, now }: Model, node: string) => (current.get(node)?.until ?? 0) > now;
const inSet = ({ seats }: Model, set: string) =>
  new Set([...seats.values()].filter((seat) => seat.set === set).map(({ member }) => member));
const codeOf = async (promise: Promise<unknown>) => promise.then(() => undefined, (error: unknown) => (error as { code?: string }).code ?? error);

function announce({ announced }: Real, set: string, member: string, change: 1 | -1): void {
  announced.set(`${set} ${member}`, (announced.get(`${set} ${member}`) ?? 0) + change);
}

/** What is true after each step: no member is counted twice, `max` holds, and each departure was announced once. */
async function compare(model: Model, { observer, announced }: Real): Promise<void> {
  for (const set of SETS) {
    const expected = inSet(model, set);
    const { members } = await observer.members(set, { limit: 100 });
    expect(members.map(({ id }) => id), set).to.have.members([...expected]);
    expect(await observer.sizes([set]), set).to.deep.equal([expected.size]);
    expect(expected.size, set).to.be.at.most(MAX);
    for (const member of MEMBERS) {
      const unannounced = model.pending.filter((seat) => seat.last && seat.set === set && seat.member === member);
      expect(announced.get(`${set} ${member}`) ?? 0, `${set} ${member}`).to.equal((expected.has(member) ? 1 : 0) + unannounced.length);
    }
  }
}

/** Lets time pass for all. */
async function advance(model: Model, { clock, moved }: Real, milliseconds: number): Promise<void> {
  model.now += milliseconds;
  // Redis first, then the nodes that wait for it.
  await moved?.(milliseconds);
  clock.advance(milliseconds);
}

function takeOver(model: Model, { node, set, member, holder, last }: Reaped): Seat {
  const key = `${set} ${member} ${holder}`;
  // Handed out again, because the reaper that had it is dead.
  const again = model.pending.findIndex((one) => one.key === key && one.last === last && one.run.until <= model.now);
  if (again >= 0) return model.pending.splice(again, 1)[0]!;
  const seat = model.seats.get(key);
  expect(seat, `${key} of ${node} is handed out twice, or was never there`).to.not.equal(undefined);
  expect(seat!.run.until, `${key} is taken from a living run`).to.be.at.most(model.now);
  model.seats.delete(key);
  expect(last, key).to.equal(!inSet(model, set).has(member));
  return seat!;
}

async function reapAll(model: Model, real: Real, node: string): Promise<void> {
  const store = real.stores.get(node)!;
  for (let some = await store.reap(); some.length > 0; some = await store.reap()) {
    for (const reaped of some) {
      takeOver(model, reaped);
      if (reaped.last) announce(real, reaped.set, reaped.member, -1);
    }
  }
  const left = [...model.seats.values(), ...model.pending].filter(({ run }) => run.until <= model.now);
  expect(left, 'left by dead runs').to.deep.equal([]);
}

function command(name: string, check: (model: Model) => boolean, run: (model: Model, real: Real) => Promise<void>): Command {
  return {
    toString: () => name,
    check,
    async run(model, real) {
      await run(model, real);
      await compare(model, real);
    },
  };
}

/** A process starts, or one that was away comes back: a new run, which sweeps what the old one left. */
const lease = (node: string) => command(`lease ${node}`, () => true, async (model, real) => {
  const old = model.current.get(node);
  if (old) old.until = Math.min(old.until, model.now);
  const leasing = real.stores.get(node)!.lease(node, TTL);
  // Another process has the id, and has crashed: its lease is waited for.
  const wait = (model.leases.get(node)?.until ?? 0) - model.now;
  if (wait > 0) {
    await real.clock.whenWaiting();
    await advance(model, real, wait);
  }
  await leasing;
  const run = { until: model.now + TTL };
  model.current.set(node, run);
  model.leases.set(node, run);
  await reapAll(model, real, node);
});

const renew = (node: string) => command(`renew ${node}`, () => true, async (model, real) => {
  const code = await codeOf(real.stores.get(node)!.renew());
  expect(code).to.equal(lives(model, node) ? undefined : 'LEASE_LOST');
  if (code === undefined) model.current.get(node)!.until = model.now + TTL;
});

function killed(model: Model, { stores, store }: Real, node: string): void {
  stores.set(node, store());
  model.current.delete(node);
}

const crash = (node: string) => command(`crash ${node}`, (model) => lives(model, node), async (model, real) => killed(model, real, node));

const pass = (milliseconds: number) => command(`pass ${milliseconds}`, () => true, (model, real) => advance(model, real, milliseconds));

const release = (node: string) => command(`release ${node}`, (model) => lives(model, node), async (model, real) => {
  await real.stores.get(node)!.release();
  model.current.get(node)!.until = model.now;
  model.current.delete(node);
});

const enter = (node: string, [set, member, device]: Place) => command(`enter ${node} ${set} ${member} ${device}`, () => true, async (model, real) => {
  const holder = `${node}-${device}`;
  const known = inSet(model, set);
  const expected = !lives(model, node) ? 'LEASE_LOST' : known.has(member) || known.size < MAX ? undefined : 'STORE_FULL';

  const entering = real.stores.get(node)!.enter(set, member, { holder, max: MAX });

  expect(await codeOf(entering)).to.equal(expected);
  if (expected !== undefined) return;
  model.seats.set(`${set} ${member} ${holder}`, { set, member, run: model.current.get(node)! });
  expect(await entering).to.deep.equal({ first: !known.has(member), size: inSet(model, set).size });
  if (!known.has(member)) announce(real, set, member, 1);
});

const leave = (node: string, [set, member, device]: Place, isKick: boolean) =>
  command(`${isKick ? 'kick' : 'leave'} ${node} ${set} ${member} ${device}`, (model) => lives(model, node), async (model, real) => {
    const holder = `${node}-${device}`;
    const wasIn = inSet(model, set).has(member);
    for (const [key, seat] of model.seats) {
      if (isKick ? seat.set === set && seat.member === member : key === `${set} ${member} ${holder}`) model.seats.delete(key);
    }

    const left = await real.stores.get(node)!.leave(set, member, isKick ? {} : { holder });

    const isIn = inSet(model, set).has(member);
    expect(left).to.deep.equal({ last: wasIn && !isIn, size: inSet(model, set).size });
    if (left.last) announce(real, set, member, -1);
  });

const reap = (node: string) => command(`reap ${node}`, (model) => lives(model, node), (model, real) => reapAll(model, real, node));

/** A node that dies after it was handed seats, before it announced one. */
const reapAndCrash = (node: string) => command(`reap and crash ${node}`, (model) => lives(model, node), async (model, real) => {
  const run = model.current.get(node)!;
  for (const reaped of await real.stores.get(node)!.reap()) {
    const { set, member } = takeOver(model, reaped);
    model.pending.push({ key: `${set} ${member} ${reaped.holder}`, set, member, run, last: reaped.last });
  }
  killed(model, real, node);
});

const nodes = fc.constantFrom(...NODES);
type Place = [set: string, member: string, device: number];
const places: fc.Arbitrary<Place> = fc.tuple(fc.constantFrom(...SETS), fc.constantFrom(...MEMBERS), fc.nat(1));
const entering = fc.tuple(nodes, places).map(([node, place]) => enter(node, place));
const commands = fc.commands([
  entering, entering, entering,
  fc.tuple(nodes, places, fc.boolean()).map((given) => leave(...given)),
  nodes.map(lease), nodes.map(lease), nodes.map(renew), nodes.map(crash), nodes.map(release), nodes.map(reap), nodes.map(reapAndCrash),
  fc.constantFrom(30, 70, 130).map(pass),
], { maxCommands: 80, size: 'max' });

/** Compares a store with a model of it, in many runs with random calls and crashes. @param make creates a backend without data */
export async function compareWithModel(make: () => ModelBackend | Promise<ModelBackend>, numRuns: number): Promise<void> {
  await fc.assert(fc.asyncProperty(commands, async (list) => {
    const backend = await make();
    const stores = new Map(NODES.map((node) => [node, backend.store()]));
    const observer = backend.store();
    await observer.lease('observer', 1e9);
    const model: Model = { now: backend.clock.now(), current: new Map(), leases: new Map(), seats: new Map(), pending: [] };
    const real: Real = { ...backend, stores, observer, announced: new Map<string, number>() };
    await fc.asyncModelRun(() => ({ model, real }), list);
  }), { numRuns });
}
