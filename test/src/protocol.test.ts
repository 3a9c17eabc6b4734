import { expect } from 'chai';
import fc from 'fast-check';
import { canonical, closeCodes, reconnectPolicy, json, Message, named, Refusal, toMessage } from '../../src/protocol.ts';
import { anyText } from './any-text.ts';

const DEPTH = 32;
const parse = (text: string) => toMessage(json.decode(text, DEPTH), DEPTH);

/** What comes of a text: a message, or the code of its refusal. Anything else is thrown. */
function outcome(text: string): string {
  try {
    parse(text);
    return 'message';
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

/** An envelope that nests so deep, padded so that both ways to look are taken. */
const nested = (depth: number, padding = '', open = '[', close = ']') => `{"type":"x","pad":"${padding}","content":${open.repeat(depth - 1)}${close.repeat(depth - 1)}}`;

describe('a message', () => {
  it('keeps its type and content over the wire, whatever the content is', () => {
    fc.assert(fc.property(anyText({ minLength: 1, maxLength: 64 }), fc.jsonValue({ maxDepth: 10 }), (type, content) => {
      fc.pre(!JSON.stringify(content).includes('__proto__'));
      const message = parse(json.encode({ type, content }) as string);

      expect(message.type).to.equal(type);
      expect(message.content).to.deep.equal(JSON.parse(JSON.stringify(content)));
    }));
  });

  it('takes its payload from content, else from data, else from the fields outside the envelope', () => {
    expect(parse('{"type":"a","content":1,"data":2,"x":3}').content).to.equal(1);
    expect(parse('{"type":"a","data":2,"x":3}').content).to.equal(2);
    expect(parse('{"type":"a","id":"1","x":3}').content).to.deep.equal({ x: 3 });
    expect(parse('{"type":"a","content":null,"data":2}').content).to.equal(null);
  });

  it('gives the same payload as `content` and as `data`', () => {
    const message = parse('{"type":"a","content":1}');

    message.data = 2;

    expect([message.content, message.data]).to.deep.equal([2, 2]);
  });

  it('keeps other fields readable beside the content', () => {
    expect(parse('{"type":"room-message","roomId":"lobby","content":"hi"}').fields).to.deep.equal({ roomId: 'lobby' });
  });

  it('knows its size until its content is replaced', () => {
    const text = '{"type":"a","content":{"b":1}}';
    const message = toMessage(JSON.parse(text), 32, text.length);

    expect(message.size).to.equal(30);
    message.content = { b: 1 };

    expect(message.size, 'another content').to.equal(Infinity);
    expect(toMessage(JSON.parse('{"type":"a","b":1}'), 32, 18).size, 'fields as payload').to.equal(18);
    expect(parse(text).size, 'of unknown size').to.equal(Infinity);
  });

  it('is forwarded without the fields that only its sender or the server may set', () => {
    const text = '{"type":"a","id":"1","roomId":"lobby","content":{"b":[1]},"sessionId":"s","replyTo":"r","topic":"t","epoch":"e","offset":1,'
      + '"namespace":"/x","meta":{"trace":"t","args":[2]}}';

    expect(JSON.parse(JSON.stringify(parse(text)))).to.deep.equal({ type: 'a', roomId: 'lobby', content: { b: [1] }, meta: { args: [2] } });
    expect(JSON.parse(JSON.stringify(parse('{"type":"a","x":1}')))).to.deep.equal({ type: 'a', x: 1 });
  });

  it('builds the same payload from its fields, whatever their position', () => {
    expect(parse('{"type":"a","content":"hi"}').payload, 'content alone').to.equal('hi');
    expect(parse('{"type":"a","room":"x","text":"hi"}').payload, 'fields alone').to.deep.equal({ room: 'x', text: 'hi' });
    expect(parse('{"type":"a","content":{"room":"x","text":"hi"}}').payload).to.deep.equal({ room: 'x', text: 'hi' });
    expect(parse('{"type":"a","room":"x","content":"hi"}').payload, 'both').to.deep.equal({ room: 'x', content: 'hi' });
    expect(parse('{"type":"a","room":"x","content":{"room":"y","text":"hi"}}').payload, 'what stands beside wins')
      .to.deep.equal({ room: 'x', text: 'hi', content: { room: 'y', text: 'hi' } });
    expect(parse('{"type":"a"}').payload, 'nothing').to.deep.equal({});
  });

  it('has the same payload and content after a layer has replaced the payload', () => {
    const content = parse('{"type":"a","content":{"n":"1"}}');
    const fields = parse('{"type":"a","n":"1"}');
    const both = parse('{"type":"a","room":"x","content":"1"}');

    content.payload = { n: 1 };
    fields.payload = { n: 1 };
    both.payload = { room: 'y', content: 1 };

    expect([content.content, content.payload, content.fields]).to.deep.equal([{ n: 1 }, { n: 1 }, {}]);
    expect([fields.content, fields.payload, fields.fields]).to.deep.equal([{ n: 1 }, { n: 1 }, { n: 1 }]);
    expect([both.content, both.payload, both.fields]).to.deep.equal([1, { room: 'y', content: 1 }, { room: 'y' }]);
    expect(both.toJSON()).to.include({ room: 'y', content: 1 });
  });

  it('takes its payload from the content that a layer assigned', () => {
    const alone = parse('{"type":"a","content":1}');
    const both = parse('{"type":"a","room":"x","content":{"b":1}}');
    expect([alone.payload, both.payload]).to.deep.equal([1, { room: 'x', b: 1, content: { b: 1 } }]);

    alone.content = { c: 1 };
    both.content = { c: 1 };

    expect(alone.payload).to.deep.equal({ c: 1 });
    expect(both.payload).to.deep.equal({ room: 'x', c: 1, content: { c: 1 } });
  });

  it('has one payload, however its fields are spread over content, data and the envelope', () => {
    const field = fc.constantFrom('room', 'user', 'text', 'limit');
    fc.assert(fc.property(fc.dictionary(field, fc.jsonValue()), (fields) => {
      const places = [{ type: 'a', ...fields }, { type: 'a', content: fields }, { type: 'a', data: fields }];

      const payloads = places.map((message) => parse(JSON.stringify(message)).payload as unknown);

      for (const payload of payloads) expect(payload).to.deep.equal(JSON.parse(JSON.stringify(fields)));
    }));
  });
});

describe('received data', () => {
  it('is parsed as a message or rejected with a code, whatever its bytes are', () => {
    fc.assert(fc.property(fc.oneof(anyText(), fc.json(), fc.jsonValue().map((value) => JSON.stringify({ type: 'x', content: value }))), (text) => {
      expect(outcome(text)).to.be.oneOf(['message', 'INVALID_JSON', 'INVALID_MESSAGE', 'TOO_DEEP', 'FORBIDDEN_KEY']);
    }));
  });

  it('is parsed as a message or rejected with a code, whatever its envelope fields contain', () => {
    const fields = ['id', 'type', 'sessionId', 'timestamp', 'replyTo', 'ack', 'topic', 'namespace', 'epoch', 'offset', 'meta', 'content', 'data'];
    const odd = fc.oneof(fc.jsonValue(), fc.constantFrom({ toString: 1, valueOf: 1 }, [{ toString: null, valueOf: null }], { length: -1 }, -0, '\ud800'));
    fc.assert(fc.property(fc.dictionary(fc.constantFrom(...fields), odd), (given) => {
      expect(outcome(JSON.stringify({ type: 'x', ...given }))).to.be.oneOf(['message', 'INVALID_MESSAGE', 'FORBIDDEN_KEY', 'TOO_DEEP']);
    }), { numRuns: 1_000 });
  });

  it('must be JSON', () => {
    for (const text of ['', '{', 'hello', '{"type":"x"', '{\'type\':1}', 'undefined', '\u0000']) expect(outcome(text), text).to.equal('INVALID_JSON');
  });

  it('must be an object with a type of 1 to 64 characters', () => {
    for (const text of ['1', 'null', '"x"', '[]', 'true', '{}', '{"type":1}', '{"type":""}', '{"type":null}', `{"type":"${'x'.repeat(65)}"}`]) {
      expect(outcome(text), text).to.equal('INVALID_MESSAGE');
    }
    expect(outcome(`{"type":"${'x'.repeat(64)}"}`)).to.equal('message');
  });

  it('must have short strings where its envelope has strings', () => {
    for (const field of ['id', 'sessionId', 'replyTo', 'namespace', 'topic']) {
      expect(outcome(`{"type":"x","${field}":1}`), field).to.equal('INVALID_MESSAGE');
      expect(outcome(`{"type":"x","${field}":"${'y'.repeat(129)}"}`), field).to.equal('INVALID_MESSAGE');
      expect(outcome(`{"type":"x","${field}":null}`), field).to.equal('message');
    }
  });

  it('may nest as deep as the limit, including the envelope, and no deeper', () => {
    for (const padding of ['', 'p'.repeat(5_000)]) {
      for (const [open, close] of [['[', ']'], ['{"a":', '}']] as const) {
        const tail = open === '[' ? '' : '1';
        const text = (depth: number) => nested(depth, padding, open, close).replace(open + close, `${open}${tail}${close}`);
        expect(outcome(text(DEPTH)), `${DEPTH} of ${open}`).to.equal('message');
        for (const depth of [DEPTH + 1, 100]) expect(outcome(text(depth)), `${depth} of ${open}`).to.equal('TOO_DEEP');
      }
    }
  });

  it('is refused without a RangeError at any depth', () => {
    for (const depth of [1_000, 10_000, 500_000]) expect(outcome(nested(depth))).to.equal('TOO_DEEP');
    expect(outcome('['.repeat(500_000))).to.be.oneOf(['TOO_DEEP', 'INVALID_JSON']);
  });

  it('does not count brackets inside strings as depth', () => {
    const text = JSON.stringify({ type: 'x', content: ['[{'.repeat(3_000), '\\"[['.repeat(500), '"'.repeat(50)] });

    expect(outcome(text)).to.equal('message');
  });

  it('has no key __proto__, at any depth and in any spelling', () => {
    for (const text of ['{"type":"x","__proto__":1}', '{"type":"x","content":{"a":[{"__proto__":{}}]}}', '{"type":"x","content":{"\\u005f_proto__":1}}']) {
      expect(outcome(text), text).to.equal('FORBIDDEN_KEY');
    }
    expect(outcome('{"type":"x","content":"__proto__"}')).to.equal('message');
  });
});

describe('type names', () => {
  const name = fc.array(fc.stringMatching(/^[a-z]{1,8}$/), { minLength: 1, maxLength: 4 }).map((words) => words.join('-'));

  it('are looked up in one form', () => {
    expect(['join-room', 'join_room', 'join room'].map(canonical)).to.deep.equal(['join-room', 'join-room', 'join-room']);
  });

  it('are converted back from any naming', () => {
    fc.assert(fc.property(name, fc.constantFrom('kebab', 'snake', 'space'), (type, naming) => {
      expect(canonical(named(type, naming))).to.equal(type);
    }));
  });

  it('are written in the configured naming', () => {
    expect(named('room-user-joined', 'kebab')).to.equal('room-user-joined');
    expect(named('room-user-joined', 'snake')).to.equal('room_user_joined');
    expect(named('room-user-joined', 'space')).to.equal('room user joined');
  });
});

describe('close codes', () => {
  it('tell by their range whether to reconnect', () => {
    const expected = (code: number): string => {
      if (code >= 4200 && code < 4300) return 'window';
      if ((code >= 4100 && code < 4200) || [1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015].includes(code)) return 'backoff';
      return 'never';
    };

    for (let code = 1000; code < 5000; code++) expect(reconnectPolicy(code), String(code)).to.equal(expected(code));
  });

  it('of this package are in the range that matches their meaning', () => {
    const { slowConsumer, heartbeatMissed, rateLimited, overloaded, restarting, ...final } = closeCodes;

    expect([slowConsumer, heartbeatMissed, rateLimited, overloaded].map(reconnectPolicy)).to.deep.equal(Array(4).fill('backoff'));
    expect(reconnectPolicy(restarting)).to.equal('window');
    expect(Object.values(final).map(reconnectPolicy)).to.deep.equal(Array(5).fill('never'));
  });
});

describe('Message', () => {
  it('keeps binary content unchanged', () => {
    const content = Buffer.from('abc');

    expect(new Message({ type: 'binary', content }).content).to.equal(content);
  });
});
