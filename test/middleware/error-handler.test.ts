import { expect } from 'chai';
import { ModuleError, type Usable } from '../../index.ts';
import { errorHandler, type ErrorHandlerOptions } from '../../middleware/error-handler.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start } from '../support/start.ts';

class PaymentError extends Error {
  override readonly name = 'PaymentError';
}

/** A server whose handlers fail in every way. */
async function failing(options: ErrorHandlerOptions, around: (handler: Usable) => readonly Usable[] = (handler) => [handler]) {
  const started = await start({ use: around(errorHandler(options)) });
  const errors: Error[] = [];
  started.manager.on('error', (error) => errors.push(error));
  started.manager.registerHandler('read', () => { throw Object.assign(new Error('no such file: /etc/secret'), { code: 'ENOENT' }); });
  started.manager.registerHandler('pay', async () => { throw new PaymentError('card 4242 declined'); });
  started.manager.registerHandler('forbidden', () => { throw new ModuleError('FORBIDDEN', {}); });
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- what others do
  started.manager.registerHandler('odd', () => { throw 'a string'; });
  return { ...started, errors };
}

describe('error-handler', () => {
  it('is a built-in', async () => {
    const { connect } = await start({ middleware: ['errorHandler'], builtins: { 'error-handler': { closeOn: { FORBIDDEN: 4003 } } } });
    const client = await connect();

    const reply = await client.request({ type: 'init' });

    expect(reply.content.features).to.include('error-handler');
  });

  it('changes nothing without options', async () => {
    const { connect, errors } = await failing({});
    const client = await connect();

    const replies = [await client.request({ type: 'read' }), await client.request({ type: 'forbidden' }), await client.request({ type: 'odd' })];

    expect(replies.map(({ content }) => content.code)).to.deep.equal(['INTERNAL_ERROR', 'FORBIDDEN', 'INTERNAL_ERROR']);
    expect(errors).to.have.lengthOf(2);
  });

  describe('that maps', () => {
    it('sends the client the entry of the table for the code or the name of the error', async () => {
      const { connect } = await failing({ map: {
        ENOENT: { code: 'NOT_FOUND', message: 'there is nothing of that name', details: { hint: 'look elsewhere' } },
        PaymentError: { code: 'PAYMENT_FAILED' },
      } });
      const client = await connect();

      const [read, pay] = [await client.request({ type: 'read' }), await client.request({ type: 'pay' })];

      expect(read.content).to.deep.equal({ code: 'NOT_FOUND', message: 'there is nothing of that name', hint: 'look elsewhere' });
      expect(pay.content).to.deep.equal({ code: 'PAYMENT_FAILED', message: 'PAYMENT_FAILED' });
    });

    it('sends the client the result of the function, and other errors unchanged', async () => {
      const map = (error: unknown) => {
        if (error instanceof PaymentError) return new ModuleError('PAYMENT_FAILED', { retry: true }, { message: 'try another card' });
        return error === 'a string' ? { code: 'ODD' } : undefined;
      };
      const { connect } = await failing({ map });
      const client = await connect();

      const replies = await Promise.all(['pay', 'odd', 'read', 'forbidden'].map((type) => client.request({ type })));

      expect(replies[0]!.content).to.deep.equal({ code: 'PAYMENT_FAILED', message: 'try another card', retry: true });
      expect(replies.slice(1).map(({ content }) => content.code)).to.deep.equal(['ODD', 'INTERNAL_ERROR', 'FORBIDDEN']);
    });

    it('may hide details that were visible', async () => {
      const { connect } = await failing({ map: { FORBIDDEN: { code: 'NOT_YOURS', expose: false } } });
      const client = await connect();

      const reply = await client.request({ type: 'forbidden' });

      expect(reply.content.code).to.equal('INTERNAL_ERROR');
    });

    it('maps errors of connection layers to the close reason', async () => {
      const refuses = { type: 'connection', name: 'refuses', handler: () => { throw new PaymentError('overdue'); } } as const;
      const { connect } = await failing({ map: { PaymentError: { code: 'OVERDUE', message: 'pay first', closeCode: 4402 } } }, (handler) => [refuses, handler]);

      const { code, reason } = await (await connect()).closed;

      expect([code, reason]).to.deep.equal([4402, 'OVERDUE: pay first']);
    });

    it('reports a function that throws, and sends the error unchanged', async () => {
      const { connect, errors } = await failing({ map: () => { throw new Error('the map is broken'); } });
      const client = await connect();

      const reply = await client.request({ type: 'forbidden' });

      expect(reply.content.code).to.equal('FORBIDDEN');
      expect(errors.map(({ message }) => message)).to.deep.equal(['the map is broken']);
    });

    it('matches no error by names of Object.prototype', async () => {
      const { manager, connect } = await failing({ map: { ENOENT: { code: 'NOT_FOUND' } } });
      for (const code of ['constructor', '__proto__', 'toString']) {
        manager.registerHandler(`throws-${code}`, () => { throw Object.assign(new Error('x'), { code }); });
      }
      const client = await connect();

      const replies = await Promise.all(['constructor', '__proto__', 'toString'].map((code) => client.request({ type: `throws-${code}` })));

      expect(replies.map(({ content }) => content.code)).to.deep.equal(Array(3).fill('INTERNAL_ERROR'));
    });
  });

  describe('that closes', () => {
    it('answers first, and then closes with the code of the option', async () => {
      const { connect } = await failing({ closeOn: { FORBIDDEN: 4003 } });
      const client = await connect();

      const reply = await client.request({ type: 'forbidden' });
      const { code, reason } = await client.closed;

      expect(reply.content.code).to.equal('FORBIDDEN');
      expect([code, reason]).to.deep.equal([4003, 'FORBIDDEN']);
    });

    it('decides by the code that was sent to the client', async () => {
      const { connect } = await failing({ map: { ENOENT: { code: 'GONE' } }, closeOn: { GONE: 1008 } });
      const client = await connect();

      void client.send({ type: 'read' });

      expect((await client.closed).code).to.equal(1008);
    });

    it('leaves a connection open for every other error', async () => {
      const { connect } = await failing({ closeOn: { GONE: 1008 } });
      const client = await connect();

      await client.request({ type: 'forbidden' });
      const reply = await client.request({ type: 'ping' });

      expect(reply.type).to.equal('pong');
    });
  });

  it('works at any position in the order of use', async () => {
    const throws = { type: 'message', name: 'throws', handler: () => { throw new PaymentError('declined'); } } as const;
    const options = { map: { PaymentError: { code: 'PAYMENT_FAILED' } }, closeOn: { PAYMENT_FAILED: 4402 } };

    for (const around of [(handler: Usable) => [throws, handler], (handler: Usable) => [handler, throws]]) {
      const { connect } = await failing(options, around);
      const client = await connect();
      const reply = await client.request({ type: 'ping' });
      expect(reply.content.code).to.equal('PAYMENT_FAILED');
      expect((await client.closed).code).to.equal(4402);
    }
  });

  it('counts the errors that clients were told, and the connections that it closed', async () => {
    const { manager, connect } = await failing({ closeOn: { FORBIDDEN: 4003 } });
    const client = await connect();

    await client.request({ type: 'read' });
    await client.request({ type: 'pay' });
    await client.request({ type: 'nope' });
    await client.request({ type: 'forbidden' });
    await client.closed;

    expect(manager.getMetrics().plugins['error-handler']).to.deep.equal({
      error_handler_errors_total: [
        { labels: { code: 'INTERNAL_ERROR' }, value: 2 }, { labels: { code: 'UNKNOWN_TYPE' }, value: 1 }, { labels: { code: 'FORBIDDEN' }, value: 1 },
      ],
      error_handler_closed_total: 1,
    });
  });

  it('counts further codes as `other` when there are too many', async () => {
    let made = 0;
    const { manager, connect } = await failing({ map: () => ({ code: `MADE_UP_${made++}` }) });
    const client = await connect();

    for (let count = 0; count < 250; count++) await client.request({ type: 'read' });

    const counts = manager.getMetrics().plugins['error-handler']!.error_handler_errors_total as { labels: { code: string }; value: number }[];
    expect(counts).to.have.lengthOf(201);
    expect(counts.at(-1)).to.deep.equal({ labels: { code: 'other' }, value: 50 });
  });

  describe('with wrong options', () => {
    const wrong: readonly (readonly [given: unknown, code: string, text: RegExp])[] = [
      [{ map: 'NOT_FOUND' }, 'OPTION_INVALID', /"errorHandler\.map" must be a function, or an object/],
      [{ map: { ENOENT: 'NOT_FOUND' } }, 'OPTION_INVALID', /errorHandler\.map\.ENOENT/],
      [{ map: { ENOENT: { code: 404 } } }, 'OPTION_INVALID', /errorHandler\.map\.ENOENT" must be an object with a "code"/],
      [{ map: { ENOENT: { code: 'X', closecode: 4000 } } }, 'OPTION_UNKNOWN', /did you mean "errorHandler\.map\.ENOENT\.closeCode"/],
      [{ map: { ENOENT: { message: 'X' } } }, 'OPTION_INVALID', /errorHandler\.map\.ENOENT/],
      [{ closeOn: { FORBIDDEN: 999 } }, 'OPTION_INVALID', /errorHandler\.closeOn\.FORBIDDEN/],
      [{ closeOn: ['FORBIDDEN'] }, 'OPTION_INVALID', /errorHandler\.closeOn/],
      [{ close: {} }, 'OPTION_UNKNOWN', /errorHandler\.close/],
    ];
    for (const [given, code, text] of wrong) {
      it(`rejects ${JSON.stringify(given)} when it is created`, () => {
        expect(() => errorHandler(given as ErrorHandlerOptions)).to.throw(text).with.property('code', code);
      });
    }
  });

  it('exports itself as a property, so that a destructured require() works', () => {
    expect(errorHandler.errorHandler).to.equal(errorHandler);
  });
});

pluginSuite('error-handler', () => errorHandler({ map: { Error: { code: 'OOPS' } } }));
