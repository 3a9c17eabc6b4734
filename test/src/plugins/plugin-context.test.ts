import { expect } from 'chai';
import type { PluginContext } from '../../../src/contracts.ts';
import { defineErrors, ModuleError } from '../../../src/errors.ts';
import { members } from '../../support/documents.ts';
import { memoryOffer } from '../../support/memory-offer.ts';
import { eventually } from '../../support/timing.ts';
import { pluginSuite } from '../../support/plugin-suite.ts';
import { deferred, only, plugin, startKernel } from '../start-kernel.ts';

/** A manager with one client, and the context of a loaded plugin. */
async function loaded(name = 'guest') {
  const { manager, connect, failures } = await startKernel();
  let context!: PluginContext;
  manager.use(plugin(name, (given) => { context = given; }));
  await manager.ready();
  const client = await connect();
  return { manager, client, connection: only(manager), context, node: context.node, failures, connect };
}

const topics = (manager: { inspect(options: { detail: true }): readonly { owner: string; label: string }[] }) =>
  manager.inspect({ detail: true }).filter(({ label }) => label.startsWith('topic '));

describe('the node of a plugin', () => {
  it('has the members of its contract, and no other', async () => {
    const { node } = await loaded();

    expect(Object.keys(node)).to.have.members(members('src/contracts.ts', 'Node'));
  });

  it('ends the subscriptions that it made when the plugin is unloaded', async () => {
    const { manager, connection, node } = await loaded();
    node.subscribe(connection, 'clock');
    node.subscribe(connection, 'weather');
    node.unsubscribe(connection, 'weather');
    const before = topics(manager);

    await manager.unload('guest');

    expect(before).to.deep.equal([{ owner: 'guest', label: 'topic clock (1)' }]);
    expect(topics(manager)).to.deep.equal([]);
    expect(manager.publish('clock', { type: 'tick' })).to.equal(0);
  });

  it('leaves the subscriptions of others as they are', async () => {
    const { manager, connection, node } = await loaded();
    manager.subscribe(connection.id, 'clock');
    node.subscribe(connection, 'clock');

    node.unsubscribe(connection, 'clock');
    const afterUnsubscribe = manager.publish('clock', { type: 'tick' });
    node.subscribe(connection, 'clock');
    await manager.unload('guest');

    expect(afterUnsubscribe).to.equal(1);
    expect(manager.publish('clock', { type: 'tick' })).to.equal(1);
  });

  it('subscribes nothing after the unload', async () => {
    const { manager, connection, node } = await loaded();
    await manager.unload('guest');

    expect(() => node.subscribe(connection, 'clock')).to.throw().with.property('code', 'CONTEXT_CLOSED');
    expect(() => node.hold(connection, true)).to.throw().with.property('code', 'CONTEXT_CLOSED');
    expect(() => node.identify(connection, { id: 'ann' })).to.throw().with.property('code', 'CONTEXT_CLOSED');
    expect(() => node.resume(connection, 'session')).to.throw().with.property('code', 'CONTEXT_CLOSED');
  });

  it('releases a connection that it held, unless another plugin holds it', async () => {
    const { manager, connection, node } = await loaded();
    let other!: PluginContext;
    manager.use(plugin('other', (given) => { other = given; }));
    await manager.ready();
    node.hold(connection, true);
    other.node.hold(connection, true);

    await manager.unload('guest');
    const whileOtherHolds = connection.isHeld;
    await manager.unload('other');

    expect(whileOtherHolds).to.be.true;
    expect(connection.isHeld).to.be.false;
    expect(manager.broadcast({ type: 'news' })).to.equal(1);
  });

  it('removes the user of a connection again, and emits connection:identified', async () => {
    const { manager, connection, node } = await loaded();
    node.identify(connection, { id: 'ann' });
    const users: unknown[] = [];
    manager.on('connection:identified', ({ user }) => { users.push(user); });

    await manager.unload('guest');

    expect(users).to.deep.equal([undefined]);
    expect(connection.user).to.equal(undefined);
    expect(manager.sendToUser('ann', { type: 'hello' })).to.equal(0);
  });

  it('keeps a user that another owner has set since', async () => {
    const { manager, connection, node } = await loaded();
    node.identify(connection, { id: 'ann' });
    manager.identify(connection.id, { id: 'ann', roles: ['admin'] });

    await manager.unload('guest');

    expect(connection.user).to.deep.equal({ id: 'ann', roles: ['admin'] });
  });

  it('gives a connection a new session when its plugin is unloaded', async () => {
    const { manager, connection, node } = await loaded();
    node.resume(connection, 'the-old-session');
    const during = connection.sessionId;

    await manager.unload('guest');

    expect(during).to.equal('the-old-session');
    expect(connection.sessionId).to.not.equal('the-old-session');
  });
});

describe('a context', () => {
  it('reports failures under the name of the plugin', async () => {
    const { context, failures } = await loaded();

    context.report('no error', { phase: 'timer' });

    expect(failures[0]!.error.message).to.equal('no error');
    expect(failures[0]!.context).to.deep.include({ phase: 'timer', plugin: 'guest' });
  });

  it('waits for work up to a timeout, and reports a later failure', async () => {
    const { context, failures } = await loaded();
    const work = deferred<string>();

    const late = await context.within(1, work.promise, () => 'late');
    work.reject(new Error('too late'));
    const inTime = await context.within(1_000, Promise.resolve('in time'), () => 'late');

    expect([late, inTime]).to.deep.equal(['late', 'in time']);
    expect(failures.map(({ error }) => error.message)).to.deep.equal(['too late']);
  });

  it('expires items that share a timeout in order, until it is unloaded', async () => {
    const { manager, context } = await loaded();
    const expired: string[] = [];
    const queue = context.timeoutQueue<{ readonly startedAt: number; readonly name: string }>(5, (item) => {
      queue.items.delete(item);
      expired.push(item.name);
    });
    queue.add({ startedAt: performance.now(), name: 'a' });
    queue.add({ startedAt: performance.now(), name: 'b' });
    await eventually('both expired', () => expired.length === 2);
    queue.add({ startedAt: performance.now(), name: 'c' });

    await manager.unload('guest');

    expect(expired).to.deep.equal(['a', 'b']);
    expect(queue.items.size).to.equal(0);
    expect(manager.inspect()).to.include({ deadlines: 0 });
  });

  it('routes messages after all layers', async () => {
    const { manager, client, context } = await loaded();
    const seen: string[] = [];
    context.route((message) => (message.namespace === 'x' ? { type: 'wipe-all', handler: ({ type }) => `routed ${type}` } : undefined));
    manager.use({ type: 'message', name: 'guard', handler: (message, _, next) => { seen.push(message.type); return next(); } });

    const reply = await client.request({ type: 'wipe_all', namespace: 'x' });

    expect(reply).to.deep.include({ type: 'wipe_all', content: 'routed wipe-all' });
    expect(seen).to.deep.equal(['wipe-all']);
  });

  it('lets a route reject after the layers', async () => {
    const { manager, client, context } = await loaded();
    context.route(() => { throw new ModuleError('NO_WAY'); });
    manager.use({ type: 'message', name: 'guard', handler: () => { throw new ModuleError('GUARDED'); } });

    const guarded = await client.request({ type: 'x' });
    await manager.unload('guard');
    const refused = await client.request({ type: 'x' });

    expect([guarded.content.code, refused.content.code]).to.deep.equal(['GUARDED', 'NO_WAY']);
  });

  it('lists everything that it added, with its owner, and nothing after the unload', async () => {
    const { manager, context, connection } = await loaded();
    useEveryMember(context);
    context.node.subscribe(connection, 'clock');

    const listed = manager.inspect({ detail: true }).filter(({ owner }) => owner === 'guest').map(({ label }) => label);
    await manager.unload('guest');

    expect(listed).to.include.members(['handler everything', 'route', 'message layer everything', 'listener error', 'frame guard', 'error map',
      'timer every 1000 ms', 'deadline of 1000 ms', 'http path /everything', 'upgrade path /everything', 'transport settings',
      'health check everything', 'collector', 'members of the manager: everything', 'topic clock (1)']);
    expect(manager.inspect({ detail: true }).filter(({ owner }) => owner === 'guest')).to.deep.equal([]);
  });
});

describe('errors of a plugin', () => {
  it('are defined by it, with their texts and traits', () => {
    defineErrors('polls', { POLL_CLOSED: [({ poll }: { poll: string }) => `poll "${poll}" is closed`, { expose: true, status: 409 }] });

    const error = new ModuleError('POLL_CLOSED', { poll: 'lunch' });

    expect(error).to.include({ message: 'poll "lunch" is closed', expose: true, status: 409 });
  });

  it('cannot take a code of another owner', () => {
    expect(() => defineErrors('polls', { OPTION_INVALID: [() => '', {}] })).to.throw('error code "OPTION_INVALID"').with.property('code', 'DUPLICATE');
  });
});

/** Uses each member of the context once. Returns the names of the members. */
function useEveryMember(context: PluginContext): string[] {
  const { node } = context;
  const [connection] = node.connections.values();
  const uses: { [Member in keyof PluginContext]: () => unknown } = {
    name: () => context.name,
    named: () => context.named('a-b'),
    signal: () => context.signal.aborted,
    log: () => context.log.debug('everything'),
    node: () => {
      if (!connection) return;
      node.hold(connection, true);
      node.subscribe(connection, 'everything');
      node.identify(connection, { id: 'everyone' });
      node.resume(connection, 'session');
    },
    registerHandler: () => context.registerHandler('everything', () => 1),
    escape: () => context.escape('everything'),
    route: () => context.route(() => undefined),
    publishWith: () => context.publishWith(() => false),
    journal: () => context.journal,
    guardFrames: () => context.guardFrames({ charge: () => undefined, refund: () => undefined }),
    use: () => {
      context.use({ type: 'upgrade', name: 'everything', handler: () => undefined });
      context.use({ type: 'connection', name: 'everything', handler: () => undefined });
      context.use({ type: 'message', name: 'everything', handler: (_message, _connection, next) => next() });
      context.use({ type: 'send', name: 'everything', handler: () => undefined });
    },
    on: () => context.on('error', () => undefined),
    emit: () => context.emit('message:dropped', { connection: undefined, code: 'NONE' }),
    report: () => context.report(new Error('everything')),
    within: () => context.within(10, Promise.resolve(), () => undefined),
    mapError: () => context.mapError(() => undefined),
    every: () => context.every(1_000, () => undefined),
    after: () => context.after(1_000, () => undefined),
    timeoutQueue: () => context.timeoutQueue(1_000, () => undefined).add({ startedAt: performance.now() }),
    channel: () => context.channel('everything', () => 1).tell('everything'),
    store: () => context.store?.watch(() => undefined),
    seats: () => context.seats({ enterAgain: () => undefined }),
    http: () => context.http('/everything', (_, response) => { response.end(); }),
    accept: () => void context.accept(memoryOffer({}, { check: () => { throw new ModuleError('HANDSHAKE_INVALID', { reason: 'a test' }); } })),
    upgrade: () => context.upgrade('/everything', (_, socket) => { socket.destroy(); }),
    transport: () => context.transport({}),
    health: () => context.health('everything', () => ({ status: 'healthy' })),
    metrics: () => context.metrics(() => ({ everything: 1 })),
    decorate: () => {
      for (const target of ['manager', 'connections', 'connection'] as const) context.decorate(target, { everything: { value: 1 } });
    },
    onUnload: () => context.onUnload(() => undefined),
  };
  for (const use of Object.values(uses)) use();
  return Object.keys(uses);
}

describe('the hygiene suite', () => {
  it('has a plugin that uses every member of the context', async () => {
    const { context } = await loaded();

    expect(useEveryMember(context)).to.have.members(members('src/contracts.ts', 'PluginContext'));
  });

  pluginSuite('everything', () => plugin('everything', (context) => { useEveryMember(context); }));
});
