import { expect } from 'chai';
import { ModuleError, type MessageLayer } from '../../../index.ts';
import { entered, serve } from './entering.ts';

const layer = (handler: MessageLayer['handler'], name?: string): MessageLayer => ({ type: 'message', handler, ...(name === undefined ? {} : { name }) });

describe('the handlers and layers of a namespace', () => {
  it('run outermost layer first, around the handler of the namespace alone', async () => {
    const { manager, connect } = await serve();
    const order: string[] = [];
    const log = (name: string) => layer(async (_message, _connection, next) => {
      order.push(name);
      const result = await next();
      order.push(`${name} again`);
      return result;
    });
    const [chat, game] = [manager.of('/chat'), manager.of('/game')];
    for (const namespace of [chat, game]) namespace.registerHandler('say', () => void order.push('handler'));
    chat.use(log('a'));
    const undo = chat.use(log('b'));
    const client = await entered(await connect(), '/chat', '/game');

    await client.request({ type: 'say', namespace: '/chat', ack: true });
    undo();
    await client.request({ type: 'say', namespace: '/chat', ack: true });
    await client.request({ type: 'say', namespace: '/game', ack: true });

    expect(order).to.deep.equal(['a', 'b', 'handler', 'b again', 'a again', 'a', 'handler', 'a again', 'handler']);
  });

  it('may answer or refuse in a layer instead of the handler', async () => {
    const { manager, connect } = await serve();
    const chat = manager.of('/chat');
    chat.use(layer(({ content }, _connection, next) => {
      if (content === 'spam') throw new ModuleError('SPAM');
      return content === 'cached' ? 'from the layer' : next();
    }));
    chat.registerHandler('say', () => 'from the handler');
    const client = await entered(await connect(), '/chat');

    const answers = await Promise.all(['hi', 'cached', 'spam'].map((content) => client.request({ type: 'say', namespace: '/chat', content })));

    expect(answers.map(({ content }) => content.code ?? content)).to.deep.equal(['from the handler', 'from the layer', 'SPAM']);
  });

  it('report a layer that calls next() twice', async () => {
    const { manager, connect } = await serve();
    const errors: string[] = [];
    manager.on('error', (error) => errors.push((error as ModuleError).code));
    const chat = manager.of('/chat');
    let handled = 0;
    chat.registerHandler('say', () => {
      handled++;
    });
    chat.use(layer((_message, _connection, next) => {
      next();
      next();
    }, 'hasty'));
    const client = await entered(await connect(), '/chat');

    const { content } = await client.request({ type: 'say', namespace: '/chat' });

    expect(content.code).to.equal('INTERNAL_ERROR');
    expect(errors).to.deep.equal(['NEXT_TWICE']);
    expect(handled).to.equal(1);
  });

  it('stand behind the layers of the manager, and answer a throwing handler once', async () => {
    const seen: string[] = [];
    const before = layer((message, _connection, next) => {
      seen.push(`${message.type} ${message.namespace}`);
      return next();
    }, 'before');
    const { manager, connect } = await serve({}, { use: [before] });
    manager.on('error', () => undefined);
    manager.of('/chat').registerHandler('fail', () => Promise.reject(new Error('secret')));
    const client = await entered(await connect(), '/chat');

    const { content } = await client.request({ type: 'fail', namespace: '/chat' });

    expect(content).to.deep.equal({ code: 'INTERNAL_ERROR', message: 'the server failed to handle this message' });
    expect(seen).to.deep.equal(['connect /chat', 'fail /chat']);
  });

  it('find a type in every spelling under its registered name, and give the rest to the handler of "*"', async () => {
    const { manager, connect } = await serve();
    const chat = manager.of('/chat');
    chat.registerHandler('join_room', ({ type }) => type);
    chat.registerHandler('*', ({ type }) => `any ${type}`);
    const client = await entered(await connect(), '/chat');

    const types = ['join-room', 'join room', 'join_room', 'constructor', '__proto__'];
    const answers = await Promise.all(types.map((type) => client.request({ type, namespace: '/chat' })));

    expect(answers.map(({ content }) => content))
      .to.deep.equal(['join_room', 'join_room', 'join_room', 'any constructor', 'any __proto__']);
    expect(answers.map(({ type }) => type)).to.deep.equal(types);
  });

  it('are removed by their undo, which works once', async () => {
    const { manager, connect } = await serve();
    const chat = manager.of('/chat');
    const handler = () => 'said';
    const undo = chat.registerHandler('say', handler);
    expect(() => chat.registerHandler('say', handler)).to.throw().with.property('code', 'DUPLICATE');
    undo();
    chat.registerHandler('say', handler);
    undo();
    const client = await entered(await connect(), '/chat');

    expect((await client.request({ type: 'say', namespace: '/chat' })).content).to.equal('said');
  });

  it('must be functions and layers of their kind', async () => {
    const { manager } = await serve();
    const chat = manager.of('/chat');
    const wrong: readonly (readonly [string, () => unknown])[] = [
      ['HANDLER_INVALID', () => chat.registerHandler('', () => 1)],
      ['HANDLER_INVALID', () => chat.registerHandler(1 as never, () => 1)],
      ['HANDLER_INVALID', () => chat.registerHandler('say', 'no function' as never)],
      ['HANDLER_INVALID', () => chat.registerHandler('connect', () => 1)],
      ['HANDLER_INVALID', () => chat.registerHandler('disconnect', () => 1)],
      ['ITEM_INVALID', () => chat.use((() => 1) as never)],
      ['ITEM_INVALID', () => chat.use({ type: 'send', handler: () => undefined } as never)],
      ['ITEM_INVALID', () => chat.use(null as never)],
      ['OPTION_INVALID', () => chat.admit({} as never)],
      ['OPTION_INVALID', () => chat.on('connect', 1 as never)],
      ['OPTION_INVALID', () => chat.on('constructor' as 'connect', () => 1)],
    ];

    for (const [expected, add] of wrong) expect(add, add.toString()).to.throw().with.property('code', expected);
  });
});
