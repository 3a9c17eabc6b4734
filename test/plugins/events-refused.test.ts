import { expect } from 'chai';
import { ModuleError } from '../../index.ts';
import type { Socket } from '../../plugins/events.ts';
import { errorsOf, serve } from '../support/events.ts';
import { eventually } from '../support/timing.ts';

const refuse = (error: unknown = new Error('no')) => (_socket: Socket, next: (error?: unknown) => void) => next(error);

describe('a client that a layer rejects', () => {
  it('gets the error, and is closed when it is in no namespace after connectTimeout', async () => {
    const served = await serve({ connectTimeout: 40 });
    const errors = errorsOf(served);
    served.io.use(refuse(Object.assign(new Error('no such token'), { data: { retry: false } })));
    const client = await served.connect();

    const told = await client.next('error');
    const closed = await client.closed;

    const details = { data: { retry: false }, namespace: '/' };
    expect(told.content).to.deep.equal({ code: 'CONNECTION_REFUSED', message: 'no such token', ...details });
    expect(closed).to.deep.equal({ code: 4003, reason: 'CONNECTION_REFUSED: no such token' });
    await eventually('nothing to be left of it', () => served.manager.inspect()['deadlines'] === 0);
    expect(errors).to.deep.equal([]);
  });

  const codes: readonly (readonly [what: string, error: unknown, code: number, reason: string])[] = [
    ['an error with a close code', new ModuleError('AUTH_REQUIRED'), 4001, 'AUTH_REQUIRED: authentication is required'],
    ['an error without one', new ModuleError('NOT_TODAY', {}, { message: 'come back' }), 4003, 'NOT_TODAY: come back'],
  ];
  for (const [what, error, code, reason] of codes) {
    it(`is closed with the close code of the error: ${what}`, async () => {
      const served = await serve({ connectTimeout: 40, connect: 'explicit' });
      served.io.use(refuse(error));
      const client = await served.connect();

      await client.request({ type: 'connect' });

      expect(await client.closed).to.deep.equal({ code, reason });
    });
  }

  it('is closed without the text of an error that is not exposed', async () => {
    const served = await serve({ connectTimeout: 40 });
    errorsOf(served);
    served.io.use(() => { throw new Error('a secret'); });
    const client = await served.connect();

    const reason = 'INTERNAL_ERROR: the server failed to handle this message';
    expect(await client.closed).to.deep.equal({ code: 1011, reason });
  });

  it('is closed at the first deadline, however often it tries again', async () => {
    const served = await serve({ connectTimeout: 60 });
    served.io.use(refuse());
    const client = await served.connect();

    while (client.ws.readyState === client.ws.OPEN) await client.request({ type: 'connect' }).catch(() => undefined);

    expect((await client.closed).code).to.equal(4003);
  });

  it('is closed when the only namespace that it tried rejects it', async () => {
    const served = await serve({ connectTimeout: 40, connect: 'explicit' });
    served.io.of('/admin').use(refuse());
    const client = await served.connect();

    await client.request({ type: 'connect', namespace: '/admin' });

    expect((await client.closed).code).to.equal(4003);
  });

  it('stays connected when it enters the main namespace later, or another one', async () => {
    const served = await serve({ connectTimeout: 40 });
    served.io.use((socket, next) => next(socket.handshake.auth['token'] === 'good' ? undefined : new Error('no')));
    served.io.of('/lobby');
    served.manager.of('/plain');
    const others = [await served.connect(), await served.connect(), await served.connect()];
    await others[0]!.request({ type: 'connect', content: { token: 'good' } });
    await others[1]!.request({ type: 'connect', namespace: '/lobby' });
    await others[2]!.request({ type: 'connect', namespace: '/plain' });
    const refused = await served.connect();

    // Refused after them, so that their deadlines are over when it is closed.
    await refused.closed;

    expect(served.manager.connections.size).to.equal(3);
    expect((await others[2]!.request({ type: 'ping' })).type).to.equal('pong');
  });

  it('stays connected when it is in a namespace while another one rejects it', async () => {
    const served = await serve({ connectTimeout: 40 });
    served.io.of('/admin').use(refuse());
    const client = await served.connect();

    await client.request({ type: 'connect', namespace: '/admin' });

    expect(served.manager.inspect()['deadlines']).to.equal(0);
  });

  it('leaves no deadline behind when it closes, or the plugin is unloaded', async () => {
    const served = await serve();
    served.io.use(refuse());
    const [gone, stays] = [await served.connect(), await served.connect()];
    await Promise.all([gone, stays].map((client) => client.next('error')));
    const before = served.manager.inspect()['deadlines'];

    await gone.close();
    await eventually('it to close', () => served.manager.connections.size === 1);
    const between = served.manager.inspect()['deadlines'];
    await served.manager.unload('events');

    expect([before, between, served.manager.inspect()['deadlines']]).to.deep.equal([2, 1, 0]);
  });
});
