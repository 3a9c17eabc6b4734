import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { expect } from 'chai';
import sinon from 'sinon';
import { gracefulShutdown, type ShutdownOptions } from '../../../src/kit/graceful-shutdown.ts';
import { cleanup } from '../../support/cleanup.ts';
import { handshake, raw } from '../../support/raw.ts';
import { eventually } from '../../support/timing.ts';
import { deferred, raise, startKernel } from '../start-kernel.ts';

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

  it('calls onExit once everything has stopped, and waits for it', async () => {
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

  it('HOSTILE 15: writes a failure in one line, followed by its stack', async () => {
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

  it('exits with 1 and writes the reason when a part fails', async () => {
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

  it('lets pending HTTP requests finish', async () => {
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

  it('cuts HTTP requests that take longer than exitTimeout', async () => {
    const { server, port, codes } = await application({ exitTimeout: 50 });
    const asked = new Promise<void>((resolve) => server.on('request', () => resolve()));
    const reply = fetch(`http://127.0.0.1:${port}/`).then(() => 'answered', () => 'cut');
    await asked;

    process.emit(SIGNAL);

    expect(await reply).to.equal('cut');
    await eventually('the end', () => codes.length > 0);
    expect(codes).to.deep.equal([0]);
  });

  it('ends with 1 if onExit takes longer than exitTimeout', async () => {
    const lines: string[] = [];
    const write = sinon.stub(process.stderr, 'write').callsFake((line) => lines.push(String(line)) > 0);
    cleanup(() => { write.restore(); });
    const { codes } = await application({ exitTimeout: 50, onExit: () => new Promise(() => {}) });

    process.emit(SIGNAL);
    await eventually('the end', () => codes.length > 0);
    write.restore();

    expect(codes).to.deep.equal([1]);
    expect(lines.join('')).to.include('shutdown failed: Error: onExit did not finish within 50 ms');
  });

  describe('with connections that never sent a request, as browsers open them in advance', () => {
    it('closes them at once', async () => {
      const { port, codes } = await application({ exitTimeout: 60_000 });
      const idle = await Promise.all([raw({ port }), raw({ port })]);

      process.emit(SIGNAL);
      await eventually('the end, long before exitTimeout', () => codes.length > 0);

      expect(codes).to.deep.equal([0]);
      for (const client of idle) await client.until('its end', () => client.ended);
    });

    it('closes them over TLS, too, and lets requests be answered', async () => {
      const psk = { psk: Buffer.from('a key for this test'), identity: 'test' };
      const tls = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const;
      const answers: (() => void)[] = [];
      const server = createServer({ ...tls, pskCallback: () => psk.psk }, (_request, response) => { answers.push(() => response.end('answered')); });
      server.listen(0, '127.0.0.1');
      cleanup(() => { server.closeAllConnections(); });
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const secure = async () => {
        const socket = connect({ ...tls, port, pskCallback: () => psk, checkServerIdentity: () => undefined });
        await once(socket, 'secureConnect');
        return socket;
      };
      const { codes } = await application({ server });
      const [idle, busy] = [await secure(), await secure()];
      busy.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      await eventually('the request', () => answers.length === 1);
      const closed = once(idle, 'close');
      idle.resume();

      process.emit(SIGNAL);
      await closed;
      const early = [...codes];
      answers[0]!();

      expect(await text(busy)).to.include('answered');
      await eventually('the end', () => codes.length > 0);
      expect([early, codes]).to.deep.equal([[], [0]]);
    });

    it('answers requests on them with 503 while the manager stops', async () => {
      const { manager, connect: join, port, codes } = await application();
      const gate = deferred<string>();
      manager.registerHandler('slow', () => gate.promise);
      const client = await join();
      void client.send({ type: 'slow' });
      await eventually('one in flight', () => manager.inspect().inFlight === 1);
      const spare = await raw({ port });

      process.emit(SIGNAL);
      await spare.write(handshake({ port }));
      const answer = await spare.answer();
      gate.resolve('in time');

      expect(answer?.status).to.equal(503);
      await eventually('the end', () => codes.length > 0);
      expect(codes).to.deep.equal([0]);
    });
  });

  it('waits for asynchronous listeners before it calls onExit', async () => {
    const order: string[] = [];
    const { manager, connect: join, codes } = await application({ onExit: () => void order.push('onExit') });
    for (const event of ['stopping', 'connection:removed'] as const) {
      manager.on(event, async () => {
        await delay(50);
        order.push(`${event} saved`);
      });
    }
    await join();

    process.emit(SIGNAL);
    await eventually('the end', () => codes.length > 0);

    expect(order).to.deep.equal(['stopping saved', 'connection:removed saved', 'onExit']);
    expect(codes).to.deep.equal([0]);
  });

  it('writes no control characters of an error', async () => {
    const lines: string[] = [];
    const write = sinon.stub(process.stderr, 'write').callsFake((line) => lines.push(String(line)) > 0);
    cleanup(() => { write.restore(); });
    const { codes } = await application({ onExit: () => raise(new Error('said "\u001b[31m\r2026-01-01 INFO all is well"')) });

    process.emit(SIGNAL);
    await eventually('the end', () => codes.length > 0);
    write.restore();

    expect(lines.join('')).to.include('\\u001b[31m\\u000d2026').and.to.satisfy((all: string) => !all.includes('\u001b') && !all.includes('\r'));
  });

  it('rejects at once arguments that would fail at the signal', async () => {
    const { manager, server } = await startKernel();
    const before = process.listenerCount('SIGTERM');
    const refused = (run: () => unknown, code: string, text: string) => expect(run).to.throw(text).with.property('code', code);
    const given = (options: object) => () => gracefulShutdown(manager, options);

    refused(() => gracefulShutdown(server as never), 'OPTION_INVALID',
      'option "gracefulShutdown(manager)" must be a manager of WebSocketModule.create(); pass a server as the option { server }, but is a server');
    refused(() => gracefulShutdown(undefined as never), 'OPTION_INVALID', 'but is undefined');
    refused(() => gracefulShutdown(manager, server as never), 'OPTION_INVALID', 'option "gracefulShutdown(options)" must be an object like { server }, but is a server');
    refused(given({ signals: ['SIGKILL'] }), 'OPTION_INVALID', 'option "gracefulShutdown.signals" must be a list of signals that can be handled, like "SIGTERM"');
    refused(given({ signals: ['term'] }), 'OPTION_INVALID', 'option "gracefulShutdown.signals" must be');
    refused(given({ signals: 'SIGTERM' }), 'OPTION_INVALID', 'option "gracefulShutdown.signals" must be');
    refused(given({ retryWithin: '10s' }), 'OPTION_INVALID', 'option "gracefulShutdown.retryWithin" must be an integer');
    refused(given({ onExit: true }), 'OPTION_INVALID', 'option "gracefulShutdown.onExit" must be a function');
    refused(given({ server: 3000 }), 'OPTION_INVALID', 'option "gracefulShutdown.server" must be a server');
    refused(given({ onexit: () => {} }), 'OPTION_UNKNOWN', 'did you mean "gracefulShutdown.onExit"?');
    expect(process.listenerCount('SIGTERM')).to.equal(before);
  });

  it('ends the process once its last manager has stopped', async () => {
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

  it('ends at once with 1 at a second signal', async () => {
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

  it('listens to signals only between its call and its undo', async () => {
    const before = process.listenerCount('SIGTERM');
    const { manager, server, undo, codes } = await application({ signals: ['SIGTERM', 'SIGINT'] });
    const during = process.listenerCount('SIGTERM');
    const connections = server.listenerCount('connection');

    undo();

    expect(server.listenerCount('connection')).to.equal(connections - 1);
    expect([during, process.listenerCount('SIGTERM')]).to.deep.equal([before + 1, before]);
    expect(codes).to.deep.equal([]);
    expect(manager.connections.size).to.equal(0);
  });
});
