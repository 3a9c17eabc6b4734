import { expect } from 'chai';
import fc from 'fast-check';
import { compose, composeSend } from '../../../src/messages/compose.ts';
import type { Connection, MessageLayer, SendLayer } from '../../../src/contracts.ts';
import { Message } from '../../../src/protocol.ts';
import { raise } from '../start-kernel.ts';

const connection = {} as Connection;
const message = new Message({ type: 'test' });

const layer = (name: string, handler: MessageLayer['handler']): MessageLayer => ({ type: 'message', name, handler });

describe('compose', () => {
  it('goes from the outermost layer to the core and back', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 20 }), (count) => {
      const trace: string[] = [];
      const names = Array.from({ length: count }, (_, index) => `layer ${index}`);
      const run = compose(names.map((name) => layer(name, (_message, _connection, next) => {
        trace.push(`into ${name}`);
        const result = next();
        trace.push(`out of ${name}`);
        return result;
      })), () => {
        trace.push('core');
        return 'reply';
      });

      const result = run(message, connection);

      expect(result).to.equal('reply');
      expect(trace).to.deep.equal([...names.map((name) => `into ${name}`), 'core', ...names.reverse().map((name) => `out of ${name}`)]);
    }), { numRuns: 30 });
  });

  it('is synchronous if every layer is', () => {
    const run = compose([layer('a', (_m, _c, next) => next()), layer('b', (_m, _c, next) => next())], () => 42);

    expect(run(message, connection)).to.equal(42);
  });

  it('returns a promise if one layer is asynchronous', async () => {
    const run = compose([layer('a', async (_m, _c, next) => `${String(await next())}!`)], async () => 'hello');

    expect(await run(message, connection)).to.equal('hello!');
  });

  it('passes message and connection on', () => {
    const run = compose([layer('a', (m, c, next) => [m, c, next()])], (m, c) => [m, c]);

    expect(run(message, connection)).to.deep.equal([message, connection, [message, connection]]);
  });

  it('runs neither inner layers nor the core when a layer does not call next', () => {
    let reached = false;
    const run = compose([layer('gate', () => 'no')], () => { reached = true; });

    expect(run(message, connection)).to.equal('no');
    expect(reached).to.be.false;
  });

  it('rejects a second next() for one message, naming the layer', () => {
    let runs = 0;
    const run = compose([layer('twice', (_m, _c, next) => [next(), next()])], () => ++runs);

    expect(() => run(message, connection)).to.throw('"twice"').with.property('code', 'NEXT_TWICE');
    expect(runs).to.equal(1);
  });

  it('rejects a second next() that is called later', async () => {
    const run = compose([layer('late', async (_m, _c, next) => {
      await next();
      return next();
    })], () => 1);

    const failure = await (run(message, connection) as Promise<unknown>).catch((error: unknown) => error);

    expect(failure).to.have.property('code', 'NEXT_TWICE');
  });

  it('gives each message a next of its own', () => {
    const run = compose([layer('a', (_m, _c, next) => next())], () => 1);

    expect([run(message, connection), run(message, connection)]).to.deep.equal([1, 1]);
  });

  it('lets a layer catch what the inner ones throw', () => {
    const run = compose([layer('catch', (_m, _c, next) => {
      try {
        return next();
      } catch (error) {
        return (error as Error).message;
      }
    })], () => { throw new Error('inner'); });

    expect(run(message, connection)).to.equal('inner');
  });
});

describe('composeSend', () => {
  const sendLayer = (handler: SendLayer['handler']): SendLayer => ({ type: 'send', handler });
  const target = { topic: 'news' };

  it('leaves the message as it is without layers', () => {
    const outgoing = { type: 'a' };

    expect(composeSend([], raise)(outgoing, target)).to.equal(outgoing);
  });

  it('passes the result of each layer to the next, in the order of use', () => {
    const mark = (letter: string) => sendLayer((given) => ({ ...given, content: `${String(given.content)}${letter}` }));

    const sent = composeSend([mark('a'), sendLayer(() => {}), mark('b')], raise)({ type: 'x', content: '' }, target);

    expect(sent).to.deep.equal({ type: 'x', content: 'ab' });
  });

  it('throws what a layer throws', () => {
    expect(() => composeSend([sendLayer(() => { throw new Error('drop'); })], raise)({ type: 'x' }, target)).to.throw('drop');
  });
});
