import { once } from 'node:events';
import { expect } from 'chai';
import type { Handler, MessageLayer } from '../../../src/contracts.ts';
import { ModuleError } from '../../../src/errors.ts';
import { Message } from '../../../src/protocol.ts';
import { eventually } from '../../support/timing.ts';
import { deferred, next, only, plugin, raise, recorder, startKernel } from '../start-kernel.ts';

const layer = (name: string, handler: MessageLayer['handler']): MessageLayer => ({ type: 'message', name, handler });

/** A client of a kernel in which one handler does this. */
async function answering(handler: Handler, options: Parameters<typeof startKernel>[0] = {}) {
  const kernel = await startKernel(options);
  kernel.manager.registerHandler('ask', handler);
  kernel.manager.registerHandler('next', () => 'still served');
  return { ...kernel, client: await kernel.connect() };
}

describe('a reply', () => {
  it('is the result of the handler, with the type of the request', async () => {
    const { client } = await answering((message) => ({ got: message.content }));

    const reply = await client.request({ type: 'ask', content: { a: 1 } });

    expect(reply).to.deep.include({ type: 'ask', content: { got: { a: 1 } } });
    expect(reply.id).to.be.a('string');
    expect(Date.parse(reply.timestamp as string)).to.be.a('number').and.not.NaN;
  });

  it('is the result of the handler\'s promise', async () => {
    const { client } = await answering(async () => 42);

    expect((await client.request({ type: 'ask' })).content).to.equal(42);
  });

  it('is the result of a promise of another library, even if that result is a promise', async () => {
    const { client } = await answering(() => ({ then: (resolve: (value: unknown) => void) => { resolve(Promise.resolve('deep')); } }));

    expect((await client.request({ type: 'ask' })).content).to.equal('deep');
  });

  it('is a message of its own if the handler returns one with a type', async () => {
    const { client } = await answering(() => ({ type: 'answer', content: { text: 'hi' }, roomId: 'lobby' }));

    expect(await client.request({ type: 'ask' })).to.deep.include({ type: 'answer', content: { text: 'hi' }, roomId: 'lobby' });
  });

  it('is the received message if the handler returns it', async () => {
    const { client } = await answering((message) => message);

    const reply = await client.request({ type: 'ask', content: { a: 1 }, roomId: 'lobby' });

    expect(reply).to.deep.include({ type: 'ask', content: { a: 1 }, roomId: 'lobby' });
  });

  it('has the result as its content if it is not an object', async () => {
    for (const value of [null, false, 0, '', 'text', [1, [2]], { type: 5 }]) {
      const { client } = await answering(() => value);
      expect((await client.request({ type: 'ask' })).content).to.deep.equal(value);
    }
  });

  it('is a binary frame if the handler returns bytes', async () => {
    const { client } = await answering(() => Buffer.from([0, 1, 255]));

    await client.send({ type: 'ask' });

    expect((await client.next('binary')).content).to.deep.equal(Buffer.from([0, 1, 255]));
  });

  it('is not sent if the handler returns undefined', async () => {
    const { client } = await answering(() => undefined);

    await client.send({ type: 'ask', id: '1' });
    await client.request({ type: 'next' });

    expect(client.messages.map(({ replyTo }) => replyTo)).to.not.include('1');
  });

  it('is an acknowledgement if the handler returns undefined and the client asked for one', async () => {
    for (const handler of [() => undefined, async () => undefined]) {
      const { client } = await answering(handler);
      expect(await client.request({ type: 'ask', ack: true })).to.include({ type: 'ack' });
    }
  });

  it('replaces the acknowledgement if both are due', async () => {
    const { client } = await answering(() => 'reply');

    await client.request({ type: 'ask', id: '1', ack: true });
    await client.request({ type: 'next' });

    expect(client.messages.filter(({ replyTo }) => replyTo === '1')).to.have.lengthOf(1);
  });

  it('has no replyTo if the message had no id', async () => {
    const { client } = await answering(() => 'reply');

    await client.send({ type: 'ask' });

    expect(await client.next('ask')).to.include({ content: 'reply' }).and.not.have.property('replyTo');
  });
});

describe('a handler', () => {
  it('is found by every spelling of its type', async () => {
    const { manager, connect } = await startKernel();
    manager.registerHandler('join_room', (message) => [message.type, message.typeAsSent]);
    const client = await connect();

    for (const type of ['join-room', 'join_room', 'join room']) {
      const reply = await client.request({ type });
      expect(reply).to.deep.include({ type, content: ['join_room', type] });
    }
  });

  it('of type * gets messages without a handler', async () => {
    const { manager, connect } = await startKernel();
    manager.registerHandler('known', () => 'known');
    manager.registerHandler('*', (message) => `any: ${message.type}`);
    const client = await connect();

    expect((await client.request({ type: 'known' })).content).to.equal('known');
    expect((await client.request({ type: 'other' })).content).to.equal('any: other');
  });

  it('that is missing is answered with UNKNOWN_TYPE', async () => {
    const { connect } = await startKernel();
    const client = await connect();

    const reply = await client.request({ type: 'nope' });

    expect(reply).to.include({ type: 'error' });
    expect(reply.content).to.include({ code: 'UNKNOWN_TYPE', type: 'nope' });
  });

  it('gets the message, the connection, and both names of the payload', async () => {
    const { client } = await answering(({ type, id, content, data, fields }, connection) => [type, data === content, fields, connection.id.length > 10, id]);

    expect((await client.request({ type: 'ask', id: 'x', content: {}, extra: 1 })).content).to.deep.equal(['ask', true, { extra: 1 }, true, 'x']);
  });

  it('cannot be registered twice for a type, in any spelling', async () => {
    const { manager } = await startKernel();
    manager.registerHandler('join-room', () => 1);

    expect(() => manager.registerHandler('join_room', () => 2)).to.throw('"join-room"').with.property('code', 'DUPLICATE');
  });

  it('must be a function, and its type a text', async () => {
    const { manager } = await startKernel();

    expect(() => manager.registerHandler('a', 'no' as never)).to.throw().with.property('code', 'HANDLER_INVALID');
    expect(() => manager.registerHandler('', () => 1)).to.throw().with.property('code', 'HANDLER_INVALID');
    expect(() => manager.registerHandler(5 as never, () => 1)).to.throw().with.property('code', 'HANDLER_INVALID');
  });

  it('is removed by its undo; a second call of the undo removes no later handler', async () => {
    const { manager, connect } = await startKernel();
    const undo = manager.registerHandler('ask', () => 1);
    undo();
    manager.registerHandler('ask', () => 2);
    undo();
    const client = await connect();

    expect((await client.request({ type: 'ask' })).content).to.equal(2);
  });
});

describe('an invalid message', () => {
  const refused: readonly (readonly [what: string, text: string, code: string])[] = [
    ['not JSON', '{"type":', 'INVALID_JSON'],
    ['not an object', '[1]', 'INVALID_MESSAGE'],
    ['without a type', '{"content":1}', 'INVALID_MESSAGE'],
    ['with a type that is no text', '{"type":{}}', 'INVALID_MESSAGE'],
    ['too deep', `{"type":"ask","content":${'['.repeat(40)}${']'.repeat(40)}}`, 'TOO_DEEP'],
    ['with a key __proto__', '{"type":"ask","content":{"__proto__":{"admin":true}}}', 'FORBIDDEN_KEY'],
    ['with a timestamp that has no text', '{"type":"ask","timestamp":{"toString":1,"valueOf":1}}', 'INVALID_MESSAGE'],
  ];
  for (const [what, text, code] of refused) {
    it(`is answered with ${code} and reaches no handler: ${what}`, async () => {
      let reached = false;
      const { client, failures } = await answering(() => { reached = true; });

      await client.send(text);

      expect((await client.next('error')).content).to.include({ code });
      expect((await client.request({ type: 'next' })).content).to.equal('still served');
      expect(reached).to.be.false;
      expect(failures).to.deep.equal([]);
    });
  }

  it('is answered with its id if that can be read', async () => {
    const { client } = await answering(() => 1);

    const reply = await client.request({ type: '', id: 'mine' });

    expect(reply.content).to.include({ code: 'INVALID_MESSAGE' });
  });

  it('closes the connection with 1008 after too many in a row', async () => {
    const { client, failures } = await answering(() => 1, { message: { maxInvalid: 3 } });

    for (let each = 0; each < 4; each++) void client.send('{');

    expect(await client.closed).to.deep.include({ code: 1008 });
    expect(client.messages.map(({ content }) => content.code)).to.deep.equal(['INVALID_JSON', 'INVALID_JSON', 'INVALID_JSON']);
    expect(failures).to.deep.equal([]);
  });

  it('is no longer counted after a valid message', async () => {
    const { client } = await answering(() => 1, { message: { maxInvalid: 3 } });

    for (let each = 0; each < 6; each++) {
      await client.send('{');
      if (each % 2 === 1) await client.request({ type: 'ask' });
    }

    expect((await client.request({ type: 'next' })).content).to.equal('still served');
  });
});

describe('a binary frame', () => {
  it('is refused without a handler for binary frames', async () => {
    const { client } = await answering(() => 1);

    await client.send(Buffer.from('{"type":"ask"}'));

    expect((await client.next('error')).content).to.include({ code: 'BINARY_UNSUPPORTED' });
  });

  it('reaches the handler of type binary as a Buffer', async () => {
    const { manager, client } = await answering(() => 1);
    manager.registerHandler('binary', (message) => [Buffer.isBuffer(message.content), (message.content as Buffer).toString('hex')]);

    await client.send(Buffer.from([1, 2, 255]));

    expect((await client.next('binary')).content).to.deep.equal([true, '0102ff']);
  });

  it('reaches the handler of type * if there is no handler of type binary', async () => {
    const { manager, client } = await answering(() => 1);
    manager.registerHandler('*', (message) => `${message.type} ${(message.content as Buffer).length}`);

    await client.send(Buffer.alloc(7));

    expect((await client.next('binary')).content).to.equal('binary 7');
  });
});

describe('the order of messages', () => {
  it('of one connection is the order of arrival, however long each handler takes', async () => {
    const order: string[] = [];
    const gates = [deferred(), deferred(), deferred()];
    const { client } = await answering(async (message) => {
      order.push(`into ${message.content}`);
      await gates[message.content as number]!.promise;
      order.push(`out of ${message.content}`);
      return message.content as number;
    });

    const replies = [0, 1, 2].map((n) => client.request({ type: 'ask', content: n }));
    for (const n of [2, 1, 0]) gates[n]!.resolve();
    await Promise.all(replies);

    expect(order).to.deep.equal(['into 0', 'out of 0', 'into 1', 'out of 1', 'into 2', 'out of 2']);
    expect(client.messages.map(({ content }) => content as number)).to.deep.equal([0, 1, 2]);
  });

  it('of one connection does not delay another connection', async () => {
    const gate = deferred();
    const { client, connect } = await answering(async () => gate.promise);
    const other = await connect();
    void client.send({ type: 'ask' });

    const reply = await other.request({ type: 'next' });
    gate.resolve();

    expect(reply.content).to.equal('still served');
  });

  it('is not kept with message.concurrency, which limits how many are handled at once', async () => {
    let running = 0;
    let most = 0;
    const gate = deferred();
    const { client, manager } = await answering(async () => {
      most = Math.max(most, ++running);
      await gate.promise;
      running--;
      return 1;
    }, { message: { concurrency: 3 } });
    const replies = Array.from({ length: 7 }, () => client.request({ type: 'ask' }));
    await eventually('three in flight', () => manager.inspect().inFlight === 3);

    gate.resolve();
    await Promise.all(replies);

    expect(most).to.equal(3);
  });

  it('loses no message at the limit: the socket is paused, and read again later', async () => {
    const gate = deferred();
    let handled = 0;
    const { client, manager } = await answering(async (message) => {
      if (handled++ === 0) await gate.promise;
      return message.content as number;
    }, { message: { maxWaiting: 8 } });
    const wide = 'x'.repeat(2_000);
    const replies = Array.from({ length: 2_000 }, (_, n) => client.request({ type: 'ask', content: n, wide }, 8_000));
    const paused = () => (only(manager) as unknown as { isPaused: boolean }).isPaused;
    await eventually('a paused socket', paused);
    const received = manager.getMetrics().bytes.received;

    gate.resolve();
    const contents = (await Promise.all(replies)).map(({ content }) => content as number);

    expect(received, 'not all was read').to.be.below(2_000 * 2_000);
    expect(contents).to.deep.equal(Array.from({ length: 2_000 }, (_, n) => n));
    expect(paused()).to.be.false;
  });

  it('holds after a disconnect: messages sent before it are handled', async () => {
    const gate = deferred();
    const handled: number[] = [];
    const { client, manager } = await answering(async (message) => {
      await gate.promise;
      handled.push(message.content as number);
    });
    for (const content of [0, 1, 2]) void client.send({ type: 'ask', content });
    const removed = next(manager, 'connection:removed');
    await client.close();
    await removed;

    gate.resolve();
    await eventually('all handled', () => handled.length === 3 || handled);

    expect(handled).to.deep.equal([0, 1, 2]);
  });

  it('ends when the server closes the connection: waiting messages are dropped with an event', async () => {
    const gate = deferred();
    let handled = 0;
    const { client, manager } = await answering(async () => {
      handled++;
      await gate.promise;
    });
    for (let each = 0; each < 3; each++) void client.send({ type: 'ask', ack: true });
    await eventually('one in flight', () => manager.inspect().inFlight === 1);
    const dropped: string[] = [];
    manager.on('message:dropped', ({ code }) => void dropped.push(code));
    // All three have come when the answer to a ping has.
    client.ws.ping();
    await once(client.ws, 'pong');

    only(manager).close(4010, 'kicked');
    await client.closed;
    gate.resolve();
    await eventually('nothing in flight', () => manager.inspect().inFlight === 0);

    expect(handled).to.equal(1);
    expect(dropped).to.deep.equal(Array(3).fill('CONNECTION_CLOSED'));
  });

  it('puts the client\'s replies before waiting messages, so that a handler may await its own client', async () => {
    const { client } = await answering(async (_message, connection) => (await connection.request({ type: 'sure' })).content as string);
    client.ws.on('message', (data: Buffer) => {
      const { type, id } = JSON.parse(data.toString()) as { type: string; id: string };
      if (type === 'sure') void client.send({ type: 'yes', content: 'sure', replyTo: id });
    });

    expect((await client.request({ type: 'ask' })).content).to.equal('sure');
  });
});

describe('a handler that exceeds the timeout', () => {
  it('is answered with HANDLER_TIMEOUT, and the next message is handled', async () => {
    const { client, manager } = await answering(() => new Promise(() => {}), { message: { timeout: 40 } });

    const [late, after] = await Promise.all([client.request({ type: 'ask' }), client.request({ type: 'next' })]);

    expect(late.content).to.include({ code: 'HANDLER_TIMEOUT', timeout: 40 });
    expect(after.content).to.equal('still served');
    expect(manager.inspect()).to.include({ inFlight: 0 });
  });

  it('is answered once, whatever it returns later', async () => {
    const gate = deferred<string>();
    const { client } = await answering(() => gate.promise, { message: { timeout: 30 } });

    await client.request({ type: 'ask', id: '1' });
    gate.resolve('too late');
    await client.request({ type: 'next' });

    expect(client.messages.filter(({ replyTo }) => replyTo === '1').map(({ content }) => content.code)).to.deep.equal(['HANDLER_TIMEOUT']);
  });

  it('is reported when it fails later', async () => {
    const gate = deferred();
    const { client, failures } = await answering(() => gate.promise, { message: { timeout: 30 } });

    await client.request({ type: 'ask' });
    gate.reject(new Error('late failure'));
    await client.request({ type: 'next' });

    expect(failures.map(({ error }) => error.message)).to.deep.equal(['late failure']);
    expect(failures[0]!.context).to.include({ phase: 'message' });
  });

  it('uses one deadline for any number of handlers', async () => {
    const { client, connect, manager } = await answering(() => new Promise(() => {}), { message: { timeout: 15, maxWaiting: 1_000 } });
    const clients = [client, ...await Promise.all(Array.from({ length: 9 }, () => connect()))];
    const replies = clients.flatMap((one) => Array.from({ length: 25 }, () => one.request({ type: 'ask' }, 8_000)));
    let most = 0;
    const watching = setInterval(() => { most = Math.max(most, manager.inspect().deadlines ?? NaN); }, 5);

    const codes = new Set((await Promise.all(replies)).map(({ content }) => content.code as string));
    clearInterval(watching);

    expect(codes).to.deep.equal(new Set(['HANDLER_TIMEOUT']));
    expect(most).to.be.at.most(4);
  });

  it('has its whole timeout, even among many', async () => {
    const { client } = await answering((message) => (message.content === 'hang' ? new Promise(() => {}) : 'fine'), { message: { timeout: 60, concurrency: 10 } });

    const replies = await Promise.all(['hang', 'fine', 'hang', 'fine', 'hang'].map((content) => client.request({ type: 'ask', content })));

    expect(replies.map(({ content }) => content.code as string | undefined ?? content)).to.deep.equal(['HANDLER_TIMEOUT', 'fine', 'HANDLER_TIMEOUT', 'fine', 'HANDLER_TIMEOUT']);
  });
});

describe('a message that a handler answers by other means', () => {
  const byHand = (then: () => unknown): Handler => (message, connection) => {
    connection.send({ type: 'ack', replyTo: message.id!, content: 'by hand' });
    message.isAnswered = true;
    return then();
  };

  for (const [what, then, code] of [
    ['throws', () => raise(new Error('afterwards')), undefined],
    ['rejects', async () => raise(new ModuleError('FORBIDDEN')), 'FORBIDDEN'],
    ['takes too long', () => new Promise(() => {}), 'HANDLER_TIMEOUT'],
  ] as const) {
    it(`has one answer even if the handler then ${what}, which is reported`, async () => {
      const { client, failures } = await answering(byHand(then), { message: { timeout: 30 } });

      await client.request({ type: 'ask', id: '1', ack: true });
      await client.request({ type: 'next' });

      expect(client.messages.filter(({ replyTo }) => replyTo === '1').map(({ content }) => content as string)).to.deep.equal(['by hand']);
      expect(failures.map(({ error, context }) => [error.code, context.phase])).to.deep.equal([[code, 'message']]);
    });
  }

  it('can be told from one that the kernel has answered', async () => {
    const seen: Message[] = [];
    const { client } = await answering((message) => {
      seen.push(message);
      return message.content === 'hang' ? new Promise(() => {}) : message.content === 'fail' ? raise(new Error('no')) : message.content;
    }, { message: { timeout: 30 } });

    for (const content of ['reply', undefined, 'fail', 'hang']) {
      void client.send({ type: 'ask', content });
      await client.request({ type: 'next' });
    }

    expect(seen.map(({ isAnswered }) => isAnswered)).to.deep.equal([true, true, true, true]);
  });
});

describe('message layers', () => {
  it('run around the handler in the order of use, also asynchronously', async () => {
    const trace: string[] = [];
    const around = (name: string) => layer(name, async (_message, _connection, go) => {
      trace.push(`into ${name}`);
      const result = await go();
      trace.push(`out of ${name}`);
      return result;
    });
    const { client } = await answering(() => 'reply', { use: [around('a'), around('b')] });

    const reply = await client.request({ type: 'ask' });

    expect(reply.content).to.equal('reply');
    expect(trace).to.deep.equal(['into a', 'into b', 'out of b', 'out of a']);
  });

  it('may reply, replace the content and the reply, and reject', async () => {
    const shape = layer('shape', (message, _connection, go) => {
      if (message.content === 'early') return 'from the layer';
      if (message.content === 'refuse') throw new ModuleError('NOT_TODAY', { until: 'tomorrow' }, { message: 'not today' });
      message.content = String(message.content).toUpperCase();
      return `${String(go())}!`;
    });
    const { client } = await answering((message) => message.content as string, { use: [shape] });

    expect((await client.request({ type: 'ask', content: 'early' })).content).to.equal('from the layer');
    expect((await client.request({ type: 'ask', content: 'hi' })).content).to.equal('HI!');
    expect((await client.request({ type: 'ask', content: 'refuse' })).content).to.deep.equal({ code: 'NOT_TODAY', message: 'not today', until: 'tomorrow' });
  });

  it('see messages of unknown type too', async () => {
    const { client } = await answering(() => 1, { use: [layer('catch-all', () => 'caught')] });

    expect((await client.request({ type: 'nope' })).content).to.equal('caught');
  });

  it('cause INTERNAL_ERROR when they call next twice, and the error names them', async () => {
    const { client, failures } = await answering(() => 1, { use: [layer('twice', (_message, _connection, go) => [go(), go()])] });

    const reply = await client.request({ type: 'ask' });

    expect(reply.content).to.include({ code: 'INTERNAL_ERROR' });
    expect(failures.map(({ error }) => error.code)).to.deep.equal(['NEXT_TWICE']);
  });

  it('keep their order when one that is used under two names is unloaded once', async () => {
    const trace: string[] = [];
    const mark = (name: string) => layer(name, (_message, _connection, go) => { trace.push(name); return go(); });
    const twice = mark('a');
    const { manager, client } = await answering(() => 1);
    manager.use(twice, { name: 'first' }).use(mark('b')).use(twice, { name: 'second' });
    await manager.ready();

    await manager.unload('second');
    await client.request({ type: 'ask' });

    expect(trace).to.deep.equal(['a', 'b']);
  });
});

describe('an error', () => {
  it('that is exposed is sent with its code, message and details', async () => {
    const { client, failures } = await answering(() => { throw new ModuleError('TABLE_FULL', { table: 7 }, { message: 'table 7 is full' }); });

    expect((await client.request({ type: 'ask' })).content).to.deep.equal({ code: 'TABLE_FULL', message: 'table 7 is full', table: 7 });
    expect(failures).to.deep.equal([]);
  });

  it('that is not exposed is sent as INTERNAL_ERROR, and reported in full', async () => {
    const { client, failures } = await answering(() => { throw new Error('password is hunter2'); });

    const reply = await client.request({ type: 'ask' });

    expect(JSON.stringify(reply)).to.not.match(/hunter2|stack|at /);
    expect(reply.content).to.include({ code: 'INTERNAL_ERROR' });
    expect(failures).to.have.lengthOf(1);
    expect(failures[0]!.error).to.have.property('message', 'password is hunter2');
    expect(failures[0]!.context).to.include({ phase: 'message' }).and.have.property('message').that.is.instanceOf(Message);
  });

  it('is replaced by mapError before it is sent', async () => {
    const { client, manager } = await answering(() => { throw new TypeError('boom'); });
    manager.use(plugin('maps', (context) => { context.mapError((error) => (error instanceof TypeError ? new ModuleError('BAD_TYPE', {}, { message: 'mapped' }) : undefined)); }));

    const mapped = await client.request({ type: 'ask' });
    await manager.unload('maps');

    expect(mapped.content).to.deep.equal({ code: 'BAD_TYPE', message: 'mapped' });
    expect((await client.request({ type: 'ask' })).content).to.include({ code: 'INTERNAL_ERROR' });
  });

  it('is sent as INTERNAL_ERROR if mapError returns one that is not exposed', async () => {
    const { client, manager, failures } = await answering(() => { throw new TypeError('boom'); });
    manager.use(plugin('maps', (context) => { context.mapError(() => new ModuleError('MINE', { secret: 1 }, { expose: false, message: 'secret' })); }));

    const reply = await client.request({ type: 'ask' });

    expect(reply.content).to.include({ code: 'INTERNAL_ERROR' });
    expect(JSON.stringify(reply)).to.not.include('secret');
    expect(failures.map(({ error }) => error.message)).to.deep.equal(['boom']);
  });

  it('in mapError is reported, and the next map is tried', async () => {
    const { client, manager, failures } = await answering(() => { throw new TypeError('boom'); });
    manager.use(plugin('bad', (context) => { context.mapError(() => { throw new Error('bad map'); }); }));
    manager.use(plugin('good', (context) => { context.mapError(() => new ModuleError('MAPPED')); }));

    expect((await client.request({ type: 'ask' })).content).to.include({ code: 'MAPPED' });
    expect(failures.map(({ error }) => error.message)).to.include('bad map');
  });
});

describe('HOSTILE 29: handlers that fail', () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const ways: Readonly<Record<string, Handler>> = {
    'throws an error': () => { throw new Error('secret'); },
    'throws a text': () => raise('secret'),
    'throws undefined': () => raise(undefined),
    'throws null': () => raise(null),
    'throws an object without a prototype': () => raise(Object.create(null)),
    'rejects': async () => { throw new Error('secret'); },
    'rejects with undefined': async () => raise(undefined),
    'rejects with an object without a prototype': async () => raise(Object.create(null)),
    'rejects with what has no text': async () => raise({ toString: () => raise(new Error('secret')) }),
    'throws an error whose details JSON cannot write': () => { throw new ModuleError('MINE', { big: 1n }); },
    'throws an error with a cause that has no text': () => { throw new Error('secret', { cause: Object.create(null) }); },
    'returns a BigInt': () => 1n,
    'returns a circle': async () => circular,
    'returns what throws when it is written': () => ({ toJSON: () => raise(new Error('secret')) }),
    'returns what throws when it is looked at': () => ({ get type() { return raise(new Error('secret')); } }),
    'returns what throws when it is asked for a promise': () => ({ get then() { return raise(new Error('secret')); } }),
    'returns a promise that throws when it is awaited': () => ({ then: () => raise(new Error('secret')) }),
    'never settles': () => new Promise(() => {}),
  };
  for (const [how, handler] of Object.entries(ways)) {
    it(`HOSTILE 29: a handler that ${how} is answered with a code, without a stack, and the next message is served`, async () => {
      const { client, manager } = await answering(handler, { message: { timeout: 50 } });

      const [reply, after] = await Promise.all([client.request({ type: 'ask' }), client.request({ type: 'next' })]);

      expect(reply.type).to.equal('error');
      expect(reply.content.code).to.be.oneOf(['INTERNAL_ERROR', 'HANDLER_TIMEOUT', 'MINE']);
      expect(JSON.stringify(reply)).to.not.match(/secret|\.ts|stack/);
      expect(after.content).to.equal('still served');
      expect(manager.inspect()).to.include({ inFlight: 0 });
    });

    it(`HOSTILE 29: a handler that ${how} is logged without a listener of the error event`, async () => {
      const logger = recorder();
      const { manager, connect } = await startKernel({ logger, message: { timeout: 50 } }, {}, false);
      manager.registerHandler('ask', handler);
      const client = await connect();

      const reply = await client.request({ type: 'ask' });

      expect(reply.type).to.equal('error');
    });
  }

  it('HOSTILE 29: a layer that fails is answered with a code, synchronously or not', async () => {
    const broken = layer('broken', (message) => (message.content === 'sync' ? raise(new Error('secret')) : Promise.reject(new Error('secret'))));
    const { client, failures } = await answering(() => 1, { use: [broken] });

    const replies = [await client.request({ type: 'ask', content: 'sync' }), await client.request({ type: 'ask', content: 'async' })];

    expect(replies.map(({ content }) => content.code)).to.deep.equal(['INTERNAL_ERROR', 'INTERNAL_ERROR']);
    expect(failures).to.have.lengthOf(2);
  });

  it('HOSTILE 29: a listener that throws or rejects reaches neither the sender nor the other listeners', async () => {
    const { client, manager, failures } = await answering(() => 'reply');
    const heard: string[] = [];
    manager.on('message:received', () => raise(new Error('thrower')));
    manager.on('message:received', async () => raise(new Error('rejecter')));
    manager.on('message:received', ({ message }) => void heard.push(message.type));

    const reply = await client.request({ type: 'ask' });
    await eventually('both in the error event', () => failures.length === 2);

    expect(reply.content).to.equal('reply');
    expect(heard).to.deep.equal(['ask']);
    expect(failures.map(({ error, context }) => [error.message, context.phase])).to.have.deep.members([['thrower', 'listener'], ['rejecter', 'listener']]);
    expect(manager.getMetrics().errors.totalErrors, 'counted').to.equal(2);
  });

  it('HOSTILE 29: a listener of the error event that fails, or causes another error, is logged and not called again for it', async () => {
    const logger = recorder();
    const { client, manager, failures } = await answering(() => raise(new Error('app')), { logger });
    manager.on('error', () => raise(new Error('watcher')));
    manager.on('error', () => void manager.broadcast({ type: 'trouble' }));
    manager.on('message:sent', () => raise(new Error('sent')));

    await client.request({ type: 'ask' });
    await client.next('trouble');

    const told = (text: string): number => logger.lines.filter((line) => line.includes(`Error: ${text}`)).length;
    expect(failures.map(({ error }) => error.message)).to.deep.equal(['app', 'sent']);
    expect([told('watcher'), told('sent'), told('app')]).to.deep.equal([2, 2, 0]);
  });

  it('HOSTILE 29: a send layer that drops every message affects nothing else: each drop is reported, and the next message is handled', async () => {
    let shut = true;
    const { client, manager, failures } = await answering(async () => raise(new Error('app')), {
      use: [{ type: 'send', name: 'shut', handler: () => (shut ? raise(new Error('shut')) : undefined) }],
    });
    manager.registerHandler('sync', () => raise(new Error('app')));
    manager.registerHandler('fine', async () => 'fine');
    for (const type of ['ask', 'sync', 'fine', 'unknown']) void client.send({ type });
    void client.send('{');
    await eventually('all to be handled', () => manager.getMetrics().messages.totalMessages === 5 && manager.inspect().inFlight === 0);
    shut = false;

    const reply = await client.request({ type: 'next' });

    expect(reply.content).to.equal('still served');
    expect(failures.filter(({ error }) => error.code === 'SEND_LAYER_DROPPED')).to.have.lengthOf.at.least(5);
  });

  it('HOSTILE 29: an error listener that throws does not call itself', async () => {
    const logger = recorder();
    const { client, manager } = await answering(() => raise(new Error('first')), { logger });
    let calls = 0;
    manager.on('error', () => {
      calls++;
      raise(new Error('second'));
    });

    const reply = await client.request({ type: 'ask' });

    expect(reply.content.code).to.equal('INTERNAL_ERROR');
    expect(calls).to.equal(1);
    expect(logger.lines.join('\n')).to.include('second');
  });

  it('HOSTILE 29: a logger that throws affects nothing else', async () => {
    const fail = () => raise(new Error('disk full'));
    const { manager, connect } = await startKernel({ logger: { debug: fail, info: fail, warn: fail, error: fail } });
    manager.on('connection:added', () => raise(new Error('listener')));
    manager.registerHandler('ask', async () => raise(new Error('app')));
    const client = await connect();

    expect((await client.request({ type: 'ask' })).content.code).to.equal('INTERNAL_ERROR');
  });

  it('HOSTILE 29: message:handled has the error that the peer received', async () => {
    const { client, manager } = await answering(() => raise(new Error('secret')));
    const handled = next(manager, 'message:handled');

    await client.request({ type: 'ask' });

    const [event] = await handled;
    expect(event.error).to.have.property('code', 'INTERNAL_ERROR');
    expect(event.duration).to.be.at.least(0);
  });
});
