import { expect } from 'chai';
import fc from 'fast-check';
import { ModuleError } from '../../../src/errors.ts';
import { clean, cleanLine, stackLines } from '../../../src/runtime/clean.ts';
import { anyText } from '../any-text.ts';

describe('clean', () => {
  it('leaves no line break, terminal control or invisible character', () => {
    fc.assert(fc.property(fc.oneof(anyText(), fc.array(fc.constantFrom('\n', '\r', '\u001b[31m', '\u0000', '\u009b', '\u2028', '\u2029', '\n    at ', 'x', '\n at', '\u202e', '\u2066', '\u200b', '\u{e0041}', '\ud800')).map((parts) => parts.join(''))), (text) => {
      expect(clean(text)).to.not.match(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
    }), { numRuns: 500 });
  });

  it('writes such characters as escapes', () => {
    expect(clean('a\nb\u202ec\u{e0041}d\ud800')).to.equal('a\\u000ab\\u202ec\\u{e0041}d\\ud800');
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

  it('keeps the text around a token', () => {
    expect(clean('GET /ws?token=secret&room=lobby 101')).to.equal('GET /ws?token=[redacted]&room=lobby 101');
  });
});

describe('cleanLine', () => {
  it('truncates a text that is too long for a line, and tells its length', () => {
    const line = cleanLine('x'.repeat(1_000_000));

    expect(line.length).to.be.below(9_000);
    expect(line).to.match(/x… \(1000000 characters\)$/);
  });
});

describe('stackLines', () => {
  it('returns the frames of an error, each on its own line', () => {
    const lines = stackLines(new Error('boom')).split('\n');

    expect(lines.shift()).to.equal('');
    expect(lines.length).to.be.at.least(2);
    for (const line of lines) expect(line).to.match(/^ {4}at /);
    expect(lines[0]).to.include('clean.test.ts');
  });

  it('returns no line of the message, whatever the message is', () => {
    const part = fc.constantFrom('\n    at forged (file:1:1)', 'E', 'Error', ': ', '', '\n', 'x', '\u202e');
    fc.assert(fc.property(fc.array(part).map((parts) => parts.join('')), (message) => {
      for (const error of [new Error(message), new TypeError(message), new ModuleError('X', {}, { message })]) {
        expect(stackLines(error)).to.include('clean.test.ts').and.not.include('forged');
      }
    }));
  });

  it('returns nothing when the message differs from the one in the stack', () => {
    for (const later of ['another', '']) {
      const error = new Error('first\n    at forged (file:1:1)');
      // A stack is written down when it is first asked for.
      expect(error.stack).to.include('forged');
      error.message = later;

      expect(stackLines(error)).to.equal('');
    }
  });

  it('accepts an error whose stack is missing or not a string', () => {
    for (const stack of [undefined, 17, {}]) expect(stackLines(Object.assign(new Error('boom'), { stack }))).to.equal('');
  });
});
