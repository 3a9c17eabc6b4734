import { expect } from 'chai';
import fc from 'fast-check';
import sinon from 'sinon';
import { clean, LogSink } from '../../../src/runtime/log.ts';
import { cleanup } from '../../support/cleanup.ts';
import { anyText } from '../any-text.ts';
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

describe('clean', () => {
  it('leaves no control character, but for the line ends of a stack', () => {
    fc.assert(fc.property(fc.oneof(anyText(), fc.array(fc.constantFrom('\n', '\r', '\u001b[31m', '\u0000', '\u009b', '\u2028', '\u2029', '\n    at ', 'x', '\n at')).map((parts) => parts.join(''))), (text) => {
      // eslint-disable-next-line no-control-regex -- these are what must not be there
      expect(clean(text).replaceAll('\n    at ', '')).to.not.match(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    }), { numRuns: 500 });
  });

  it('leaves ordinary text as it is', () => {
    fc.assert(fc.property(fc.stringMatching(/^[\x20-\x7e]*$/), (text) => {
      fc.pre(!/token|auth|jwt|bearer/i.test(text));
      expect(clean(text)).to.equal(text);
    }));
    expect(clean('你好 — émile 🚀')).to.equal('你好 — émile 🚀');
  });

  it('leaves no token readable', () => {
    fc.assert(fc.property(fc.stringMatching(/^[\w.-]{12,80}$/), fc.constantFrom('/ws?token=', '/ws?a=1&access_token=', '/ws?jwt=', 'Authorization: Bearer ', 'bearer.', '?auth='), (token, before) => {
      const cleaned = clean(`x ${before}${token}&b=2 y`);
      expect(cleaned).to.include('[redacted]');
      expect(cleaned).to.not.include(token);
    }));
  });

  it('keeps what stands beside a token', () => {
    expect(clean('GET /ws?token=secret&room=lobby 101')).to.equal('GET /ws?token=[redacted]&room=lobby 101');
  });
});

describe('a log', () => {
  it('gives a logger the lines from its level on, with their namespace', () => {
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

  it('writes warnings and errors to stderr where there is no logger', () => {
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

  it('reads DEBUG again when it is made', () => {
    setDebug('websocket:seen');
    const lines = takeStderr();
    const sink = new LogSink(undefined, undefined);

    sink.child('seen').debug('hello');
    sink.child('unseen').debug('nothing');

    expect(lines.join('')).to.include('hello');
    expect(lines.join('')).to.not.include('nothing');
  });

  it('writes one line, whatever it is told', () => {
    const logger = recorder();
    const log = new LogSink(logger, 'debug').child('x');

    log.info('name\r\nERROR forged', { name: 'a\nb\u001b[31m' });

    expect(logger.lines).to.have.lengthOf(1);
    // eslint-disable-next-line no-control-regex -- these are what must not be there
    expect(logger.lines[0]).to.not.match(/[\u0000-\u001f]/);
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
