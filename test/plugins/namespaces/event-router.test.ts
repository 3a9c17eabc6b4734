import { expect } from 'chai';
import sinon from 'sinon';
import { ModuleError, type Connection } from '../../../index.ts';
import { EventRouter, namespaces, type EventFilter, type RoutedEvent } from '../../../plugins/namespaces.ts';
import { eventually } from '../../support/timing.ts';
import { entered, gate, serve } from './entering.ts';

/** A client in `/chat`, whose events come to this router. */
async function routed(router: EventRouter) {
  const started = await serve({ namespaces: { '/chat': {}, '/game': {} }, router });
  const client = await entered(await started.connect(), '/chat', '/game');
  return { ...started, client, say: (content: unknown, more: object = {}) => client.request({ type: 'say', namespace: '/chat', content, ...more }) };
}

describe('an event router', () => {
  it('hands an event to the handler of its namespace and type, which replies', async () => {
    const router = new EventRouter();
    const handler = sinon.spy((_connection: Connection, data: unknown, _event: RoutedEvent) => ({ heard: data }));
    router.route('/chat', 'say', handler);
    router.route('/game', 'say', () => 'elsewhere');
    const { manager, client, say } = await routed(router);

    const reply = await say({ text: 'hi' });

    const [connection] = manager.connections.values();
    expect(reply).to.deep.include({ type: 'say', namespace: '/chat', content: { heard: { text: 'hi' } } });
    sinon.assert.calledOnceWithMatch(handler, connection!, { text: 'hi' });
    expect(handler.firstCall.args[2]).to.deep.include({ namespace: '/chat', type: 'say', data: { text: 'hi' } });
    expect((await client.request({ type: 'say', namespace: '/game' })).content).to.equal('elsewhere');
    expect((await client.request({ type: 'nope', namespace: '/chat' })).content.code).to.equal('UNKNOWN_TYPE');
  });

  it('gives a route the payload, wherever its fields are', async () => {
    const router = new EventRouter();
    router.route('/chat', 'say', (_, data) => ({ data }));
    const { client, say } = await routed(router);

    const answers = await Promise.all([
      say({ roomId: 'a', content: 'hi' }), say('hi', { roomId: 'a' }), say({ content: 'hi' }, { roomId: 'a' }), say(undefined, { roomId: 'a' }), say('hi'),
    ]);

    const both = { roomId: 'a', content: 'hi' };
    const mixed = { roomId: 'a', content: { content: 'hi' } };
    expect(answers.map(({ content }) => content.data)).to.deep.equal([both, both, mixed, { roomId: 'a' }, 'hi']);
    expect(client.messages.filter(({ type }) => type === 'error')).to.deep.equal([]);
  });

  it('yields to the namespace\'s own handler, and comes before its "*"', async () => {
    const router = new EventRouter();
    for (const type of ['say', 'join_match']) router.route('/chat', type, () => 'routed');
    const { manager, client, say } = await routed(router);
    manager.of('/chat').registerHandler('*', () => 'any');
    const undo = manager.of('/chat').registerHandler('say', () => 'own');

    expect((await say(1)).content).to.equal('own');
    undo();
    expect((await say(1)).content).to.equal('routed');
    expect((await client.request({ type: 'join-match', namespace: '/chat' })).content).to.equal('routed');
    expect((await client.request({ type: 'other', namespace: '/chat' })).content).to.equal('any');
  });

  it('uses routes that are added later, and no removed ones', async () => {
    const router = new EventRouter();
    const { say } = await routed(router);
    expect((await say(1)).content.code).to.equal('UNKNOWN_TYPE');

    const undo = router.route('/chat', 'say', () => 'now');
    expect((await say(1)).content).to.equal('now');
    undo();
    router.route('/chat', 'say', () => 'again');
    undo();

    expect((await say(1)).content).to.equal('again');
  });

  it('is removed by its undo, and a server has one router at most', async () => {
    const router = new EventRouter();
    router.route('/chat', 'say', () => 'routed');
    const { manager, connect } = await serve({ namespaces: { '/chat': {} } });
    const undo = manager.setEventRouter(router);
    expect(() => manager.setEventRouter(new EventRouter())).to.throw().with.property('code', 'DUPLICATE');
    const client = await entered(await connect(), '/chat');
    expect((await client.request({ type: 'say', namespace: '/chat' })).content).to.equal('routed');

    undo();

    expect((await client.request({ type: 'say', namespace: '/chat' })).content.code).to.equal('UNKNOWN_TYPE');
    manager.setEventRouter(router);
    undo();
    expect(() => manager.setEventRouter(router)).to.throw().with.property('code', 'DUPLICATE');
  });

  it('keeps its routes when the plugin is loaded again', async () => {
    const router = new EventRouter();
    router.route('/chat', 'say', () => 'routed');
    const { manager, client } = await routed(router);
    await manager.unload('namespaces');

    manager.use(namespaces({ namespaces: { '/chat': {} }, router }));
    await manager.ready();
    await entered(client, '/chat');

    expect((await client.request({ type: 'say', namespace: '/chat' })).content).to.equal('routed');
  });

  it('rejects invalid and duplicate routes', () => {
    const router = new EventRouter();
    router.route('/chat', 'say', () => 1);
    const wrong: readonly (readonly [string, () => unknown])[] = [
      ['NAMESPACE_NAME_INVALID', () => router.route('chat', 'say', () => 1)],
      ['HANDLER_INVALID', () => router.route('/chat', '', () => 1)],
      ['HANDLER_INVALID', () => router.route('/chat', 'x', undefined as never)],
      ['HANDLER_INVALID', () => router.route('/chat', 'connect', () => 1)],
      ['DUPLICATE', () => router.route('/chat', 'say', () => 1)],
    ];

    for (const [expected, route] of wrong) expect(route, route.toString()).to.throw().with.property('code', expected);
  });
});

describe('event filters', () => {
  const pass = () => true;
  const fail = () => false;

  it('reject or change an event that does not pass, in order', async () => {
    const router = new EventRouter();
    const handled: unknown[] = [];
    router.route('/chat', 'say', (_, data) => {
      handled.push(data);
      return data;
    });
    const order: string[] = [];
    const note = (name: string, passes: (event: RoutedEvent) => boolean): EventFilter['condition'] => (_, event) => {
      order.push(`${name} ${JSON.stringify(event.data)}`);
      return passes(event);
    };
    router.addFilters([
      { name: 'shout', condition: note('shout', fail), action: 'modify', modifier: (event) => ({ ...event, data: { text: event.data.text.toUpperCase() } }) },
      { name: 'in-place', condition: async (connection, event) => note('in-place', fail)(connection, event), action: 'modify', modifier: async ({ data }) => { data.text = `${data.text}!`; } },
      { name: 'untouched', condition: note('untouched', pass), action: 'modify', modifier: () => { throw new Error('never'); } },
      { name: 'spam', condition: note('spam', ({ data }) => !data.text.includes('SPAM')), action: 'reject', message: 'no spam' },
    ]);
    router.addFilters([{ name: 'last', condition: note('last', pass), action: 'reject' }]);
    const { say } = await routed(router);

    const refused = await say({ text: 'spam' });
    const reply = await say({ text: 'hi' });

    expect(refused.content).to.deep.equal({ code: 'EVENT_REJECTED', message: 'no spam', filter: 'spam' });
    expect(reply.content).to.deep.equal({ text: 'HI!' });
    expect(handled).to.deep.equal([{ text: 'HI!' }]);
    expect(order).to.deep.equal([
      'shout {"text":"spam"}', 'in-place {"text":"SPAM"}', 'untouched {"text":"SPAM!"}', 'spam {"text":"SPAM!"}',
      'shout {"text":"hi"}', 'in-place {"text":"HI"}', 'untouched {"text":"HI!"}', 'spam {"text":"HI!"}', 'last {"text":"HI!"}',
    ]);
  });

  it('let no event pass of a client that was removed while they ran', async () => {
    const router = new EventRouter();
    const handler = sinon.spy();
    const wait = gate();
    let isAsked = false;
    router.route('/chat', 'say', handler);
    router.addFilters([{
      name: 'slow',
      condition: async () => {
        isAsked = true;
        await wait.opened;
        return true;
      },
      action: 'reject',
    }]);
    const { say, manager } = await routed(router);
    const chat = manager.of('/chat');

    const answer = say('hi');
    await eventually('the filter to be asked', () => isAsked);
    for (const connection of chat.connections.values()) chat.disconnect(connection, 'FORBIDDEN');
    wait.open();

    expect((await answer).content.code).to.equal('NAMESPACE_NOT_JOINED');
    sinon.assert.notCalled(handler);
  });

  it('let no event pass when they throw, and send only INTERNAL_ERROR', async () => {
    const router = new EventRouter();
    const handler = sinon.spy();
    router.route('/chat', 'say', handler);
    const undo = router.addFilters([{ name: 'broken', condition: ({ user }) => (user!['permissions'] as string[]).includes('say'), action: 'reject' }]);
    const { manager, say } = await routed(router);
    const errors: string[] = [];
    manager.on('error', ({ name }) => errors.push(name));

    expect((await say(1)).content.code).to.equal('INTERNAL_ERROR');
    sinon.assert.notCalled(handler);
    expect(errors).to.deep.equal(['TypeError']);
    undo();
    await say(1, { ack: true });

    sinon.assert.calledOnce(handler);
  });

  it('may reject with an error of their own, by throwing it', async () => {
    const router = new EventRouter();
    router.route('/chat', 'say', pass);
    router.addFilters([{ name: 'paid', condition: () => { throw new ModuleError('UNPAID'); }, action: 'reject' }]);
    const { say } = await routed(router);

    expect((await say(1)).content.code).to.equal('UNPAID');
  });

  it('may keep state in a class', async () => {
    class Once implements EventFilter {
      readonly name = 'once';
      readonly action = 'reject';
      #seen = 0;
      readonly condition = (): boolean => this.#seen++ === 0;
    }
    const router = new EventRouter();
    router.route('/chat', 'say', () => 'said');
    router.addFilters([new Once()]);
    const { say } = await routed(router);

    expect([(await say(1)).content, (await say(1)).content.code]).to.deep.equal(['said', 'EVENT_REJECTED']);
  });

  const good: EventFilter = { name: 'good', condition: fail, action: 'reject' };
  const wrong: readonly (readonly [given: unknown, text: RegExp])[] = [
    [{}, /"filters\.1\.name" must be a non-empty string/],
    [{ name: 'x' }, /"filters\.1\.condition" must be a function/],
    [{ ...good, action: 'drop' }, /"filters\.1\.action" must be one of "reject", "modify"/],
    [{ ...good, action: undefined }, /"filters\.1\.action"/],
    [{ ...good, action: 'modify' }, /"filters\.1\.modifier" must be a function/],
    [{ ...good, message: 1 }, /"filters\.1\.message"/],
    [null, /"filters\.1" must be an object/],
  ];
  for (const [given, text] of wrong) {
    it(`may not be ${JSON.stringify(given)}, and none beside it is added`, async () => {
      const router = new EventRouter();
      router.route('/chat', 'say', () => 'said');

      expect(() => router.addFilters([good, given as EventFilter])).to.throw(text).with.property('code', 'OPTION_INVALID');

      const { say } = await routed(router);
      expect((await say(1)).content).to.equal('said');
    });
  }

  it('must be a list', () => {
    expect(() => new EventRouter().addFilters(good as never)).to.throw(/must be a list of filters/);
  });
});
