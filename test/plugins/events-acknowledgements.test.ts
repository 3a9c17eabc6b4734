import { expect } from 'chai';
import { AcknowledgementsMissing } from '../../plugins/events.ts';
import { ModuleError } from '../../index.ts';
import { acknowledge, errorsOf, join, serve } from '../support/events.ts';
import { eventually } from '../support/timing.ts';

const codeOf = async (promise: Promise<unknown>): Promise<string> => promise.then(() => 'no error', (error: unknown) => (error as ModuleError).code);

describe('acknowledgements', () => {
  describe('of what a client sends', () => {
    it('are given when a listener calls back, at once or later, and once', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      socket.on('now', (_, ack) => {
        ack('first', 2);
        ack('second');
      });
      socket.on('later', (_, ack) => void setImmediate(() => ack('later')));
      socket.on('async', async (_, ack) => {
        await new Promise((resolve) => setImmediate(resolve));
        ack('awaited');
      });

      const answers = await Promise.all(['now', 'later', 'async'].map((type) => client.request({ type, content: 1, ack: true })));
      await client.request({ type: 'ping' });

      expect(answers.map(({ type, content }) => [type, content])).to.deep.equal([['ack', ['first', 2]], ['ack', 'later'], ['ack', 'awaited']]);
      expect(answers[0]!.meta).to.deep.equal({ args: 2 });
      expect(client.messages.filter(({ type }) => type === 'ack')).to.have.length(3);
    });

    it('are the first argument if there is no other', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      socket.on('get rooms', (ack) => ack(['a', 'b']));

      expect((await client.request({ type: 'get rooms', ack: true })).content).to.deep.equal(['a', 'b']);
    });

    it('are requested by `ack` only, and not by an id', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      const counts: number[] = [];
      socket.on('x', (...args: unknown[]) => void counts.push(args.length));

      await client.send({ type: 'x', id: '1', content: 1 });
      await client.request({ type: 'ping' });

      expect(counts).to.deep.equal([1]);
    });

    it('are sent without content when asynchronous listeners have finished without calling back', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      socket.on('x', async () => 'what it returns says nothing');

      const answer = await client.request({ type: 'x', ack: true });

      expect(answer.type).to.equal('ack');
      expect(answer).to.not.have.property('content');
    });

    it('are sent without content when listeners do not call back in time, and delay no other message', async () => {
      const served = await serve({ ackTimeout: 30 });
      const { client, socket } = await join(served);
      let late!: (...args: unknown[]) => void;
      socket.on('x', (_, ack) => void (late = ack));

      const asked = client.request({ type: 'x', content: 1, ack: true });
      const pong = await client.request({ type: 'ping' });
      const answer = await asked;
      late('too late');
      await client.request({ type: 'ping' });

      expect(client.messages.indexOf(pong)).to.be.below(client.messages.indexOf(answer));
      expect(answer).to.not.have.property('content');
      expect(client.messages.filter(({ type }) => type === 'ack')).to.have.length(1);
    });

    it('are limited while they wait: the oldest is sent without content', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      socket.on('x', () => undefined);

      const first = client.request({ type: 'x', ack: true, id: 'first' });
      for (let count = 0; count < 64; count++) await client.send({ type: 'x', ack: true });

      expect((await first).type).to.equal('ack');
    });

    it('are sent when the socket leaves, or the plugin is unloaded', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      served.io.of('/chat').on('connection', (member) => member.on('x', () => undefined));
      socket.on('x', () => undefined);
      await client.request({ type: 'connect', namespace: '/chat' });

      const asked = [client.request({ type: 'x', ack: true }), client.request({ type: 'x', ack: true, namespace: '/chat' })];
      await client.request({ type: 'ping' });
      await served.manager.unload('events');

      expect((await Promise.all(asked)).map(({ type }) => type)).to.deep.equal(['ack', 'ack']);
    });

    it('are errors where a listener or a layer fails, and the whole of it is reported', async () => {
      const served = await serve();
      const errors = errorsOf(served);
      const { client, socket } = await join(served);
      const told: unknown[] = [];
      socket.on('error', (error) => void told.push(error.message));
      socket.on('full', () => { throw new ModuleError('TABLE_FULL', { table: 7 }, { message: 'table 7 is full' }); });
      socket.on('broken', async () => { throw new Error('a secret'); });
      socket.on('two', () => { throw new ModuleError('FIRST'); });
      socket.on('two', () => { throw new Error('second'); });

      const ask = async (type: string) => (await client.request({ type, ack: true })).content;

      expect(await ask('full')).to.deep.equal({ code: 'TABLE_FULL', message: 'table 7 is full', table: 7 });
      expect(await ask('broken')).to.include({ code: 'INTERNAL_ERROR' });
      expect(await ask('two')).to.include({ code: 'FIRST' });
      expect(await ask('nobody')).to.include({ code: 'UNKNOWN_TYPE', type: 'nobody' });
      expect(errors.map(({ message }) => message)).to.deep.equal(['a secret', 'second']);
      expect(told).to.deep.equal(['table 7 is full', 'a secret', 'FIRST']);
    });

    it('are the only answer, whether the handling takes too long before them or after', async () => {
      const served = await serve({}, { message: { timeout: 60 } });
      const errors = errorsOf(served);
      const { client, socket } = await join(served);
      const waiting: (() => void)[] = [];
      const wait = () => new Promise<void>((resolve) => waiting.push(resolve));
      let calledBack = 0;
      socket.on('early', async (_, ack) => {
        ack('saved');
        await wait();
      });
      socket.on('late', async (_, ack) => {
        await wait();
        ack('late');
        calledBack++;
      });

      const early = await client.request({ type: 'early', content: 1, ack: true });
      const late = await client.request({ type: 'late', content: 1, ack: true });
      for (const go of waiting) go();
      await eventually('it to call back', () => calledBack === 1);
      await client.request({ type: 'ping' });

      expect([early.content, late.content.code]).to.deep.equal(['saved', 'HANDLER_TIMEOUT']);
      expect(client.messages.map(({ type }) => type)).to.deep.equal(['ack', 'error', 'pong']);
      expect(errors.map((error) => (error as ModuleError).code)).to.deep.equal(['HANDLER_TIMEOUT']);
    });

    it('may be sent by a layer, also by one that does not continue', async () => {
      const served = await serve();
      const errors = errorsOf(served);
      const { client, socket } = await join(served);
      const heard: unknown[] = [];
      let goOn!: () => void;
      let finish!: () => void;
      socket.use(async ([event, ...args], next) => {
        const ack = args.at(-1);
        if (event !== 'later' && typeof ack === 'function') ack('by the layer');
        if (event === 'later') setImmediate(() => ack('by the layer'));
        if (event === 'denied' || event === 'later') return;
        if (event === 'after all') return void (goOn = next);
        next();
      });
      socket.on('slow', async () => {
        await new Promise<void>((resolve) => (finish = resolve));
        heard.push('slow');
      });
      socket.on('quick', () => void heard.push('quick'));
      socket.on('after all', () => {
        heard.push('after all');
        throw new Error('after all');
      });

      const answers = await Promise.all(['denied', 'later', 'nobody', 'after all'].map((type) => client.request({ type, content: 1, ack: true })));
      const slow = await client.request({ type: 'slow', ack: true });
      const quick = client.request({ type: 'quick', ack: true });
      goOn();
      await eventually('it is heard after all', () => heard.length === 1);
      finish();
      await quick;

      expect([...answers, slow].map(({ content }) => content)).to.deep.equal(Array.from({ length: 5 }, () => 'by the layer'));
      // One after the other: what a layer has acknowledged and passed on is still being handled.
      expect(heard).to.deep.equal(['after all', 'slow', 'quick']);
      expect(errors.map(({ message }) => message)).to.deep.equal(['after all']);
      expect(client.messages.filter(({ type }) => type === 'error')).to.deep.equal([]);
    });

    it('are errors if they cannot be encoded', async () => {
      const served = await serve();
      const errors = errorsOf(served);
      const { client, socket } = await join(served);
      const circle: Record<string, unknown> = {};
      circle['self'] = circle;
      const unwritable = [1n, circle];
      socket.on('x', (ack) => ack(unwritable.pop()));

      const answers = [await client.request({ type: 'x', ack: true }), await client.request({ type: 'x', ack: true })];

      expect(answers.map(({ type, content }) => [type, content.code])).to.deep.equal(Array.from({ length: 2 }, () => ['error', 'INTERNAL_ERROR']));
      expect(errors.map((error) => (error as ModuleError).code)).to.deep.equal(['UNSENDABLE_MESSAGE', 'UNSENDABLE_MESSAGE']);
    });

    it('stay as they were sent when the listener fails afterwards', async () => {
      const served = await serve();
      const errors = errorsOf(served);
      const { client, socket } = await join(served);
      socket.on('x', async (ack) => {
        ack('done');
        throw new Error('afterwards');
      });

      const answer = await client.request({ type: 'x', ack: true, id: 'x' });
      await client.request({ type: 'ping' });

      expect(answer.content).to.equal('done');
      expect(client.messages.filter(({ replyTo }) => replyTo === 'x')).to.have.length(1);
      expect(errors.map(({ message }) => message)).to.deep.equal(['afterwards']);
    });
  });

  describe('of what the server sends', () => {
    it('come to a callback, with an error first where there is a time limit', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      const plain = new Promise((resolve) => socket.emit('question', 1, (...answer: unknown[]) => resolve(answer)));
      await acknowledge(client, 'question', { content: ['a', 'b'], meta: { args: 2 } });
      const timed = new Promise((resolve) => socket.timeout(1_000).emit('question', (...answer: unknown[]) => resolve(answer)));
      await acknowledge(client, 'question', { content: 'c' });
      const late = new Promise<unknown[]>((resolve) => socket.timeout(20).emit('question', (...answer: unknown[]) => resolve(answer)));

      expect(await plain).to.deep.equal(['a', 'b']);
      expect(await timed).to.deep.equal([null, 'c']);
      expect((await late)[0]).to.include({ code: 'REQUEST_TIMEOUT' });
    });

    it('come to a promise', async () => {
      const served = await serve();
      const { client, socket } = await join(served);

      const asked = socket.emitWithAck('question', { a: 1 });
      const question = await client.next('question');
      await client.send({ type: 'ack', replyTo: question.id, content: 'yes' });

      expect(question).to.deep.include({ content: { a: 1 }, ack: true });
      expect(await asked).to.equal('yes');
      expect(await codeOf(socket.timeout(20).emitWithAck('question'))).to.equal('REQUEST_TIMEOUT');
    });

    it('become PEER_ERROR if they are errors or cannot be read', async () => {
      const served = await serve();
      const { client, socket } = await join(served);

      const failed = codeOf(socket.emitWithAck('question'));
      await acknowledge(client, 'question', { type: 'error', content: { code: 'INTERNAL_ERROR' } });
      const contradictory = codeOf(socket.emitWithAck('question'));
      await acknowledge(client, 'question', { content: 'one', meta: { args: 2 } });

      expect([await failed, await contradictory]).to.deep.equal(['PEER_ERROR', 'PEER_ERROR']);
    });

    it('that fail go to the listeners of error where the callback has no place for it', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      const heard = new Promise<ModuleError>((resolve) => socket.on('error', resolve));
      let called = false;

      socket.emit('question', () => (called = true));
      await client.close();

      expect(await heard).to.include({ code: 'CONNECTION_CLOSED' });
      expect(called).to.be.false;
    });

    it('whose callback throws are reported as the socket\'s', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      const heard = new Promise<Error>((resolve) => socket.on('error', resolve));

      socket.timeout(1_000).emit('question', () => { throw new Error('in the callback'); });
      await acknowledge(client, 'question', {});

      expect((await heard).message).to.equal('in the callback');
    });

    it('that fail, or whose callback throws, are told by the event error where the socket has no listener of its own', async () => {
      const served = await serve();
      const errors = errorsOf(served);
      const { client, socket } = await join(served);
      const broken = () => { throw new Error('in the callback'); };

      socket.emit('question', broken);
      await acknowledge(client, 'question', {});
      socket.timeout(1_000).emit('question', broken);
      await acknowledge(client, 'question', {});
      socket.emit('question', () => undefined);
      await acknowledge(client, 'question', { type: 'error', content: 'no' });
      await client.request({ type: 'ping' });

      expect(errors.map((error) => (error instanceof ModuleError ? error.code : error.message))).to.deep.equal(['in the callback', 'in the callback', 'PEER_ERROR']);
    });

    it('that fail because the client is gone are no failure of the server\'s', async () => {
      const served = await serve();
      const errors = errorsOf(served);
      const [left, gone] = [await join(served), await join(served)];

      for (const { client, socket } of [left, gone]) {
        socket.emit('question', () => undefined);
        await client.next('question');
      }
      left.socket.disconnect();
      await gone.client.terminate();
      await eventually('it to leave', () => gone.socket.disconnected);
      await left.client.request({ type: 'ping' });

      expect(errors).to.deep.equal([]);
    });

    it('end when the socket leaves its namespace, though its connection stays', async () => {
      const served = await serve();
      const { client, socket } = await join(served);

      const asked = codeOf(socket.emitWithAck('question'));
      await client.request({ type: 'disconnect' });

      expect(await asked).to.equal('REQUEST_ABORTED');
      expect(await codeOf(socket.emitWithAck('question'))).to.equal('CONNECTION_CLOSED');
    });

    it('may be awaited in a listener of the same client\'s', async () => {
      const served = await serve();
      const { client, socket } = await join(served);
      socket.on('start', async (ack) => ack(await socket.emitWithAck('and you?')));

      const asked = client.request({ type: 'start', ack: true });
      await acknowledge(client, 'and you?', { content: 'fine' });

      expect((await asked).content).to.equal('fine');
    });

    it('of one socket may be many at once', async () => {
      const warnings: Error[] = [];
      const listen = (warning: Error) => warnings.push(warning);
      process.on('warning', listen);
      const served = await serve();
      const { client, socket } = await join(served);

      const asked = Array.from({ length: 50 }, () => codeOf(socket.emitWithAck('question')));
      const more = Array.from({ length: 1_000 }, () => codeOf(socket.emitWithAck('question')));
      await client.request({ type: 'disconnect' });
      const codes = new Set([...(await Promise.all(asked)), ...(await Promise.all(more))]);
      await new Promise((resolve) => setImmediate(resolve));
      process.off('warning', listen);

      expect([...codes]).to.have.members(['REQUEST_ABORTED', 'TOO_MANY_REQUESTS']);
      expect(warnings).to.deep.equal([]);
    });
  });

  describe('of a broadcast', () => {
    it('have the answers of all sockets', async () => {
      const served = await serve();
      const [a, b, c] = [await join(served), await join(served), await join(served)];
      served.io.in([a.socket.id, b.socket.id]).socketsJoin('r');

      const asked = served.io.timeout(1_000).to('r').emitWithAck('question', 'how?');
      await acknowledge(a.client, 'question', { content: 'a' });
      await acknowledge(b.client, 'question', { content: 'b' });

      expect(await asked).to.have.members(['a', 'b']);
      await c.client.request({ type: 'ping' });
      expect(c.client.messages.map(({ type }) => type)).to.deep.equal(['pong']);
      expect(await served.io.to('nobody').emitWithAck('question')).to.deep.equal([]);
    });

    it('say which answers are missing, and why', async () => {
      const served = await serve();
      const [a, b] = [await join(served), await join(served)];
      served.io.socketsJoin('r');

      const asked = new Promise<[AcknowledgementsMissing, unknown[]]>((resolve) => {
        served.io.timeout(40).to('r').emit('question', 'how?', (error: AcknowledgementsMissing, answers: unknown[]) => resolve([error, answers]));
      });
      await acknowledge(a.client, 'question', { content: 'a' });
      const [error, answers] = await asked;

      expect(error).to.be.instanceOf(AcknowledgementsMissing).and.to.include({ code: 'ACKNOWLEDGEMENTS_MISSING' });
      expect(error.missing).to.deep.equal([{ id: b.socket.id, code: 'REQUEST_TIMEOUT' }]);
      expect(answers).to.deep.equal(['a']);
      expect(error.responses).to.deep.equal(['a']);
    });

    it('come to a callback with null if nothing is missing', async () => {
      const served = await serve();
      const { client } = await join(served);

      const asked = new Promise((resolve) => served.io.emit('question', (...given: unknown[]) => resolve(given)));
      await acknowledge(client, 'question', { content: 1 });

      expect(await asked).to.deep.equal([null, [1]]);
    });

    it('whose callback throws are reported', async () => {
      const served = await serve();
      const errors = errorsOf(served);
      const { client } = await join(served);

      served.io.emit('question', () => { throw new Error('in the callback'); });
      await acknowledge(client, 'question', {});
      await eventually('the error', () => errors.length > 0);

      expect(errors.map(({ message }) => message)).to.deep.equal(['in the callback']);
    });
  });
});
