import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import sinon from 'sinon';
import { gracefulShutdown, type ShutdownOptions } from '../../src/graceful-shutdown.ts';
import { cleanup } from '../support/cleanup.ts';
import { eventually } from '../support/timing.ts';
import { raise, startKernel } from './start-kernel.ts';

/** A signal that nobody else in this process listens to. */
const SIGNAL = 'SIGWINCH';

/** A kernel that shuts down at a signal, and the codes with which the process would have ended. */
async function application(options: ShutdownOptions = {}, kernelOptions: Parameters<typeof startKernel>[0] = {}) {
  const codes: unknown[] = [];
  const exit = sinon.stub(process, 'exit').callsFake((code) => void codes.push(code) as never);
  cleanup(() => { exit.restore(); });
  const kernel = await startKernel(kernelOptions);
  const undo = gracefulShutdown(kernel.manager, { signals: [SIGNAL], server: kernel.server, ...options });
  cleanup(undo);
  return { ...kernel, codes, undo };
}

describe('gracefulShutdown()', () => {
  it('stops the manager, closes the server and ends with 0', async () => {
    const { server, connect, codes } = await application({ retryWithin: 0 });
    const client = await connect();

    process.emit(SIGNAL);
    await eventually('the end', () => codes.length > 0);

    expect(await client.closed).to.deep.equal({ code: 4200, reason: 'retry=0' });
    expect(codes).to.deep.equal([0]);
    expect(server.listening).to.be.false;
  });

  it('calls onExit when all is down, and waits for it', async () => {
    const order: string[] = [];
    const { manager, connect, codes } = await application({ onExit: async () => {
      order.push(`${manager.connections.size} left`);
      await delay(20);
      order.push('flushed');
    } });
    await connect();

    process.emit(SIGNAL);
    await eventually('the end', () => codes.length > 0);

    expect(order).to.deep.equal(['0 left', 'flushed']);
  });

  it('ends with 1 when something fails, and says what', async () => {
    const lines: string[] = [];
    const write = sinon.stub(process.stderr, 'write').callsFake((line) => lines.push(String(line)) > 0);
    cleanup(() => { write.restore(); });
    const { codes } = await application({ onExit: async () => raise(new Error('not flushed')) });

    process.emit(SIGNAL);
    await eventually('the end', () => codes.length > 0);
    write.restore();

    expect(codes).to.deep.equal([1]);
    expect(lines.join('')).to.include('not flushed');
  });

  it('ends at once, with 1, at a second signal', async () => {
    const { manager, connect, codes } = await application({}, { drainTimeout: 400 });
    manager.registerHandler('hang', () => new Promise(() => {}));
    const client = await connect();
    void client.send({ type: 'hang' });
    await eventually('one in flight', () => manager.inspect().inFlight === 1);

    process.emit(SIGNAL);
    const early = [...codes];
    process.emit(SIGNAL);

    expect([early, codes]).to.deep.equal([[], [1]]);
    await manager.stop();
  });

  it('listens to no signal before it is called, nor after it is undone', async () => {
    const before = process.listenerCount('SIGTERM');
    const { manager, undo, codes } = await application({ signals: ['SIGTERM', 'SIGINT'] });
    const during = process.listenerCount('SIGTERM');

    undo();

    expect([during, process.listenerCount('SIGTERM')]).to.deep.equal([before + 1, before]);
    expect(codes).to.deep.equal([]);
    expect(manager.connections.size).to.equal(0);
  });
});
