import { expect } from 'chai';
import fc from 'fast-check';
import { slotOf } from '../../adapters/redis/cluster-slots.ts';
import { HeldCommands, type HeldCommand } from '../../adapters/redis/held-commands.ts';
import { createClient } from 'redis';
import { cleanup } from '../support/cleanup.ts';
import { freePort } from '../support/free-port.ts';
import { redisServer } from '../support/redis.ts';

describe('the slot of a name in a Redis Cluster', function () {
  this.timeout(60_000);

  it('is the one that Redis computes, also with hash tags, empty tags and other alphabets', async () => {
    const server = await redisServer({ args: ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())] });
    const client = createClient({ url: server.url });
    cleanup(() => client.destroy());
    await client.connect();
    const part = fc.constantFrom('{', '}', 'a', 'chat', 'ü', '😀', 'user:1000', '');
    const name = fc.oneof(fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => parts.join('')), fc.string({ unit: 'grapheme' }));

    await fc.assert(fc.asyncProperty(fc.array(name, { minLength: 20, maxLength: 20 }), async (names) => {
      const slots = await Promise.all(names.map((one) => client.sendCommand(['CLUSTER', 'KEYSLOT', one])));

      expect(names.map(slotOf)).to.deep.equal(slots);
    }), { numRuns: 25 });
  });
});

describe('the held commands of a cluster', () => {
  const command = (order: number, since = 0, bytes = 1): HeldCommand & { errors: Error[] } => {
    const errors: Error[] = [];
    return { slot: 1, order, name: 'SPUBLISH', bytes, since, errors, reject: (error) => errors.push(error) };
  };

  it('are given back in their order, when the last block of their slot has ended', async () => {
    const released: number[] = [];
    const held = new HeldCommands<HeldCommand>(({ order }) => released.push(order));
    let end!: () => void;
    held.block([1], Promise.resolve());
    held.block([1, 2], new Promise<void>((resolve) => { end = resolve; }));

    for (const order of [2, 1, 4, 3]) held.add(command(order));
    await Promise.resolve();
    const before = [...released];
    end();
    await new Promise(setImmediate);

    expect(before).to.deep.equal([]);
    expect(released).to.deep.equal([1, 2, 3, 4]);
    expect([held.size, held.isBlocked(1), held.isBlocked(2)]).to.deep.equal([0, false, false]);
  });

  it('are refused beyond 1,000, fail after 2 s with the reply, and are not kept after that', () => {
    const held = new HeldCommands<HeldCommand>(() => undefined);
    held.block([1], new Promise(() => undefined));
    const commands = Array.from({ length: 1_001 }, (_, order) => command(order, order < 500 ? 0 : 4));
    commands[0]!.error = new Error('MOVED 1 127.0.0.1:1');

    for (const one of commands) held.add(one);
    held.tick(9);

    const codes = commands.map(({ errors }) => errors.map((error) => (error as { code?: string }).code ?? error.message));
    expect(codes[0]).to.deep.equal(['MOVED 1 127.0.0.1:1']);
    expect(codes[1]).to.deep.equal(['ADAPTER_UNAVAILABLE']);
    expect(codes[500]).to.deep.equal([]);
    expect(codes[1_000]).to.deep.equal(['ADAPTER_BACKLOG_FULL']);
    expect(held.size).to.equal(500);
  });
});
