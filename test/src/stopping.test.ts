import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { timed, withinAllowance } from '../support/timing.ts';
import { deferred, next, only, recorder, soon, startKernel } from './start-kernel.ts';

describe('stop() and asynchronous listeners', () => {
  for (const event of ['stopping', 'connection:removed'] as const) {
    it(`waits for a listener of ${event}`, async () => {
      const { manager, connect } = await startKernel({ drainTimeout: 2_000 });
      const saving = deferred();
      const order: string[] = [];
      manager.on(event, async () => {
        order.push('saving');
        await saving.promise;
        order.push('saved');
      });
      const removed = next(manager, 'connection:removed');
      await connect();

      const stopped = manager.stop().then(() => order.push('stopped'));
      // Clients are told to come back after the listeners of `stopping`.
      if (event === 'connection:removed') await removed;
      for (let turns = 0; turns < 100; turns++) await turn();
      order.push('turns later');
      saving.resolve();
      await stopped;

      expect(order).to.deep.equal(['saving', 'turns later', 'saved', 'stopped']);
    });
  }

  it('awaits a query that begins only when it is awaited', async () => {
    const { manager, connect } = await startKernel({ drainTimeout: 2_000 });
    const order: string[] = [];
    const query = { then: (resolve: (value: unknown) => void) => { order.push('saved'); setImmediate(resolve, undefined); } };
    manager.on('connection:removed', () => query as unknown as void);
    await connect();

    await manager.stop();

    expect(order).to.deep.equal(['saved']);
  });

  it('waits for listeners of events that plugins emit during unload', async () => {
    const order: string[] = [];
    const { manager } = await startKernel({ drainTimeout: 2_000, use: [{
      type: 'plugin', name: 'saver', events: ['saver:closed'],
      setup: (context) => context.onUnload(() => (context.emit as (event: string) => void)('saver:closed')),
    }] });
    manager.on('saver:closed' as never, (async () => {
      for (let turns = 0; turns < 20; turns++) await turn();
      order.push('saved');
    }) as never);

    await manager.stop();

    expect(order).to.deep.equal(['saved']);
  });

  it('reports a listener that does not end in time, and goes on', async () => {
    await withinAllowance(6, async () => {
      const { manager, connect, failures } = await startKernel({ drainTimeout: 100 });
      manager.on('connection:removed', () => new Promise<void>(() => {}));
      const client = await connect();

      const elapsed = await timed(() => soon(manager.stop()));

      expect(elapsed).to.be.at.least(250);
      expect((await client.closed).code).to.equal(4200);
      expect(failures.map(({ error: { code }, context: { phase } }) => [code, phase])).to.deep.equal([['STOP_TIMEOUT', 'listener']]);
      return { 'ms to stop': { value: elapsed, allowed: 900 } };
    });
  });
});

describe('stop() with wrong options', () => {
  for (const [options, text] of [
    [{ retryWithin: '10s' }, 'option "stop.retryWithin" must be an integer from 0 to 2147483647, but is the string "10s"'],
    [{ retryWithin: NaN }, 'option "stop.retryWithin" must be'],
    [{ retryWithin: -1 }, 'option "stop.retryWithin" must be'],
    [{ retriesWithin: 5 }, 'option "stop.retriesWithin" does not exist; did you mean "stop.retryWithin"?'],
    [5, 'option "stop" must be an object, but is 5'],
  ] as const) {
    it(`rejects ${JSON.stringify(options)}, and goes on running`, async () => {
      const { manager, connect } = await startKernel();

      const error = await manager.stop(options as never).catch((thrown: unknown) => thrown);

      expect(error).to.be.instanceOf(Error).with.property('message').that.includes(text);
      const client = await connect();
      expect(only(manager).isOpen).to.equal(true);
      await manager.stop({ retryWithin: 0 });
      expect(await client.closed).to.deep.equal({ code: 4200, reason: 'retry=0' });
    });
  }
});

describe('a client that has disconnected', () => {
  it('causes one line at level debug, and no error, when it is subscribed or asked', async () => {
    const logger = recorder();
    const { manager, connect, failures } = await startKernel({ logger, logLevel: 'debug' });
    const gone = deferred();
    manager.registerHandler('join', async (_message, { id }) => {
      await gone.promise;
      manager.subscribe(id, 'news');
    });
    manager.registerHandler('ask', async (_message, connection) => {
      await gone.promise;
      await connection.request({ type: 'question' });
    });
    manager.on('connection:added', async ({ id }: { id: string }) => {
      await gone.promise;
      manager.subscribe(id, 'news');
    });
    const [first, second] = [await connect(), await connect()];
    const connections = [...manager.connections.values()];
    await first.send({ type: 'join' });
    await second.send({ type: 'ask' });
    for (const client of [first, second]) {
      const removed = next(manager, 'connection:removed');
      await client.close();
      await removed;
    }

    gone.resolve();
    await manager.stop();

    expect(failures).to.deep.equal([]);
    const lines = logger.lines.filter((line) => line.includes('CONNECTION_'));
    expect(lines).to.have.lengthOf(4);
    expect(lines.join('\n')).to.not.match(/\n\s+at /);
    expect(lines.join('\n')).to.include(`connection "${connections[0]!.id}" is not on this node; its client may have disconnected`);
  });

  it('differs from an id that never existed, which is reported', async () => {
    const { manager, connect, failures } = await startKernel();
    manager.registerHandler('join', () => manager.subscribe('nonsense', 'news'));
    const client = await connect();

    const reply = await client.request({ type: 'join' });

    expect(reply.content.code).to.equal('INTERNAL_ERROR');
    expect(failures.map(({ error }) => error.code)).to.deep.equal(['CONNECTION_UNKNOWN']);
  });
});
