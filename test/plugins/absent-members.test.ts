import { expect } from 'chai';
import { WebSocketModule } from '../../index.ts';
import { start } from '../support/start.ts';

const failure = (read: () => unknown): Error & { code?: string } => {
  try {
    read();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not throw');
};

describe('a member of a built-in that is not loaded', () => {
  it('says which built-in to load', async () => {
    const { manager } = await start();
    const expected = (member: string, plugin: string): string =>
      `${member} needs the plugin "${plugin}", which is not loaded; call use('${plugin}'), and await ready()`;

    const errors = [
      failure(() => manager.of('/chat')),
      failure(() => manager.setEventRouter({} as never)),
      failure(() => manager.io.emit('news')),
      failure(() => manager.connections.joinRoom('id', 'room')),
    ];

    expect(errors.map(({ message }) => message)).to.deep.equal([
      expected('manager.of', 'namespaces'),
      expected('manager.setEventRouter', 'namespaces'),
      expected('manager.io', 'events'),
      expected('manager.connections.joinRoom', 'rooms'),
    ]);
    expect(errors.map(({ code }) => code)).to.deep.equal(Array.from(errors, () => 'PLUGIN_UNKNOWN'));
  });

  it('says that the built-in is still loading, or that it failed', async () => {
    const manager = WebSocketModule.create({ port: 0, plugins: ['namespaces'] });
    manager.on('error', () => undefined);

    const loading = failure(() => manager.of('/chat'));
    await manager.ready();
    manager.of('/chat');
    manager.use('rooms', { nope: true });
    await manager.ready().catch(() => undefined);
    const failed = failure(() => manager.connections.getConnection('id'));
    await manager.unload('rooms');
    await manager.stop();

    expect(loading.message).to.include('which is still loading; await ready() first');
    expect(failed.message).to.include('which failed to load; await ready() rejects with the reason');
  });

  it('says so again after the built-in is unloaded', async () => {
    const { manager } = await start({ plugins: ['namespaces'] });
    const before = manager.inspect().decorations;

    await manager.unload('namespaces');

    expect(before).to.equal(4);
    expect(manager.inspect().decorations).to.equal(0);
    expect(failure(() => manager.of).message).to.include('is not loaded');
  });

  it('exists for everything that a built-in adds to the manager and its connections', async () => {
    const { manager } = await start();
    const known = (): string[] => [manager, manager.connections].flatMap((target) => Object.getOwnPropertyNames(target));
    const before = known();

    manager.use(['rooms', 'namespaces', 'events', 'presence', 'moderation', 'private-messages', 'monitoring', 'batching']);
    manager.use(['permissions', 'endpoints', 'validation', 'rate-limit', 'connection-limits', 'logging', 'compression']);
    await manager.ready();

    expect(known()).to.have.members(before);
  });

  it('shows nothing to code that lists members', async () => {
    const { manager } = await start();

    expect(Object.keys(manager)).to.deep.equal([]);
    expect([...manager.connections]).to.deep.equal([]);
    expect(structuredClone({ ...manager })).to.deep.equal({});
  });
});
