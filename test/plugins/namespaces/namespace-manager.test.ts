import { expect } from 'chai';
import { EventRouter, namespaces, NamespaceManager } from '../../../plugins/namespaces.ts';
import { code, enter, entered, serve } from './entering.ts';

class Three extends NamespaceManager {
  constructor() {
    super();
    for (const name of ['/chat', '/game', '/admin']) this.createNamespace(name).registerHandler('where', () => name);
  }
}

describe('a namespace manager', () => {
  it('has its namespaces open while it is on a server', async () => {
    const mine = new Three();
    const { manager, connect } = await serve({ manager: mine });
    const client = await entered(await connect(), '/chat', '/game');

    expect(manager.of('/chat')).to.equal(mine.getNamespace('/chat'));
    expect((await client.request({ type: 'where', namespace: '/game' })).content).to.equal('/game');
    expect(mine.getNamespace('/chat')!.publish({ type: 'news' })).to.equal(1);
  });

  it('opens namespaces that it creates later, and closes those that it deletes', async () => {
    const mine = new Three();
    const { manager, connect } = await serve({ manager: mine });
    mine.createNamespace('/late');
    const client = await entered(await connect(), '/late', '/game');

    expect(mine.deleteNamespace('/late')).to.equal(true);
    expect(mine.deleteNamespace('/late')).to.equal(false);
    expect(manager.api('namespaces').delete('/game')).to.equal(true);

    expect((await client.next('disconnected')).namespace).to.equal('/late');
    expect((await client.next('disconnected')).namespace).to.equal('/game');
    expect(await code(enter(client, '/late'))).to.equal('NAMESPACE_UNKNOWN');
    expect(mine.names).to.deep.equal(['/chat', '/admin']);
  });

  it('is set, and removed by the undo', async () => {
    const { manager, connect } = await serve();
    const mine = new Three();
    const undo = manager.setNamespaceManager(mine);
    const client = await entered(await connect(), '/chat');
    expect(() => manager.setNamespaceManager(new Three())).to.throw().with.property('code', 'DUPLICATE');

    undo();
    undo();

    expect((await client.next('disconnected')).content.reason).to.equal('deleted');
    expect(manager.api('namespaces').names).to.deep.equal([]);
    manager.setNamespaceManager(mine);
    undo();
    await entered(client, '/chat');
  });

  it('is on one server at a time', async () => {
    const mine = new Three();
    const [first, second] = [await serve({ manager: mine }), await serve()];
    expect(() => second.manager.setNamespaceManager(mine)).to.throw(/"Three" is already provided by "another server"/);

    await first.manager.unload('namespaces');
    second.manager.setNamespaceManager(mine);

    const client = await entered(await second.connect(), '/chat');
    expect((await client.request({ type: 'where', namespace: '/chat' })).content).to.equal('/chat');
  });

  it('opens none of its namespaces if one of them exists already', async () => {
    const { manager } = await serve({ namespaces: { '/admin': {} } });
    const mine = new Three();

    expect(() => manager.setNamespaceManager(mine)).to.throw(/namespace "\/admin" is already provided/);

    expect(manager.api('namespaces').names).to.deep.equal(['/admin']);
    manager.api('namespaces').delete('/admin');
    manager.setNamespaceManager(mine);
    expect(manager.api('namespaces').names).to.deep.equal(['/chat', '/game', '/admin']);
  });

  it('must be an instance of NamespaceManager', async () => {
    const { manager } = await serve();

    for (const given of [undefined, {}, new EventRouter()]) {
      expect(() => manager.setNamespaceManager(given as NamespaceManager)).to.throw(/NamespaceManager/).with.property('code', 'OPTION_INVALID');
    }
    expect(() => manager.setEventRouter(new NamespaceManager() as never)).to.throw(/EventRouter/).with.property('code', 'OPTION_INVALID');
  });

  it('creates no namespace twice, and none that its server has', async () => {
    const mine = new Three();
    const { manager } = await serve({ manager: mine, namespaces: { '/taken': {} } });
    for (const name of ['/chat', '/taken']) expect(() => mine.createNamespace(name)).to.throw().with.property('code', 'DUPLICATE');

    expect(mine.names).to.not.include('/taken');
    expect(manager.api('namespaces').names).to.have.members(['/taken', '/chat', '/game', '/admin']);
  });

  it('keeps its handlers when the plugin is loaded again', async () => {
    const mine = new Three();
    const { manager, connect } = await serve();
    manager.setNamespaceManager(mine);
    const client = await entered(await connect(), '/chat');
    await manager.unload('namespaces');
    expect(await code(client.request({ type: 'where', namespace: '/chat' }))).to.equal('UNKNOWN_TYPE');

    manager.use(namespaces({ manager: mine }));
    await manager.ready();

    await entered(client, '/chat');
    expect((await client.request({ type: 'where', namespace: '/chat' })).content).to.equal('/chat');
  });
});
