import { expect } from 'chai';
import type { PluginContext } from '../../../src/contracts.ts';
import { ModuleError } from '../../../src/errors.ts';
import { CLOSE } from '../../support/frames.ts';
import { memoryOffer } from '../../support/memory-offer.ts';
import { eventually } from '../../support/timing.ts';
import { next, only, plugin, startKernel } from '../start-kernel.ts';
import type { StartOptions } from '../../support/start.ts';

/** A kernel with a plugin that offers clients of another transport. */
async function startWith(options: StartOptions = {}) {
  let context!: PluginContext;
  const transport = plugin('memory-transport', (given) => { context = given; });
  const kernel = await startKernel({ ...options, use: [transport, ...(options.use ?? [])] });
  return { ...kernel, context };
}

const textOf = (payload: Buffer): { type: string; replyTo?: string; content: any } => JSON.parse(payload.toString()) as never;

describe('an offer of another transport', () => {
  it('becomes a connection that exchanges messages in both directions', async () => {
    const { manager, context } = await startWith();
    manager.registerHandler('double', ({ content }) => Number(content) * 2);
    manager.registerHandler('binary', ({ content }) => (content as Buffer).length);
    const offer = memoryOffer();
    await context.accept(offer);

    offer.socket!.receive({ type: 'double', id: '1', content: 4 });
    offer.socket!.receive(Buffer.of(1, 2, 3));
    manager.broadcast({ type: 'tick' });
    only(manager).send(Buffer.of(9));
    await eventually('all frames', () => offer.socket!.frames.length === 4);

    const { frames } = offer.socket!;
    expect(frames.slice(0, 3).map(({ payload }) => textOf(payload)).map(({ type, content }) => [type, content]))
      .to.deep.equal([['double', 8], ['binary', 3], ['tick', undefined]]);
    expect(frames[3]!.payload).to.deep.equal(Buffer.of(9));
    expect(only(manager).ip).to.equal('192.0.2.7');
  });

  it('passes the layers, the origin check and the limit of connections', async () => {
    const refuse = { type: 'upgrade', name: 'gate', handler: (request: { headers: object }) => {
      if ('x-evil' in request.headers) throw new ModuleError('TEAPOT', {}, { status: 418 });
      return { user: { id: 'ann' } };
    } } as const;
    const { manager, context } = await startWith({ use: [refuse], maxConnections: 1 });
    const evil = memoryOffer({ 'x-evil': '1' });
    const foreign = memoryOffer({ origin: 'https://evil.example', host: 'chat.example' });
    const good = memoryOffer();
    const late = memoryOffer();

    for (const offer of [evil, foreign, good, late]) await context.accept(offer);

    expect([evil, foreign, good, late].map(({ refusal }) => refusal?.code)).to.deep.equal(['TEAPOT', 'ORIGIN_REFUSED', undefined, 'SERVER_FULL']);
    expect([evil.socket, foreign.socket, late.socket]).to.deep.equal([undefined, undefined, undefined]);
    expect(only(manager).user).to.deep.equal({ id: 'ann' });
    expect(manager.getMetrics().connections).to.include({ refusedConnections: 3, activeConnections: 1 });
  });

  it('is refused with the status, unless the client sees none: then with a close code', async () => {
    const refuse = { type: 'upgrade', name: 'gate', handler: () => false } as const;
    const { context } = await startWith({ use: [refuse] });
    const [sees, blind] = [memoryOffer({ origin: 'http://a.example', host: 'a.example' }), memoryOffer({}, { seesStatus: false })];

    await context.accept(sees);
    await context.accept(blind);

    expect(sees.refusal).to.include({ code: 'CONNECTION_REFUSED', status: 403 });
    expect(blind.refusal).to.equal(undefined);
    expect(blind.socket!.frames.at(-1)).to.include({ opcode: CLOSE });
    expect(blind.socket!.frames.at(-1)!.payload.readUInt16BE()).to.equal(4003);
  });

  it('gets the limits and the subprotocol that the server selects', async () => {
    const { context } = await startWith({ maxPayload: 1_000, protocols: ['json'], heartbeat: { interval: 10_000, timeout: 700 } });
    const offer = memoryOffer();

    await context.accept(offer);

    expect(offer.terms).to.include({ maxPayload: 1_000, closeTimeout: 700 });
    expect(offer.socket!.protocol).to.equal('json');
  });

  it('is refused with 503 when its handshake takes too long', async () => {
    const { context } = await startWith({ handshakeTimeout: 10, use: [{ type: 'upgrade', name: 'slow', handler: () => new Promise(() => undefined) }] });
    const offer = memoryOffer();

    void context.accept(offer);
    await eventually('the refusal', () => offer.refusal !== undefined);

    expect(offer.refusal).to.include({ code: 'HANDSHAKE_TIMEOUT', status: 503 });
  });

  it('takes part in stop(): it gets 4200 and a time to reconnect', async () => {
    const { manager, context } = await startWith();
    const offer = memoryOffer();
    await context.accept(offer);
    const removed = next(manager, 'connection:removed');
    const socket = offer.socket!;

    const stopped = manager.stop();
    await eventually('the close frame', () => socket.frames.at(-1)?.opcode === CLOSE);
    socket.end(4200, '');
    await stopped;

    expect(socket.frames.at(-1)!.payload.readUInt16BE()).to.equal(4200);
    expect((await removed)[1]).to.include({ code: 4200 });
  });

  it('is pinged, and closed with 4109 if nothing comes', async () => {
    const { manager, context } = await startWith({ heartbeat: { interval: 50, timeout: 50 } });
    const offer = memoryOffer();
    await context.accept(offer);

    const [, reason] = await next(manager, 'connection:removed');

    expect(reason).to.include({ code: 4109 });
  });
});
