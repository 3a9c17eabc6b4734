import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import sinon from 'sinon';
import { gracefulShutdown, type ShutdownOptions } from '../../src/graceful-shutdown.ts';
import { cleanup } from '../support/cleanup.ts';
import { eventually } from '../support/timing.ts';
import { deferred, raise, startKernel } from './start-kernel.ts';

/** A signal that nothing else in this process listens to. */
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

  it('HOSTILE 15: writes what failed in one line, and the frames of its stack', async () => {
    const lines: string[] = [];
    const write = sinon.stub(process.stderr, 'write').callsFake((line) => lines.push(String(line)) > 0);
    cleanup(() => { write.restore(); });
    const { codes } = await application({ onExit: async () => raise(new Error('cannot reach ?token=secret\n    at forged (file:1:1)\u202e')) });

    process.emit(SIGNAL);
    await eventually('the end', () => codes.length > 0);
    write.restore();

    const [first, ...frames] = lines.join('').trimEnd().split('\n');
    expect(first).to.equal('shutdown failed: Error: cannot reach ?token=[redacted]\\u000a    at forged (file:1:1)\\u202e');
    for (const frame of frames) expect(frame).to.match(/^ {4}at (?!forged)/);
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

  it('lets requests of the server be answered', async () => {
    const { server, port, codes } = await application();
    let answer!: () => void;
    const asked = new Promise<void>((resolve) => server.on('request', (_request, response) => {
      answer = () => response.end('answered');
      resolve();
    }));
    const reply = fetch(`http://127.0.0.1:${port}/`).then((response) => response.text());
    await asked;

    process.emit(SIGNAL);
    await eventually('a closed door', () => !server.listening);
    const early = [...codes];
    answer();

    expect(await reply).to.equal('answered');
    await eventually('the end', () => codes.length > 0);
    expect([early, codes]).to.deep.equal([[], [0]]);
  });

  it('ends the process when the last manager in it is down', async () => {
    const { manager, connect, codes } = await application();
    const other = await startKernel();
    const gone: string[] = [];
    cleanup(gracefulShutdown(other.manager, { signals: [SIGNAL], server: other.server, onExit: () => void gone.push('other') }));
    const gate = deferred<string>();
    manager.registerHandler('slow', () => gate.promise);
    const client = await connect();
    const reply = client.request({ type: 'slow' });
    await eventually('one in flight', () => manager.inspect().inFlight === 1);

    process.emit(SIGNAL);
    await eventually('the other one down', () => gone.length > 0);
    const early = [...codes];
    gate.resolve('in time');

    expect((await reply).content).to.equal('in time');
    await eventually('both ends', () => codes.length === 2);
    expect([early, codes]).to.deep.equal([[], [0, 0]]);
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
    // Here, where no process has ended, the first one goes on.
    await eventually('its end', () => codes.length === 2);
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
