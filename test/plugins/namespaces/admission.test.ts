import { expect } from 'chai';
import sinon from 'sinon';
import { ModuleError } from '../../../index.ts';
import { eventually } from '../../support/timing.ts';
import { code, enter, entered, gate, serve } from './entering.ts';

describe('entering a namespace', () => {
  it('calls a check with the connection, the credentials and the handshake', async () => {
    const { manager, connect } = await serve({}, { keepHeaders: ['user-agent'] });
    const seen: unknown[] = [];
    manager.of('/chat').admit((connection, credentials, handshake) => void seen.push(connection, credentials, handshake));
    const client = await connect({ headers: { 'user-agent': 'test' } });

    await client.request({ type: 'connect', namespace: '/chat', token: 'abc', content: { locale: 'de' } });

    const [connection] = manager.connections.values();
    // What stands beside the content is part of the payload, as is the content itself.
    const credentials = { token: 'abc', locale: 'de', content: { locale: 'de' } };
    expect(seen.slice(0, 2)).to.deep.equal([connection, credentials]);
    expect(seen[2]).to.deep.include({ credentials, headers: { 'user-agent': 'test' }, address: '127.0.0.1' });
  });

  it('gives credentials that can be destructured, whatever a client sends', async () => {
    const { manager, connect } = await serve();
    const seen: unknown[] = [];
    manager.of('/chat').admit((_, { token }) => {
      seen.push(token);
      return false;
    });
    const client = await connect();

    for (const content of [null, 1, 'x', [], undefined, { token: 'abc' }]) expect(await code(enter(client, '/chat', content))).to.equal('FORBIDDEN');

    expect(seen).to.deep.equal([undefined, undefined, undefined, undefined, undefined, 'abc']);
  });

  it('runs the checks in order until one rejects', async () => {
    const { manager, connect } = await serve();
    const asked: string[] = [];
    const chat = manager.of('/chat');
    const wait = gate();
    chat.admit(async () => {
      asked.push('first');
      await wait.opened;
      asked.push('first done');
    });
    const undo = chat.admit(() => {
      asked.push('second');
      throw new ModuleError('NO');
    });
    chat.admit(() => void asked.push('third'));
    const client = await connect();
    const answer = code(enter(client, '/chat'));
    await eventually('the first is asked', () => asked.length === 1);

    wait.open();

    expect(await answer).to.equal('NO');
    expect(asked).to.deep.equal(['first', 'first done', 'second']);
    undo();
    await entered(client, '/chat');
    expect(asked.at(-1)).to.equal('third');
  });

  it('is rejected with FORBIDDEN when a check returns false or a promise of false', async () => {
    const { manager, connect } = await serve();
    manager.of('/chat').admit(() => false);
    manager.of('/game').admit(async () => false);
    const client = await connect();

    expect(await code(enter(client, '/chat'))).to.equal('FORBIDDEN');
    expect(await code(enter(client, '/game'))).to.equal('FORBIDDEN');
  });

  it('sends only INTERNAL_ERROR to the client when a check throws', async () => {
    const { manager, connect } = await serve();
    const errors: string[] = [];
    manager.on('error', ({ message }) => errors.push(message));
    manager.of('/chat').admit(() => Promise.reject(new Error('the password of the database')));

    const { content } = await enter(await connect(), '/chat');

    expect(content.code).to.equal('INTERNAL_ERROR');
    expect(errors).to.deep.equal(['the password of the database']);
  });

  it('ends before the next message of the connection is handled, however long it takes', async () => {
    const { manager, connect } = await serve();
    const order: string[] = [];
    const chat = manager.of('/chat');
    const [check, listener] = [gate(), gate()];
    chat.admit(async () => {
      order.push('asked');
      await check.opened;
    });
    chat.on('connect', async () => {
      order.push('connect');
      await listener.opened;
      order.push('connect done');
    });
    chat.registerHandler('say', () => void order.push('say'));
    const client = await connect();
    void client.send({ type: 'connect', namespace: '/chat' });
    const said = client.request({ type: 'say', namespace: '/chat', ack: true });
    await eventually('it is asked', () => order.length === 1);

    check.open();
    await client.next('connected');
    expect(order).to.deep.equal(['asked', 'connect']);
    listener.open();
    await said;

    expect(order).to.deep.equal(['asked', 'connect', 'connect done', 'say']);
  });

  it('keeps that order for a namespace even if messages are handled in parallel', async () => {
    const { manager, connect } = await serve({}, { message: { concurrency: 8 } });
    const chat = manager.of('/chat');
    const wait = gate();
    const asked = sinon.spy();
    chat.admit(async () => {
      asked();
      await wait.opened;
    });
    chat.registerHandler('say', ({ content }) => content);
    manager.registerHandler('elsewhere', () => 'served');
    const client = await connect();
    const answers = [enter(client, '/chat'), enter(client, '/chat'), client.request({ type: 'say', namespace: '/chat', content: 1 })];

    expect((await client.request({ type: 'elsewhere' })).content).to.equal('served');
    wait.open();

    const [first, second, said] = await Promise.all(answers);
    expect([first?.type, second?.content.code, said?.content]).to.deep.equal(['connected', 'NAMESPACE_ALREADY_JOINED', 1]);
    sinon.assert.calledOnce(asked);
  });

  it('sends the messages of connect listeners after connected', async () => {
    const { manager, connect } = await serve();
    const chat = manager.of('/chat');
    chat.on('connect', (connection) => {
      chat.send(connection, { type: 'welcome' });
      chat.publish({ type: 'news' });
    });
    const client = await connect();

    await enter(client, '/chat');
    await client.next('news');

    expect(client.messages.map(({ type, namespace }) => `${type} ${namespace}`)).to.deep.equal(['connected /chat', 'welcome /chat', 'news /chat']);
  });

  it('succeeds although a listener fails, at once or later, and the failure is reported', async () => {
    const { manager, connect } = await serve();
    const errors: string[] = [];
    manager.on('error', ({ message }, { phase, plugin }) => errors.push(`${phase} ${plugin} ${message}`));
    const chat = manager.of('/chat');
    chat.on('connect', () => { throw new Error('at once'); });
    chat.on('connect', () => Promise.reject(new Error('later')));
    chat.on('disconnect', () => { throw new Error('leaving'); });
    const heard = sinon.spy();
    chat.on('connect', heard);
    const client = await entered(await connect(), '/chat');

    await client.request({ type: 'disconnect', namespace: '/chat' });

    expect(errors).to.have.members(['at once', 'later', 'leaving'].map((text) => `listener namespaces ${text}`));
    sinon.assert.calledOnce(heard);
  });

  it('is refused when a check takes too long, also when the check passes later', async () => {
    const { manager, connect } = await serve({ admitTimeout: 30 });
    const errors: string[] = [];
    manager.on('error', ({ message }) => errors.push(message));
    const chat = manager.of('/chat');
    const [late, failing] = [gate(), gate()];
    const undo = chat.admit(() => late.opened);
    const client = await connect();
    expect(await code(enter(client, '/chat'))).to.equal('NAMESPACE_TIMEOUT');
    undo();
    chat.admit(() => failing.opened);
    expect(await code(enter(client, '/chat'))).to.equal('NAMESPACE_TIMEOUT');

    late.open();
    failing.fail(new Error('too late'));

    await eventually('the failure is told', () => errors.includes('too late'));
    expect(chat.connections.size).to.equal(0);
    expect(manager.inspect()['deadlines']).to.equal(0);
  });

  it('continues when a listener of connect never settles', async () => {
    const { manager, connect } = await serve({ admitTimeout: 30 });
    const errors: string[] = [];
    manager.on('error', (error) => errors.push((error as ModuleError).code));
    manager.of('/chat').on('connect', () => new Promise(() => undefined));
    manager.of('/chat').registerHandler('say', () => 'said');
    const client = await entered(await connect(), '/chat');

    expect((await client.request({ type: 'say', namespace: '/chat' })).content).to.equal('said');
    expect(errors).to.deep.equal(['NAMESPACE_TIMEOUT']);
  });

  it('is cancelled when the connection closes, or the namespace is deleted, while a check runs', async () => {
    const { manager, connect } = await serve();
    const [chat, game] = [manager.of('/chat', { rateLimit: { connectionsPerIP: 1 } }), manager.of('/game')];
    const wait = gate();
    const asked = sinon.spy(async () => wait.opened);
    chat.admit(asked);
    game.admit(asked);
    const joined = sinon.spy();
    manager.on('namespace:joined', joined);
    const [leaver, stayer] = [await connect(), await connect()];
    void leaver.send({ type: 'connect', namespace: '/chat' });
    const refused = code(enter(stayer, '/game'));
    await eventually('both are asked', () => asked.callCount === 2);

    await leaver.terminate();
    await eventually('it is gone', () => manager.connections.size === 1);
    manager.api('namespaces').delete('/game');
    wait.open();

    expect(await refused).to.equal('NAMESPACE_UNKNOWN');
    sinon.assert.notCalled(joined);
    // Its place is free again.
    await entered(stayer, '/chat');
    expect(chat.connections.size).to.equal(1);
  });

  it('calls the undos of its checks when it is refused after all, last first, and whatever one of them does', async () => {
    const { manager, connect } = await serve({ admitTimeout: 30 });
    const errors: string[] = [];
    manager.on('error', ({ message }) => errors.push(message));
    const chat = manager.of('/chat');
    const undone: string[] = [];
    const [late, leaving] = [gate(), gate()];
    chat.admit(() => () => void undone.push('first'));
    chat.admit(async () => () => {
      undone.push('second');
      throw new Error('while undoing');
    });
    const client = await connect();

    await entered(client, '/chat');
    await client.request({ type: 'disconnect', namespace: '/chat' });
    const whenLetIn = undone.splice(0);
    const undo = chat.admit(() => false);
    await enter(client, '/chat');
    const whenRefused = undone.splice(0);
    undo();
    const undoLate = chat.admit(async () => {
      await late.opened;
      return () => void undone.push('late');
    });
    let asked = false;
    const undoNext = chat.admit(() => void (asked = true));
    await enter(client, '/chat');
    const whenLate = undone.splice(0);
    late.open();
    await eventually('it is undone, too', () => undone.length === 1);
    const wasAskedOn = asked;
    undoLate();
    undoNext();
    let isLeaving = false;
    chat.admit(() => {
      isLeaving = true;
      return leaving.opened;
    });
    await client.send({ type: 'connect', namespace: '/chat' });
    await eventually('it is asked for again', () => isLeaving);
    await client.terminate();
    await eventually('it is gone', () => manager.connections.size === 0);
    leaving.open();
    await eventually('the undos to be called', () => undone.length === 3);

    expect([whenLetIn, whenRefused, whenLate]).to.deep.equal([[], ['second', 'first'], ['second', 'first']]);
    expect(wasAskedOn).to.be.false;
    expect(undone).to.deep.equal(['late', 'second', 'first']);
    expect(errors).to.deep.equal(Array.from({ length: 3 }, () => 'while undoing'));
  });

  it('ends when the client was already answered that it took too long, and keeps nothing of it', async () => {
    const { manager, connect } = await serve({}, { message: { timeout: 50 } });
    const wait = gate();
    let undone = 0;
    const chat = manager.of('/chat', { rateLimit: { connectionsPerIP: 1 } });
    chat.admit(() => () => undone++);
    chat.admit(() => wait.opened);
    const client = await connect();

    expect(await code(enter(client, '/chat'))).to.equal('HANDLER_TIMEOUT');
    wait.open();
    await eventually('it is undone', () => undone === 1);
    await entered(client, '/chat');

    expect(client.messages.map(({ type }) => type)).to.deep.equal(['error', 'connected']);
    expect(chat.connections.size).to.equal(1);
  });

  it('is answered once, however long the listeners take', async () => {
    const { manager, connect } = await serve({}, { message: { timeout: 50 } });
    const errors: string[] = [];
    manager.on('error', (error) => errors.push((error as ModuleError).code));
    manager.of('/chat').on('connect', () => new Promise(() => undefined));
    const client = await entered(await connect(), '/chat');

    await eventually('it is told', () => errors.length === 1);
    await client.request({ type: 'ping' });

    expect(client.messages.map(({ type }) => type)).to.deep.equal(['connected', 'pong']);
    expect(errors).to.deep.equal(['HANDLER_TIMEOUT']);
  });
});
