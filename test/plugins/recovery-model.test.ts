import { expect } from 'chai';
import fc from 'fast-check';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { MemoryJournal, type Position } from '../../index.ts';
import { history } from '../../plugins/history.ts';
import { recovery } from '../../plugins/recovery.ts';
import { FaultyJournal, FaultyStore, RecoveringClient } from '../../testing/index.ts';
import { start, type Started } from '../support/start.ts';
import { eventually } from '../support/timing.ts';

const TOPICS = ['news:a', 'news:b'];
const CLIENTS = 3;
const NODES = 2;
/** Messages that a topic keeps, and that a client gets when it comes back. */
const SIZE = 12;
const MAX_MISSED = 8;

type Step =
  | { readonly do: 'publish'; readonly topic: number; readonly node: number; readonly count: number }
  | { readonly do: 'drop' | 'reconnect'; readonly client: number; readonly node: number; readonly whilePublishing: number }
  | { readonly do: 'post'; readonly client: number; readonly topic: number; readonly count: number }
  | { readonly do: 'new epoch'; readonly topic: number }
  | { readonly do: 'lose'; readonly topic: number }
  | { readonly do: 'restart' };

const index = (count: number) => fc.nat(count - 1);
const publish = fc.record({ do: fc.constant('publish' as const), topic: index(TOPICS.length), node: index(NODES), count: fc.integer({ min: 1, max: 6 }) });
const move = fc.record({ do: fc.constantFrom('drop' as const, 'reconnect' as const), client: index(CLIENTS), node: index(NODES), whilePublishing: index(4) });
const post = fc.record({ do: fc.constant('post' as const), client: index(CLIENTS), topic: index(TOPICS.length), count: fc.integer({ min: 1, max: 3 }) });
const steps: fc.Arbitrary<Step[]> = fc.array(fc.oneof(
  { weight: 5, arbitrary: publish }, { weight: 8, arbitrary: move }, { weight: 4, arbitrary: post },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('new epoch' as const), topic: index(TOPICS.length) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), topic: index(TOPICS.length) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
), { minLength: 5, maxLength: 30 });

/** All that was published to one topic, in order, and where each epoch begins. */
class Log {
  readonly entries: { readonly text: string; readonly epoch: string; readonly offset: number }[] = [];
  readonly #starts = new Map<string, number>();

  /** A new epoch begins behind what is in the log. */
  begin(epoch: string): void { if (!this.#starts.has(epoch)) this.#starts.set(epoch, this.entries.length); }

  add(text: string, { epoch, offset }: Position): void {
    this.begin(epoch);
    this.entries.push({ text, epoch, offset });
    // Two nodes may append at once, and answer in another order.
    this.entries.sort((a, b) => this.#starts.get(a.epoch)! - this.#starts.get(b.epoch)! || a.offset - b.offset);
  }

  /** How many entries a position includes. */
  upTo({ epoch, offset }: Position): number {
    this.begin(epoch);
    const before = this.entries.filter((entry) => this.#starts.get(entry.epoch)! < this.#starts.get(epoch)!).length;
    return before + this.entries.filter((entry) => entry.epoch === epoch && entry.offset <= offset).length;
  }
}

/** Two nodes with an unreliable journal and store, three clients, and a log of what they must have seen. */
class World {
  readonly #random: number;
  readonly logs = TOPICS.map(() => new Log());
  readonly clients: RecoveringClient[] = [];
  readonly #connected: boolean[] = [];
  readonly #started = new Map<string, number>();
  nodes: Started[] = [];
  /** Of each node. */
  #faults: { seed: number; delays: number; lostNotices: number; duplicates: number }[] = [];
  journal = new MemoryJournal();
  #target = 0;
  #published = 0;
  /** How often the handler ran for each text, since all nodes started. */
  #runs = new Map<string, number>();
  readonly #answered: Promise<unknown>[] = [];
  /** The clients whose sessions the store has. */
  readonly #known = new Set<number>();

  constructor(seed: number) { this.#random = seed; }

  async begin(): Promise<void> {
    await this.#startNodes();
    for (let client = 0; client < CLIENTS; client++) {
      this.clients.push(new RecoveringClient(() => this.nodes[this.#target]!.connect()));
      await this.connect(client, client % NODES);
      for (const [topic, name] of TOPICS.entries()) {
        const { content } = await this.clients[client]!.request({ type: 'subscribe', topic: name });
        this.#started.set(`${client} ${topic}`, this.logs[topic]!.upTo(content as Position));
      }
    }
  }

  async #startNodes(): Promise<void> {
    const bus = {};
    this.nodes = await Promise.all(Array.from({ length: NODES }, (_, node) => {
      const faults = (this.#faults[node] = { seed: this.#random + node, delays: 0.4, lostNotices: 0.2, duplicates: 0.2 });
      const journal = new FaultyJournal(this.journal, faults);
      const plugins = [history({ topics: { 'news:*': { size: SIZE } }, maxMissed: MAX_MISSED, canRead: () => true, journal }), recovery()];
      const adapter = new MemoryAdapter(bus);
      const store = new FaultyStore(adapter.store, { seed: this.#random + node, delays: 0.3, duplicates: 0.1, conflicts: 0.1, lostNotices: 0.2 });
      return start({ adapter: Object.defineProperty(adapter, 'store', { value: store }), use: plugins });
    }));
    for (const { manager } of this.nodes) {
      manager.registerHandler('post', async ({ content }) => {
        const { topic, text } = content as { topic: number; text: string };
        this.#runs.set(text, (this.#runs.get(text) ?? 0) + 1);
        const { duplicate, ...position } = await manager.api('history').append(TOPICS[topic]!, { type: 'news', content: text });
        if (!duplicate) this.logs[topic]!.add(text, position);
        return { type: 'posted', content: text };
      });
    }
    const positions = await this.journal.positions(TOPICS);
    for (const [topic, { epoch }] of positions.entries()) this.logs[topic]!.begin(epoch);
  }

  async connect(client: number, node: number): Promise<void> {
    this.#target = node;
    this.#connected[client] = true;
    const { resumed } = await this.clients[client]!.open() as { resumed: boolean };
    expect(resumed, `client ${client} has its session on node ${node}`).to.equal(this.#known.has(client));
    this.#known.add(client);
  }

  async drop(client: number): Promise<void> {
    this.#connected[client] = false;
    await this.clients[client]!.drop();
  }

  async publish(topic: number, node: number, count: number): Promise<void> {
    const sent = Array.from({ length: count }, async () => {
      const text = `${++this.#published}`;
      this.logs[topic]!.add(text, await this.nodes[node]!.manager.api('history').append(TOPICS[topic]!, { type: 'news', content: text }));
    });
    await Promise.all(sent);
  }

  /** A client sends messages, also while it is not connected. */
  post(client: number, topic: number, count: number): void {
    for (let sent = 0; sent < count; sent++) {
      this.#answered.push(this.clients[client]!.request({ type: 'post', content: { topic, text: `${++this.#published}` } }));
    }
  }

  /** Connects all clients, and waits for the answers to what they sent. */
  async allAnswered(): Promise<void> {
    for (const client of this.clients.keys()) if (!this.#connected[client]) await this.connect(client, client % NODES);
    await Promise.all(this.#answered);
    expect([...this.#runs].filter(([, runs]) => runs > 1), 'handled twice').to.deep.equal([]);
  }

  /** Publishes a message whose notices are not lost: so all nodes learn what they have not heard of. */
  async settle(): Promise<void> {
    for (const faults of this.#faults) faults.lostNotices = 0;
    for (const topic of TOPICS.keys()) await this.publish(topic, 0, 1);
    for (const client of this.clients.keys()) {
      if (!this.#connected[client]) continue;
      await eventually(`client ${client} is up to date`, () => TOPICS.every((_, topic) => this.#seen(client, topic).length === this.#expected(client, topic).length)
        || TOPICS.map((__, topic) => [this.#seen(client, topic), this.#expected(client, topic)]), 1_500).catch(() => undefined);
    }
    for (const faults of this.#faults) faults.lostNotices = 0.2;
  }

  async run(step: Step): Promise<void> {
    switch (step.do) {
      case 'publish': return this.publish(step.topic, step.node, step.count);
      case 'post': return this.post(step.client, step.topic, step.count);
      case 'drop': return this.#connected[step.client] ? this.drop(step.client) : undefined;
      case 'reconnect': {
        if (this.#connected[step.client]) return undefined;
        const publishing = this.publish(step.client % TOPICS.length, (step.node + 1) % NODES, step.whilePublishing);
        await Promise.all([this.connect(step.client, step.node), publishing]);
        return undefined;
      }
      case 'new epoch': return this.#renew(step.topic);
      case 'lose': return this.#lose(step.topic);
      case 'restart': return this.#restart();
    }
  }

  /** The history is dropped, for example because it was evicted. */
  async #renew(topic: number): Promise<void> {
    await this.settle();
    await this.journal.drop(TOPICS[topic]!);
    const [position] = await this.journal.positions([TOPICS[topic]!]);
    this.logs[topic]!.begin(position!.epoch);
  }

  /** A node has seen an entry that the journal does not have: the epoch changes, and the entries stay. */
  async #lose(topic: number): Promise<void> {
    await this.settle();
    const name = TOPICS[topic]!;
    const [{ epoch, offset }] = await this.journal.positions([name]) as [Position];
    const [renewed] = await this.journal.positions([name], new Map([[name, { epoch, offset: offset + 5, id: 'lost' }]]));
    this.#continueAs(topic, renewed!);
  }

  #continueAs(topic: number, { epoch, offset }: Position): void {
    // In the new epoch, offsets go on: entries up to this one are in the old epochs.
    const log = this.logs[topic]!;
    log.begin(epoch);
    const upTo = log.upTo.bind(log);
    const before = log.entries.length;
    log.upTo = (position) => (position.epoch === epoch && position.offset <= offset ? before : upTo(position));
  }

  /** All nodes stop, and start without memory. */
  async #restart(): Promise<void> {
    for (const client of this.clients.keys()) if (this.#connected[client]) await this.drop(client);
    await Promise.all(this.nodes.map(({ stop }) => stop()));
    this.journal = new MemoryJournal();
    this.#runs = new Map();
    this.#known.clear();
    await this.#startNodes();
    for (const client of this.clients.keys()) await this.connect(client, client % NODES);
  }

  #seen(client: number, topic: number): string[] {
    return this.clients[client]!.messages.filter((message) => message['topic'] === TOPICS[topic]).map(({ content }) => content as string);
  }

  /** What a client must have seen: everything since it subscribed, but for what it was told that it missed. */
  #expected(client: number, topic: number): string[] {
    const log = this.logs[topic]!;
    const holes = this.clients[client]!.missed.filter((missed) => missed.topic === TOPICS[topic])
      .map(({ from, to }) => [log.upTo(from!), log.upTo(to)] as const);
    return log.entries
      .map(({ text }, at) => ({ text, at }))
      .filter(({ at }) => at >= this.#started.get(`${client} ${topic}`)! && !holes.some(([from, to]) => at >= from && at < to))
      .map(({ text }) => text);
  }

  check(): void {
    for (const [client, { missed, repeated }] of this.clients.entries()) {
      expect(repeated, `sent twice to client ${client}`).to.deep.equal([]);
      for (const [at, { topic, reason, from, to }] of missed.entries()) {
        const log = this.logs[TOPICS.indexOf(topic)]!;
        if (reason === 'too-old') expect([from!.epoch, log.upTo(to) > log.upTo(from!)], 'missed what was removed').to.deep.equal([to.epoch, true]);
        else if (reason === 'too-many') expect(log.upTo(to) - log.upTo(from!), 'missed too many').to.be.above(MAX_MISSED);
        else {
          // A node that notices the new epoch later than the client tells of it again, up to its first entries.
          const isTold = missed.slice(0, at).some((before) => before.topic === topic && before.reason === 'epoch' && before.to.epoch === to.epoch);
          expect([reason, !isTold && from!.epoch === to.epoch], `client ${client} missed ${reason}`).to.deep.equal(['epoch', false]);
        }
      }
      for (const topic of TOPICS.keys()) {
        const [seen, expected] = [this.#seen(client, topic), this.#expected(client, topic)];
        const whole = this.#connected[client] ? expected : expected.slice(0, seen.length);
        expect(seen, `client ${client} in ${TOPICS[topic]}`).to.deep.equal(whole);
      }
    }
  }

  async end(): Promise<void> {
    for (const client of this.clients) await client.drop();
    await Promise.all(this.nodes.map(({ stop }) => stop()));
  }
}

describe('recovery, against a model of it', () => {
  it('gives each client every message once and in order, or says what it missed, whatever breaks', async function () {
    this.timeout(300_000);
    await fc.assert(fc.asyncProperty(steps, fc.nat(1e6), async (list, seed) => {
      const world = new World(seed);
      await world.begin();
      try {
        for (const step of list) await world.run(step);
        await world.allAnswered();
        await world.settle();
        world.check();
      } finally {
        await world.end();
      }
    }), { numRuns: Number(process.env['RECOVERY_RUNS'] ?? 12) });
  });
});
