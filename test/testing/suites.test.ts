import { expect } from 'chai';
import { MemoryAdapter } from '../../adapters/memory.ts';
import { definePlugin, type PluginContext } from '../../index.ts';
import { adapterCases, connect, pluginCases, pluginSuite, start, stopAll, type Runner } from '../../testing/index.ts';

const failureOf = (promise: Promise<unknown>) => promise.then(() => undefined, (error: unknown) => error as Error);

const ignore = () => undefined;
const QUIET = { debug: ignore, info: ignore, warn: ignore, error: ignore };

const leaky = (leak: (context: PluginContext) => void) => () => definePlugin({ name: 'leaky', setup: leak });

/** The failure of the first test of the plugin suite, for a plugin that does this in its setup. */
const failureOfLeak = (leak: (context: PluginContext) => void) => failureOf(pluginCases('leaky', leaky(leak))[0]!.run());

describe('start', () => {
  it('stops the clients, the manager and the server', async () => {
    const { manager, server, connect: join, stop } = await start();
    const client = await join();

    await stop();

    expect(await client.closed).to.have.property('code');
    expect(server.listening).to.equal(false);
    expect(() => manager.use('ping')).to.throw().with.property('code', 'MANAGER_STOPPED');
  });

  it('stops once, whatever is called', async () => {
    const started = await start();

    await started.stop();
    await started[Symbol.asyncDispose]();
    await stopAll();

    expect(started.server.listening).to.equal(false);
  });

  it('leaves nothing running when a plugin fails to load', async () => {
    let stopped = false;
    const works = definePlugin({ name: 'works', setup(context) { context.onUnload(() => { stopped = true; }); } });
    const fails = definePlugin({ name: 'fails', setup() { throw new Error('no'); } });

    const failure = await failureOf(start({ use: [works, fails], logger: QUIET }));

    expect(failure).to.have.property('code', 'PLUGIN_SETUP_FAILED');
    expect(stopped).to.equal(true);
  });
});

describe('stopAll', () => {
  it('stops servers and clients of several starts', async () => {
    const [one, two] = [await start(), await start()];
    const client = await connect(one.url);

    await stopAll();

    expect([one.server.listening, two.server.listening]).to.deep.equal([false, false]);
    expect(await client.closed).to.have.property('code');
  });
});

describe('the plugin suite', () => {
  it('names a listener of the process that a plugin leaves behind', async () => {
    const listener = () => undefined;

    const failure = await failureOfLeak((context) => {
      process.on('SIGUSR2', listener);
      context.on('stopping', () => undefined);
    });
    process.removeAllListeners('SIGUSR2');

    expect(failure?.message).to.include('SIGUSR2');
  });

  it('names what a plugin leaves with another plugin', async () => {
    const other = definePlugin({
      name: 'other',
      setup: (context) => ({ add: () => { context.on('stopping', () => undefined); } }),
    });
    const make = () => definePlugin({
      name: 'leaky',
      requires: ['other'],
      setup(context, { other: api }) {
        context.on('stopping', () => undefined);
        (api as { add(): void }).add();
      },
    });

    const failure = await failureOf(pluginCases('leaky', make, { requires: () => [other] })[0]!.run());

    expect(failure?.message).to.include('the plugin left something behind');
    expect(failure).to.deep.include({ actual: Array<string>(3).fill('other: listener stopping') });
  });

  it('finds a timer that a plugin leaves running', async () => {
    const timers: NodeJS.Timeout[] = [];

    const failure = await failureOfLeak((context) => {
      timers.push(setInterval(() => undefined, 60_000));
      context.on('stopping', () => undefined);
    });
    for (const timer of timers) clearInterval(timer);

    expect(failure?.message).to.match(/timers alive after each round: \d+, \d+, \d+/);
  });

  it('registers its tests with the runner that it is given', async () => {
    const titles: string[] = [];
    const bodies: (() => Promise<void>)[] = [];
    const runner: Runner = {
      describe(title, body) { titles.push(title); body(); },
      it(title, body) { titles.push(title); bodies.push(body); },
    };

    pluginSuite('tidy', leaky((context) => context.registerHandler('tidy', () => 1)), { runner });

    expect(titles[0]).to.equal('tidy, loaded and unloaded');
    expect(bodies).to.have.length(3);
  });

  it('says how to give a runner where there are no globals', () => {
    const { describe: kept } = globalThis;
    Reflect.deleteProperty(globalThis, 'describe');
    try {
      expect(() => pluginSuite('tidy', leaky(() => undefined)))
        .to.throw(/option "runner" must be an object with describe\(\) and it\(\).*node:test/).with.property('code', 'OPTION_INVALID');
    } finally {
      globalThis.describe = kept;
    }
  });
});

describe('the adapter suite', () => {
  it('gives its tests as a list, each of which runs by itself', async () => {
    const cases = adapterCases(() => {
      const bus = {};
      return () => new MemoryAdapter(bus);
    });

    await cases[0]!.run();
    await cases.at(-1)!.run();

    expect(new Set(cases.map(({ title }) => title)).size).to.equal(20);
  });

  it('fails for an adapter without a proper name', async () => {
    const cases = adapterCases(() => () => Object.assign(new MemoryAdapter({}), { name: 'Not a name' }));

    const failure = await failureOf(cases.find(({ title }) => title.startsWith('has a name'))!.run());

    expect(failure?.message).to.include('Not a name');
  });
});
