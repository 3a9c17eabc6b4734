import { expect } from 'chai';
import sinon from 'sinon';
import { ModuleError } from '../../../src/errors.ts';
import { LogSink } from '../../../src/runtime/log.ts';
import { cleanup } from '../../support/cleanup.ts';
import { recorder } from '../start-kernel.ts';

/** Takes what is written to stderr instead of it. */
function takeStderr(): string[] {
  const lines: string[] = [];
  const stub = sinon.stub(process.stderr, 'write').callsFake((text) => {
    lines.push(String(text));
    return true;
  });
  cleanup(() => { stub.restore(); });
  return lines;
}

function setDebug(value: string | undefined): void {
  const before = process.env.DEBUG;
  const set = (to: string | undefined): void => {
    if (to === undefined) delete process.env.DEBUG;
    else process.env.DEBUG = to;
  };
  set(value);
  cleanup(() => {
    set(before);
    new LogSink(undefined, undefined);
  });
}

describe('a log', () => {
  it('passes a logger the lines of its level and above, with their namespace', () => {
    const logger = recorder();
    const log = new LogSink(logger, undefined).child('rooms');

    log.debug('hidden');
    log.info('shown', { room: 'lobby' });
    log.error('shown too');

    expect(logger.lines).to.deep.equal(['websocket:rooms shown {"room":"lobby"}', 'websocket:rooms shown too']);
  });

  it('calls the logger\'s function of the level', () => {
    const logger = { debug: sinon.fake(), info: sinon.fake(), warn: sinon.fake(), error: sinon.fake() };
    const log = new LogSink(logger, 'debug').child('x');

    for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level](level);

    expect(Object.values(logger).map((fake) => fake.callCount)).to.deep.equal([1, 1, 1, 1]);
    expect(logger.warn.firstCall.args).to.deep.equal(['websocket:x warn']);
  });

  it('writes warnings and errors to stderr without a logger', () => {
    setDebug(undefined);
    const lines = takeStderr();
    const log = new LogSink(undefined, undefined).child('x');

    log.info('quiet');
    log.warn('loud');
    log.error('louder');

    expect(lines).to.have.lengthOf(2);
    expect(lines[0]).to.match(/^\d{4}-\S+Z WARN websocket:x loud\n$/);
    expect(lines[1]).to.include('ERROR websocket:x louder');
  });

  it('changes its level', () => {
    const logger = recorder();
    const sink = new LogSink(logger, 'error');
    const log = sink.child('x');

    log.warn('before');
    sink.setLevel('debug');
    log.debug('after');

    expect(logger.lines).to.deep.equal(['websocket:x after']);
  });

  it('reads DEBUG each time a log is created', () => {
    setDebug('websocket:seen');
    const lines = takeStderr();
    const sink = new LogSink(undefined, undefined);

    sink.child('seen').debug('hello');
    sink.child('unseen').debug('nothing');

    expect(lines.join('')).to.include('hello');
    expect(lines.join('')).to.not.include('nothing');
  });

  it('writes one line, whatever it is given', () => {
    const logger = recorder();
    const log = new LogSink(logger, 'debug').child('x');

    log.info('name\r\nERROR forged', { name: 'a\nb\u001b[31m' });

    expect(logger.lines).to.have.lengthOf(1);
    // eslint-disable-next-line no-control-regex -- these are what must not be there
    expect(logger.lines[0]).to.not.match(/[\u0000-\u001f]/);
  });

  it('writes an error on one line, and each frame of its stack on its own line', () => {
    const logger = recorder();
    const sink = new LogSink(logger, undefined);

    sink.failure('message', new Error('no\n    at forged (file:1:1)\u202e'), { type: 'chat\n    at forged' });

    const [first, ...frames] = logger.lines[0]!.split('\n');
    expect(first).to.equal('websocket:message Error: no\\u000a    at forged (file:1:1)\\u202e {"type":"chat\\n    at forged"}');
    expect(frames).to.not.have.lengthOf(0);
    for (const frame of frames) expect(frame).to.match(/^ {4}at (?!forged)/);
  });

  it('HOSTILE 15: writes ten errors of one code in a minute, and then how many there were', () => {
    const time = sinon.useFakeTimers({ toFake: ['performance'] });
    cleanup(() => { time.restore(); });
    const logger = recorder();
    const sink = new LogSink(logger, undefined);

    for (let count = 0; count < 1_000; count++) sink.failure('message', new TypeError('boom'), {});
    sink.failure('message', new RangeError('another'), {});
    sink.failure('rooms', new TypeError('boom'), {});
    time.tick(60_000);
    for (let count = 0; count < 2; count++) sink.failure('message', new TypeError('boom'), {});

    const heads = logger.lines.map((line) => line.split('\n', 1)[0]!);
    expect(heads).to.have.lengthOf(14);
    expect(heads[9]).to.include('{"note":"further errors of this code are not written for a minute"}');
    expect(heads.slice(10)).to.deep.equal([
      'websocket:message RangeError: another {}', 'websocket:rooms TypeError: boom {}',
      'websocket:message TypeError: boom {"suppressed":990}', 'websocket:message TypeError: boom {}',
    ]);
  });

  it('HOSTILE 15: bounds the number of lines when clients cause many different codes', () => {
    const logger = recorder();
    const sink = new LogSink(logger, undefined);

    for (let count = 0; count < 10_000; count++) sink.failure('message', new ModuleError(`CODE_${count}`), {});

    expect(logger.lines).to.have.lengthOf(210);
  });

  it('cuts a line that is too long', () => {
    const logger = recorder();
    const log = new LogSink(logger, undefined).child('x');

    log.warn('x'.repeat(1_000_000), { more: 'y'.repeat(1_000_000) });

    expect(logger.lines[0]!.length).to.be.below(9_000);
  });

  it('never throws for details that JSON cannot write', () => {
    const logger = recorder();
    const log = new LogSink(logger, 'debug').child('x');
    const circular: Record<string, unknown> = {};
    circular.self = circular;

    for (const details of [circular, { big: 1n }, { toJSON: () => { throw new Error('no'); } }]) expect(() => log.warn('told', details)).to.not.throw();

    expect(logger.lines.filter((line) => line.includes('told'))).to.have.lengthOf(3);
  });

  it('never throws when its logger does', () => {
    const fail = () => { throw new Error('disk full'); };
    const log = new LogSink({ debug: fail, info: fail, warn: fail, error: fail }, 'debug').child('x');
    takeStderr();

    expect(() => log.error('told')).to.not.throw();
  });
});
