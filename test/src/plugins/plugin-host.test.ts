import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { definePlugin } from '../../../src/contracts.ts';
import { WebSocketModule } from '../../../src/index.ts';
import { cleanup } from '../../support/cleanup.ts';
import { UpgradeRefused } from '../../support/client.ts';
import { eventually } from '../../support/timing.ts';
import { codeOf, deferred, next, plugin, raise, recorder, soon, startKernel } from '../start-kernel.ts';

const status = (promise: Promise<unknown>): Promise<number | undefined> =>
  promise.then(() => 101, (error: unknown) => (error instanceof UpgradeRefused ? error.status : undefined));

describe('use()', () => {
  it('accepts a layer, a plugin, the name of a built-in, and a list of them, and is chainable', async () => {
    const { manager } = await startKernel({}, { 'built-in': async () => ({ mark }: { mark: string }) => plugin(`mark-${mark}`, () => mark) });
    const before = manager.inspect().plugins ?? NaN;

    const same = manager.use({ type: 'message', name: 'one', handler: (_m, _c, go) => go() })
      .use(plugin('two', () => 2))
      .use('builtIn', { mark: 'x' })
      .use([{ type: 'upgrade', name: 'three', handler: () => {} }, { type: 'send', name: 'four', handler: () => {} }, { type: 'connection', name: 'five', handler: () => {} }]);
    await manager.ready();

    expect(same).to.equal(manager);
    expect(manager.inspect()).to.include({ plugins: before + 6, messageLayers: 1, upgradeLayers: 1, sendLayers: 1, connectionLayers: 1 });
    expect(manager.api('mark-x')).to.equal('x');
  });

  it('gives a built-in its options of create() if use() has none', async () => {
    const { manager } = await startKernel({ builtins: { rateLimit: { max: 5 } } }, { 'rate-limit': async () => (options: unknown) => plugin('rate-limit', () => options) });

    manager.use('rate-limit');
    await manager.ready();

    expect(manager.api('rateLimit')).to.deep.equal({ max: 5 });
  });

  it('loads the built-ins that the options name: the layers around the others, each in their order', async () => {
    const order: string[] = [];
    const builtin = (name: string) => async () => () => plugin(name, () => void order.push(name));
    await startKernel({ plugins: ['d'], handlers: ['c'], middleware: ['a', 'b'] }, { a: builtin('a'), b: builtin('b'), c: builtin('c'), d: builtin('d') });

    expect(order).to.deep.equal(['a', 'b', 'c', 'd']);
  });

  it('rejects anything else at once', async () => {
    const { manager } = await startKernel({}, { monitoring: async () => () => plugin('monitoring', () => 1) });

    for (const item of [undefined, null, 5, {}, { type: 'mesage', handler: () => 1 }, { type: 'message' }, () => 1, { type: 'plugin', name: 'x' }]) {
      expect(() => manager.use(item as never), JSON.stringify(item)).to.throw().with.property('code', 'ITEM_INVALID');
    }
    expect(() => manager.use('monitorin')).to.throw('did you mean "monitoring"').with.property('code', 'BUILTIN_UNKNOWN');
    expect(() => manager.use('constructor')).to.throw().with.property('code', 'BUILTIN_UNKNOWN');
  });

  it('rejects a second item of the same name, unless it is given another name', async () => {
    const { manager } = await startKernel();
    const layer = { type: 'message' as const, name: 'rate-limit', handler: (_m: unknown, _c: unknown, go: () => unknown) => go() };
    manager.use(layer);
    await manager.ready();

    manager.use(layer, { name: 'second' });
    await manager.ready();
    manager.use({ ...layer, name: 'rateLimit' });

    expect(await codeOf(manager.ready())).to.equal('DUPLICATE');
    expect(manager.inspect()).to.include({ messageLayers: 2 });
  });

  it('loads plugins one after the other, in the order of use', async () => {
    const { manager } = await startKernel();
    const gate = deferred();
    const order: string[] = [];
    manager.use(plugin('slow', async () => {
      await gate.promise;
      order.push('slow');
    })).use(plugin('fast', () => void order.push('fast')));

    gate.resolve();
    await manager.ready();

    expect(order).to.deep.equal(['slow', 'fast']);
  });

  it('loads a plugin under traffic without losing a message', async () => {
    const { manager, connect } = await startKernel();
    manager.registerHandler('ask', async (message) => message.content as number);
    const client = await connect();

    const replies = Array.from({ length: 100 }, (_, n) => client.request({ type: 'ask', content: n }));
    manager.use({ type: 'message', name: 'pass', handler: (_m, _c, go) => go() });

    expect((await Promise.all(replies)).map(({ content }) => content as number)).to.deep.equal(Array.from({ length: 100 }, (_, n) => n));
  });
});

describe('a plugin\'s api', () => {
  it('is the result of setup, for plugins that require it and for manager.api()', async () => {
    const { manager } = await startKernel();
    let seen: unknown;
    manager.use(plugin('rooms', async () => ({ count: () => 3 })));
    manager.use(definePlugin({ name: 'presence', requires: ['rooms'], setup: (_context, { rooms }) => { seen = rooms; } }));
    await manager.ready();

    expect((manager.api('rooms') as unknown as { count(): number }).count()).to.equal(3);
    expect(seen).to.equal(manager.api('rooms'));
  });

  it('of a plugin that is not loaded is an error that names the plugin', async () => {
    const { manager } = await startKernel();

    expect(() => manager.api('nope')).to.throw('"nope"').with.property('code', 'PLUGIN_UNKNOWN');
  });

  it('is an error while the plugin is loading, which says to await ready()', async () => {
    const { manager } = await startKernel();

    manager.use(plugin('slow', async () => ({})));

    expect(() => manager.api('slow')).to.throw('await ready()').with.property('code', 'PLUGIN_UNKNOWN');
  });
});

describe('a plugin that fails to load', () => {
  const traces = (name: string, fail: () => unknown) => plugin(name, (context) => {
    context.registerHandler('left-behind', () => 1);
    context.use({ type: 'message', handler: (_m, _c, go) => go() });
    context.on('connection:added', () => {});
    context.every(10, () => {});
    context.health('left-behind', () => ({ status: 'unhealthy' }));
    context.metrics(() => ({ left: 1 }));
    context.decorate('manager', { leftBehind: { value: 1 } });
    return fail();
  });
  const ways: readonly (readonly [how: string, fail: () => unknown, code: string])[] = [
    ['throws in setup', () => raise(new Error('boom')), 'PLUGIN_SETUP_FAILED'],
    ['rejects in setup', async () => raise(new Error('boom')), 'PLUGIN_SETUP_FAILED'],
    ['throws what is no error', () => raise(Object.create(null)), 'PLUGIN_SETUP_FAILED'],
    ['rejects with nothing', async () => raise(undefined), 'PLUGIN_SETUP_FAILED'],
    ['throws nothing', () => raise(undefined), 'PLUGIN_SETUP_FAILED'],
    ['never resolves', () => new Promise(() => {}), 'PLUGIN_SETUP_TIMEOUT'],
  ];
  for (const [how, fail, code] of ways) {
    it(`is rolled back and reported by ready() and the error event, and clients get 503: ${how}`, async () => {
      const { manager, connect, failures } = await startKernel({ setupTimeout: 40 });
      const before = manager.inspect();

      manager.use(traces('broken', fail));
      const ready = await codeOf(manager.ready());

      expect(ready).to.equal(code);
      await eventually('the error event', () => failures.length === 1 || failures.length);
      expect(failures[0]!.error.code).to.equal(code);
      expect(failures[0]!.context).to.deep.include({ phase: 'plugin', plugin: 'broken' });
      expect(manager.inspect()).to.deep.equal(before);
      expect(manager).to.not.have.property('leftBehind');
      expect(manager.getHealth().checks).to.deep.equal({});
      expect(await status(connect())).to.equal(503);
      expect(await codeOf(manager.start())).to.equal(code);
    });
  }

  it('no longer causes 503 after it is unloaded, or another one of its name has loaded', async () => {
    const { manager, connect } = await startKernel();
    manager.use(plugin('broken', () => raise(new Error('boom'))));
    const refused = await status(connect());

    await manager.unload('broken');
    const mended = await status(connect());
    manager.use(plugin('broken', () => raise(new Error('again')))).use(plugin('broken', () => 'fine'));
    await manager.ready();

    expect([refused, mended]).to.deep.equal([503, 101]);
    expect(manager.api('broken')).to.equal('fine');
  });

  it('is logged without a listener of the error event', async () => {
    const logger = recorder();
    const { manager } = await startKernel({ logger }, {}, false);

    manager.use(plugin('broken', () => raise(new Error('boom'))));
    await codeOf(manager.ready());

    await eventually('a line', () => logger.lines.some((line) => line.includes('boom')) || logger.lines);
  });

  it('does not prevent later plugins from loading', async () => {
    const { manager } = await startKernel();

    manager.use(plugin('broken', () => raise(new Error('boom')))).use(plugin('fine', () => 'loaded'));
    await codeOf(manager.ready());

    expect(manager.api('fine')).to.equal('loaded');
  });

  it('can add nothing if its setup continues after the timeout', async () => {
    const { manager } = await startKernel({ setupTimeout: 20 });
    const gate = deferred();
    const late = deferred<string | undefined>();
    const before = manager.inspect();
    manager.use(plugin('late', async (context) => {
      await gate.promise;
      late.resolve(await codeOf((async () => { context.registerHandler('late', () => 1); })()));
    }));
    await codeOf(manager.ready());

    gate.resolve();

    expect(await late.promise).to.equal('CONTEXT_CLOSED');
    expect(manager.inspect()).to.deep.equal(before);
  });
});

describe('what a plugin requires', () => {
  it('must be loaded before', async () => {
    const { manager } = await startKernel();

    manager.use(plugin('presence', () => 1, ['rooms']));
    const failure = await manager.ready().catch((error: unknown) => error as Error);

    expect(failure).to.have.property('code', 'PLUGIN_DEPENDENCY_MISSING');
    expect((failure as Error).message).to.include('"presence"').and.include('"rooms"');
  });

  it('may not be itself, in a circle', async () => {
    const { manager } = await startKernel();

    manager.use([plugin('a', () => 1, ['b']), plugin('b', () => 1, ['c']), plugin('c', () => 1, ['a'])]);
    const failure = await manager.ready().catch((error: unknown) => error as Error);

    expect(failure).to.have.property('code', 'PLUGIN_DEPENDENCY_CIRCULAR');
    expect((failure as Error).message).to.include('a → b → c → a');
  });

  it('may not be itself', async () => {
    const { manager } = await startKernel();

    manager.use(plugin('narcissus', () => 1, ['narcissus']));

    expect(await codeOf(manager.ready())).to.equal('PLUGIN_DEPENDENCY_CIRCULAR');
  });

  it('is found in any spelling of its name', async () => {
    const { manager } = await startKernel();

    manager.use([plugin('rate-limit', () => 1), plugin('a', () => 1, ['rateLimit']), plugin('b', () => 1, ['rate_limit'])]);

    await manager.ready();
  });

  it('cannot be unloaded before it', async () => {
    const { manager } = await startKernel();
    manager.use([plugin('rooms', () => 1), plugin('presence', () => 1, ['rooms'])]);
    await manager.ready();

    const failure = await manager.unload('rooms').catch((error: unknown) => error as Error);
    await manager.unload('presence');
    await manager.unload('rooms');

    expect(failure).to.have.property('code', 'PLUGIN_IN_USE');
    expect((failure as Error).message).to.include('"presence"');
  });

  it('cannot be unloaded while what requires it is being set up', async () => {
    const { manager } = await startKernel();
    const gate = deferred();
    manager.use([plugin('rooms', () => 1), plugin('presence', () => gate.promise, ['rooms'])]);
    await eventually('it in place', () => manager.inspect().plugins === 1);

    const failure = await codeOf(manager.unload('rooms'));
    gate.resolve();
    await manager.ready();
    await manager.unload('presence');

    expect(failure).to.equal('PLUGIN_IN_USE');
    expect(await codeOf(manager.unload('rooms'))).to.equal(undefined);
  });
});

describe('unloading', () => {
  it('aborts the signal first, then undoes last first', async () => {
    const { manager } = await startKernel();
    const order: string[] = [];
    manager.use(plugin('tidy', (context) => {
      context.signal.addEventListener('abort', () => order.push('signal'));
      context.onUnload(() => void order.push('first added'));
      context.onUnload(async () => {
        await turn();
        order.push('last added');
      });
    }));
    await manager.ready();

    await manager.unload('tidy');

    expect(order).to.deep.equal(['signal', 'last added', 'first added']);
  });

  it('undoes everything even if one clean-up fails, and reports how many failed', async () => {
    const { manager } = await startKernel();
    const before = manager.inspect();
    manager.use(plugin('messy', (context) => {
      context.registerHandler('x', () => 1);
      context.onUnload(() => raise(new Error('one')));
      context.onUnload(async () => raise(new Error('two')));
    }));
    await manager.ready();

    const failure = await manager.unload('messy').catch((error: unknown) => error as Error);

    expect(failure).to.have.property('code', 'PLUGIN_UNLOAD_FAILED');
    expect(((failure as Error).cause as AggregateError).errors.map((error) => (error as Error).message)).to.deep.equal(['two', 'one']);
    expect(manager.inspect()).to.deep.equal(before);
  });

  it('of a plugin that is not loaded is an error', async () => {
    const { manager } = await startKernel();

    expect(await codeOf(manager.unload('nope'))).to.equal('PLUGIN_UNKNOWN');
  });

  it('twice at once resolves both calls after the clean-ups', async () => {
    const { manager } = await startKernel();
    const gate = deferred();
    const order: string[] = [];
    manager.use(plugin('once', (context) => {
      context.onUnload(async () => {
        await gate.promise;
        order.push('cleaned');
      });
    }));
    await manager.ready();

    const unloads = [manager.unload('once'), manager.unload('once')].map((unload) => unload.then(() => order.push('unloaded')));
    await turn();
    gate.resolve();
    await Promise.all(unloads);

    expect(order).to.deep.equal(['cleaned', 'unloaded', 'unloaded']);
  });

  it('lets messages in its layers finish before its clean-ups run, and lets no new message in', async () => {
    const { manager, connect } = await startKernel();
    manager.registerHandler('ask', () => 'reply');
    const gate = deferred();
    const order: string[] = [];
    manager.use(plugin('meter', (context) => {
      context.onUnload(() => void order.push('clean-up'));
      context.use({ type: 'message', handler: async (message, _connection, go) => {
        order.push(`into ${String(message.content)}`);
        await gate.promise;
        const reply = go();
        order.push(`out of ${String(message.content)}`);
        return reply;
      } });
    }));
    await manager.ready();
    const [one, two] = [await connect(), await connect()];
    const first = one.request({ type: 'ask', content: 1 });
    await eventually('a message in flight', () => manager.inspect().inFlight === 1);

    const unloaded = manager.unload('meter');
    await turn();
    const second = await two.request({ type: 'ask', content: 2 });
    gate.resolve();
    await unloaded;

    expect([second.content, (await first).content]).to.deep.equal(['reply', 'reply']);
    expect(order).to.deep.equal(['into 1', 'out of 1', 'clean-up']);
  });

  it('lets messages in its handlers finish, and answers them, before its clean-ups run', async () => {
    const { manager, connect } = await startKernel();
    const gate = deferred();
    let isOpen = true;
    manager.use(plugin('store', (context) => {
      context.onUnload(() => { isOpen = false; });
      context.registerHandler('read', async () => {
        await gate.promise;
        return isOpen ? 'open' : 'closed';
      });
    }));
    await manager.ready();
    const client = await connect();
    const reply = client.request({ type: 'read' });
    await eventually('a message in flight', () => manager.inspect().inFlight === 1);

    const unloaded = manager.unload('store');
    gate.resolve();
    await unloaded;

    expect((await reply).content).to.equal('open');
    expect((await client.request({ type: 'read' })).content).to.include({ code: 'UNKNOWN_TYPE' });
  });

  it('waits for them no longer than drainTimeout', async () => {
    const { manager, connect } = await startKernel({ drainTimeout: 50 });
    manager.use(plugin('stuck', (context) => { context.registerHandler('hang', () => new Promise(() => {})); }));
    await manager.ready();
    const client = await connect();
    void client.send({ type: 'hang' });
    await eventually('a message in flight', () => manager.inspect().inFlight === 1);

    await manager.unload('stuck');

    expect(manager.inspect()).to.include({ plugins: 0, handlers: 0 });
  });

  it('leaves no message of 1,000 in flight unanswered: each gets its reply, or UNKNOWN_TYPE', async () => {
    const { manager, connect } = await startKernel({ message: { concurrency: 16 } });
    const load = () => manager.use(plugin('busy', (context) => {
      context.use({ type: 'message', handler: async (_message, _connection, go) => go() });
      context.registerHandler('ask', async (message) => {
        await turn();
        return message.content as number;
      });
    }));
    load();
    await manager.ready();
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect()));

    const replies = clients.flatMap((client) => Array.from({ length: 100 }, (_, n) => client.request({ type: 'ask', content: n }, 8_000).then(({ content }) => [n, content] as const)));
    await eventually('messages in flight', () => (manager.inspect().inFlight ?? 0) > 0);
    await manager.unload('busy');
    load();
    const outcomes = (await Promise.all(replies)).map(([n, content]) => (content === n ? 'reply' : (content as { code: string }).code));

    expect(outcomes).to.have.lengthOf(1_000);
    expect(new Set(outcomes)).to.deep.equal(new Set(['reply', 'UNKNOWN_TYPE']));
    expect(manager.inspect()).to.include({ inFlight: 0 });
  }).timeout(60_000);

  it('removes its member from the manager and its connections, and from no other manager', async () => {
    const [a, b] = [await startKernel(), await startKernel()];
    a.manager.use(plugin('nick', (context) => {
      context.decorate('manager', { nicks: { value: 5 } });
      context.decorate('connection', { nick: { get(this: { id: string }) { return `nick of ${this.id}`; } } });
    }));
    const [addedA, addedB] = [next(a.manager, 'connection:added'), next(b.manager, 'connection:added')];
    await a.connect();
    await b.connect();
    const [connectionA, connectionB] = [(await addedA)[0] as { nick?: string; id: string }, (await addedB)[0] as { nick?: string }];
    const during = [connectionA.nick, connectionB.nick, (a.manager as { nicks?: number }).nicks, (b.manager as { nicks?: number }).nicks];

    await a.manager.unload('nick');

    expect(during).to.deep.equal([`nick of ${connectionA.id}`, undefined, 5, undefined]);
    expect([connectionA.nick, (a.manager as { nicks?: number }).nicks]).to.deep.equal([undefined, undefined]);
  });

  it('rejects a member that already exists', async () => {
    const { manager } = await startKernel();

    manager.use(plugin('grab', (context) => { context.decorate('connection', { send: { value: () => {} } }); }));

    expect(await codeOf(manager.ready())).to.equal('DUPLICATE');
  });

  it('stops its timers', async () => {
    const { manager } = await startKernel();
    let runs = 0;
    manager.use(plugin('timers', (context) => {
      context.every(5, () => { runs++; });
      context.after(86_400_000, () => {});
    }));
    await manager.ready();
    await eventually('some runs', () => runs > 1);

    await manager.unload('timers');
    const then = runs;
    const other = deferred();
    setTimeout(() => { other.resolve(); }, 60);
    await other.promise;

    expect(runs).to.equal(then);
    expect(manager.inspect()).to.include({ deadlines: 0 });
  });

  it('ignores a later answer of a health check', async () => {
    const { manager } = await startKernel();
    const answer = deferred<{ status: 'unhealthy' }>();
    manager.use(plugin('db', (context) => { context.health('db', () => answer.promise); }));
    await manager.ready();

    await manager.unload('db');
    answer.resolve({ status: 'unhealthy' });
    await turn();

    expect(manager.getHealth()).to.deep.include({ status: 'healthy', checks: {} });
  });

  it('closes the context: nothing can be added through it any more', async () => {
    const { manager } = await startKernel();
    let kept!: Parameters<Parameters<typeof plugin>[1]>[0];
    manager.use(plugin('gone', (context) => { kept = context; }));
    await manager.ready();
    const before = manager.inspect();
    await manager.unload('gone');

    const uses: readonly (() => unknown)[] = [
      () => { kept.registerHandler('x', () => 1); }, () => { kept.use({ type: 'send', handler: () => {} }); }, () => { kept.on('error', () => {}); }, () => { kept.mapError(() => undefined); },
      () => { kept.every(5, () => {}); }, () => kept.after(5, () => {}), () => { kept.health('x', () => ({ status: 'healthy' })); }, () => { kept.metrics(() => ({})); },
      () => { kept.decorate('manager', { x: { value: 1 } }); }, () => { kept.onUnload(() => {}); }, () => { kept.http('/x', () => {}); }, () => { kept.upgrade('/x', () => {}); },
    ];
    for (const use of uses) expect(use, use.toString()).to.throw('"gone"').with.property('code', 'CONTEXT_CLOSED');

    expect(manager.inspect()).to.deep.equal({ ...before, plugins: (before.plugins ?? 0) - 1 });
    expect(kept.signal.aborted).to.be.true;
  });
});

describe('a context', () => {
  it('repeats work without overlapping runs, and reports failures', async () => {
    const { manager, failures } = await startKernel();
    let running = 0;
    let most = 0;
    let runs = 0;
    manager.use(plugin('timer', (context) => {
      context.every(5, async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 12));
        running--;
        if (++runs === 2) raise(new Error('second run'));
      });
    }));

    await eventually('four runs', () => runs >= 4 || runs);

    expect(most).to.equal(1);
    expect(failures.map(({ error, context: { phase, plugin: name } }) => [error.message, phase, name])).to.deep.equal([['second run', 'timer', 'timer']]);
  });

  it('runs work once, later, unless it is undone', async () => {
    const { manager } = await startKernel();
    const ran: string[] = [];
    manager.use(plugin('timer', (context) => {
      context.after(5, () => void ran.push('kept'));
      context.after(5, () => void ran.push('undone'))();
    }));

    await eventually('it ran', () => ran.length > 0);

    expect(ran).to.deep.equal(['kept']);
    expect(manager.inspect()).to.include({ deadlines: 0 });
  });

  it('adds checks and metrics to getHealth() and getMetrics()', async () => {
    const { manager } = await startKernel();
    manager.use(plugin('db', (context) => {
      context.health('db', async () => ({ status: 'degraded', lag: 5 }));
      context.health('sick', () => raise(new Error('no link')));
      context.metrics(() => ({ rows: 3, size: { type: 'gauge', help: 'Bytes.', value: 7 } }));
      context.metrics(() => raise(new Error('no metrics')));
    }));
    await manager.ready();
    await turn();

    const { status: worst, checks } = manager.getHealth();
    expect(worst).to.equal('unhealthy');
    expect(checks.db).to.include({ status: 'degraded', lag: 5 }).and.have.property('age').that.is.at.least(0);
    expect(checks.sick).to.include({ status: 'unhealthy', error: 'no link' });
    expect(manager.getMetrics().plugins).to.deep.equal({ db: { rows: 3, size: 7 } });
  });

  it('reports a health check that does not answer', async () => {
    const { manager } = await startKernel();
    manager.use(plugin('db', (context) => { context.health('db', () => new Promise(() => {})); }));
    await manager.ready();

    expect(manager.getHealth().checks).to.have.property('db');
  });

  it('logs an error event without a listener', async () => {
    const logger = recorder();
    const { manager } = await startKernel({ logger }, {}, false);

    manager.use(plugin('teller', (context) => { context.emit('error', new Error('told by a plugin'), { phase: 'plugin', plugin: 'teller' }); }));
    await manager.ready();

    expect(logger.lines.join('\n')).to.include('told by a plugin');
  });

  it('yields to a handler of the application', async () => {
    const { manager, connect } = await startKernel();
    manager.use(plugin('text', (context) => { context.registerHandler('text', () => 'built in', { yields: true }); }));
    const undo = manager.registerHandler('text', () => 'own');
    const client = await connect();

    const own = await client.request({ type: 'text' });
    undo();

    expect([own.content, (await client.request({ type: 'text' })).content]).to.deep.equal(['own', 'built in']);
  });

  it('lists the types and the plugins', async () => {
    const { manager } = await startKernel();
    let seen: unknown;
    manager.registerHandler('join_room', () => 1);

    manager.use(plugin('look', ({ node }) => { seen = [node.types(), node.loaded()]; })).use(plugin('again', ({ node }) => { seen = [node.types(), node.loaded()]; }));
    await manager.ready();

    expect(seen).to.deep.equal([['join_room'], ['look']]);
  });
});

describe('a manager that is stopped', () => {
  it('unloads all plugins, last first', async () => {
    const { manager } = await startKernel();
    const order: string[] = [];
    for (const name of ['a', 'b']) manager.use(plugin(name, (context) => { context.onUnload(() => void order.push(name)); }, name === 'b' ? ['a'] : []));
    await manager.ready();

    await manager.stop();

    expect(order).to.deep.equal(['b', 'a']);
  });

  it('rolls back a plugin that is being loaded, and ready() settles', async () => {
    const manager = WebSocketModule.create({ port: 0, setupTimeout: 200, drainTimeout: 100 }).on('error', () => {});
    cleanup(() => manager.stop());
    const gate = deferred();
    let cleaned = false;
    manager.use(plugin('slow', async (context) => {
      context.onUnload(() => { cleaned = true; });
      await gate.promise;
    }));
    const ready = codeOf(manager.ready());

    await manager.stop();
    gate.resolve();

    expect(await soon(ready.then(() => 'settled'))).to.equal('settled');
    await eventually('the clean-up', () => cleaned);
    expect(manager.inspect()).to.include({ plugins: 0 });
  });
});
