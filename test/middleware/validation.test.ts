import { type } from 'arktype';
import { expect } from 'chai';
import fc from 'fast-check';
import * as v from 'valibot';
import { z } from 'zod';
import { Message, type Connection } from '../../index.ts';
import { validation, type SchemaResult, type StandardSchema, type ValidationOptions } from '../../middleware/validation.ts';
import { pluginSuite } from '../support/plugin-suite.ts';
import { start, type Started } from '../support/start.ts';
import { fastestInTurns, withinAllowance } from '../support/timing.ts';

const nobody = {} as Connection;

/** A server with the layer and a handler that sends the content back. */
async function echo(options?: ValidationOptions): Promise<Started> {
  const started = await start({ use: [validation(options)] });
  started.manager.registerHandler('echo', (message) => ({ type: 'echo', content: message.content }));
  return started;
}

/** What a handler gets of a content, without a server. */
function passed(options: ValidationOptions, content: unknown): any {
  const message = new Message({ type: 'echo', content });
  const layer = validation(options);
  layer.handler(message, nobody, () => undefined);
  return layer.escape ? layer.escape(message.payload) : message.payload;
}

describe('validation', () => {
  it('lets everything through without options', async () => {
    const { connect } = await echo();
    const client = await connect();

    const reply = await client.request({ type: 'echo', content: { text: '<b>Tom & Jerry</b>\u0007' } });

    expect(reply.content).to.deep.equal({ text: '<b>Tom & Jerry</b>\u0007' });
  });

  it('is a built-in', async () => {
    const { connect } = await start({ middleware: ['validation'], builtins: { validation: { maxMessageLength: 10_000 } } });
    const client = await connect();

    const reply = await client.request({ type: 'init' });

    expect(reply.content.features).to.include('validation');
  });

  describe('of lengths', () => {
    it('rejects a message that is too long, and tells by how much', async () => {
      const { connect } = await echo({ maxMessageLength: 200 });
      const client = await connect();

      const reply = await client.request({ type: 'echo', content: { text: 'x'.repeat(200) } });

      expect(reply.content).to.include({ code: 'MESSAGE_TOO_LONG', limit: 200, of: 'message' });
      expect(reply.content.length).to.be.within(230, 300);
    });

    it('rejects a content that is too long, whatever the rest of the message is', async () => {
      const { connect } = await echo({ maxContentLength: 20 });
      const client = await connect();

      const longer = await client.request({ type: 'echo', content: { text: 'x'.repeat(10) } });
      const rightLength = await client.request({ type: 'echo', content: { text: 'x'.repeat(9) } });

      expect(longer.content).to.include({ code: 'MESSAGE_TOO_LONG', length: 21, limit: 20, of: 'content' });
      expect(rightLength.content).to.deep.equal({ text: 'x'.repeat(9) });
    });

    it('counts characters, not bytes', async () => {
      const { connect } = await echo({ maxContentLength: 12 });
      const client = await connect();

      const reply = await client.request({ type: 'echo', content: '字'.repeat(10) });

      expect(reply.content).to.equal('字'.repeat(10));
    });

    it('counts a payload in data or outside the envelope', async () => {
      const { connect } = await echo({ maxContentLength: 20 });
      const client = await connect();

      const inData = await client.request({ type: 'echo', data: { text: 'x'.repeat(10) } });
      const beside = await client.request({ type: 'echo', text: 'x'.repeat(10) });

      expect([inData.content.code, beside.content.code]).to.deep.equal(['MESSAGE_TOO_LONG', 'MESSAGE_TOO_LONG']);
    });

    it('counts the bytes of a binary message', async () => {
      const { manager, connect } = await start({ use: [validation({ maxContentLength: 10, maxMessageLength: 10 })] });
      manager.registerHandler('binary', (message) => ({ type: 'got', content: message.content.length }));
      const client = await connect();

      await client.send(Buffer.alloc(10));
      const got = await client.next('got');
      await client.send(Buffer.alloc(11));
      const refused = await client.next('error');

      expect(got.content).to.equal(10);
      expect(refused.content).to.include({ code: 'MESSAGE_TOO_LONG', length: 11 });
    });

    it('rejects a message that grows when it is parsed and serialized again', async () => {
      const { connect } = await echo({ maxContentLength: 20 });
      const client = await connect();

      await client.send('{"type":"echo","id":"1","content":1e20}');

      expect((await client.next()).content).to.include({ code: 'MESSAGE_TOO_LONG', length: 21, limit: 20 });
    });

    it('never grows more than it allows for', () => {
      const digits = fc.stringMatching(/^-?[1-9]{1,3}(\.\d{1,3})?([eE][+-]?\d{1,2})?$/);
      fc.assert(fc.property(fc.oneof(digits, fc.json()), (text) => {
        expect(JSON.stringify(JSON.parse(text)).length).to.be.at.most(6 * Buffer.byteLength(text));
      }));
      expect(JSON.stringify(JSON.parse('1e20')).length, 'the number that grows the most').to.equal(21);
    });

    it('measures the content that an earlier layer assigned', () => {
      const message = new Message({ type: 'echo', content: 'x' }, 30);
      message.content = 'x'.repeat(100);

      const act = () => validation({ maxContentLength: 50 }).handler(message, nobody, () => undefined);

      expect(act).to.throw().with.property('code', 'MESSAGE_TOO_LONG');
    });

    it('accepts null as content', () => {
      expect(passed({ maxContentLength: 4, maxMessageLength: 100, enableSanitization: true }, null)).to.equal(null);
    });
  });

  describe('of types', () => {
    it('accepts listed types in any spelling', async () => {
      const { manager, connect } = await start({ use: [validation({ allowedTypes: ['join_room', 'leave room'] })] });
      manager.registerHandler('join-room', () => 'joined');
      manager.registerHandler('leave-room', () => 'left');
      const client = await connect();

      const replies = await Promise.all(['join room', 'join-room', 'leave_room'].map((name) => client.request({ type: name })));

      expect(replies.map(({ content }) => content)).to.deep.equal(['joined', 'joined', 'left']);
    });

    it('rejects types that are not listed, including built-in ones', async () => {
      const { connect } = await echo({ allowedTypes: ['echo'] });
      const client = await connect();

      const reply = await client.request({ type: 'ping' });

      expect(reply.content).to.include({ code: 'TYPE_NOT_ALLOWED', type: 'ping' });
    });

    it('rejects the names of Object.prototype', async () => {
      const { connect } = await echo({ allowedTypes: ['echo'], schemas: { echo: z.any() } });
      const client = await connect();

      const replies = await Promise.all(['constructor', 'toString', 'hasOwnProperty', '__proto__'].map((name) => client.request({ type: name })));

      expect(replies.map(({ content }) => content.code)).to.deep.equal(Array(4).fill('TYPE_NOT_ALLOWED'));
    });

    it('lets replies and acknowledgements through, which pass no layer', async () => {
      const { manager, connect } = await echo({ allowedTypes: ['echo'] });
      const client = await connect();
      const [connection] = manager.connections.values();

      const answer = manager.request(connection!.id, { type: 'question' });
      const { id } = await client.next('question');
      void client.send({ type: 'anything', content: 42, replyTo: id });

      expect((await answer).content).to.equal(42);
    });
  });

  describe('that sanitizes', () => {
    const clean = (content: unknown) => passed({ enableSanitization: true, identifiers: [] }, content);

    it('escapes markup and removes control characters except line feed and tab', () => {
      expect(clean('<a href="x" onclick=\'y\'>`&\\/</a>')).to.equal('&lt;a href=&quot;x&quot; onclick=&#x27;y&#x27;&gt;&#96;&amp;&#x5C;&#x2F;&lt;&#x2F;a&gt;');
      expect(clean('a\u0000b\tc\nd\re\u001bf\u007fg\u0085h')).to.equal('ab\tc\ndefgh');
    });

    it('processes nested objects and lists, and changes only strings', () => {
      expect(clean({ list: ['<', { deep: '>' }, 1, null, true], count: 2 })).to.deep.equal({ list: ['&lt;', { deep: '&gt;' }, 1, null, true], count: 2 });
    });

    it('reaches the handler by each name of the payload', async () => {
      const { manager, connect } = await start({ use: [validation({ enableSanitization: true })] });
      manager.registerHandler('names', ({ content, data, fields }) => ({ type: 'names', content: [content.text, data.text, fields.text] }));
      const client = await connect();

      const reply = await client.request({ type: 'names', text: '<' });

      expect(reply.content).to.deep.equal(['&lt;', '&lt;', '&lt;']);
    });

    it('does not change bytes, dates and other objects that a schema creates', () => {
      const made = { at: new Date(0), tags: new Set(['<']), text: '<' };
      const schemas = { echo: z.any().transform(() => made) };

      const result = passed({ enableSanitization: true, schemas }, {});

      expect(result).to.deep.equal({ at: made.at, tags: made.tags, text: '&lt;' });
      expect(result.at).to.equal(made.at);
      expect(made.text, 'the schema\'s own object').to.equal('<');
      expect(clean(Buffer.from('<'))).to.deep.equal(Buffer.from('<'));
    });

    it('rejects a value deeper than any received message can be', () => {
      const circle: Record<string, unknown> = {};
      circle.again = circle;

      expect(() => passed({ enableSanitization: true, schemas: { echo: z.any().transform(() => circle) } }, {})).to.throw().with.property('code', 'TOO_DEEP');
    });

    it('leaves no markup and no control character in any string of any content', () => {
      const strings = (value: unknown): string[] =>
        typeof value === 'string' ? [value] : typeof value === 'object' && value !== null ? Object.values(value).flatMap(strings) : [];

      fc.assert(fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' }), (content) => {
        for (const text of strings(clean(content))) {
          // eslint-disable-next-line no-control-regex -- these must be gone
          expect(text).to.not.match(/[<>"'`\\/\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
          expect(text.replace(/&(amp|lt|gt|quot|#x27|#x2F|#x5C|#96);/g, '')).to.not.include('&');
        }
      }));
    });

    it('keeps the shape of any content, and its text after unescaping', () => {
      const shape = (value: unknown): unknown =>
        Array.isArray(value) ? value.map(shape)
          : typeof value === 'object' && value !== null ? Object.entries(value).map(([key, item]) => [key, shape(item)])
            : typeof value === 'string' ? 'string' : value;

      fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), (content) => {
        expect(shape(clean(content))).to.deep.equal(shape(content));
      }));
    });

    it('HOSTILE 13: creates an own field for every name, and never assigns to a prototype', () => {
      const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__defineGetter__'];
      for (const name of names) {
        const content: unknown = JSON.parse(`{"a":{"${name}":{"polluted":"<"}}}`);

        const { a } = clean(content);

        expect(Object.keys(a)).to.deep.equal([name]);
        expect(Object.getOwnPropertyDescriptor(a, name)?.value).to.deep.equal({ polluted: '&lt;' });
      }
      expect(({} as Record<string, unknown>).polluted).to.equal(undefined);
    });

    for (const evil of ['<', '&', '\u0000', '\\', '&amp;', '\n', 'a', '\ud800']) {
      it(`HOSTILE 14: needs time in proportion for ${JSON.stringify(evil)} over and over, 64 KB of it`, async () => {
        const cleaned = (size: number) => () => clean({ text: evil.repeat(Math.ceil(size / evil.length)) });
        const plain = 'x'.repeat(65_536);

        await withinAllowance(6, async () => {
          const { control, half, whole } = await fastestInTurns(5, {
            control: () => plain.replace(/x/g, () => 'yy'), half: cleaned(32_768), whole: cleaned(65_536),
          });
          return {
            'ms for all of it': { value: whole, allowed: Math.max(10, 5 * control) },
            'ms for all of it, beside half of it': { value: whole, allowed: Math.max(2.5 * half, control) },
          };
        });
      });
    }
  });

  describe('by a schema', () => {
    const libraries: Record<string, StandardSchema> = {
      zod: z.object({ text: z.string().min(1), count: z.coerce.number().default(7), user: z.object({ email: z.email() }).optional() }),
      valibot: v.object({
        text: v.pipe(v.string(), v.minLength(1)),
        count: v.pipe(v.optional(v.union([v.number(), v.string()]), 7), v.transform(Number)),
        user: v.optional(v.object({ email: v.pipe(v.string(), v.email()) })),
      }),
      arktype: type({ 'text': 'string >= 1', 'count': type('number').or(type('string.numeric.parse')).default(7), 'user?': { email: 'string.email' } }),
    };

    for (const [library, schema] of Object.entries(libraries)) {
      it(`accepts a schema of ${library}, and passes its result to the handler`, async () => {
        const { connect } = await echo({ schemas: { echo: schema } });
        const client = await connect();

        const converted = await client.request({ type: 'echo', content: { text: 'a', count: '3' } });
        const defaulted = await client.request({ type: 'echo', content: { text: 'a' } });

        expect([converted.content, defaulted.content]).to.deep.equal([{ text: 'a', count: 3 }, { text: 'a', count: 7 }]);
      });

      it(`tells the sender what ${library} found, by path`, async () => {
        const { connect } = await echo({ schemas: { echo: schema } });
        const client = await connect();

        const { content } = await client.request({ type: 'echo', content: { text: '', user: { email: 'nope' } } });

        expect(content.code).to.equal('VALIDATION_FAILED');
        expect(content.issues.map(({ path }: { path: string }) => path).sort()).to.deep.equal(['text', 'user.email']);
        for (const { message } of content.issues) expect(message).to.be.a('string').that.is.not.empty;
      });
    }

    it('is found by its type in any spelling', async () => {
      const { connect } = await echo({ schemas: { send_chat: z.object({ text: z.string() }) } });
      const client = await connect();

      const reply = await client.request({ type: 'send chat', content: {} });

      expect(reply.content.issues).to.have.lengthOf(1);
    });

    it('names the content when an issue has no path', async () => {
      const { connect } = await echo({ schemas: { echo: z.string() } });
      const client = await connect();

      const reply = await client.request({ type: 'echo', content: 1 });

      expect(reply.content.issues[0].path).to.equal('content');
    });

    it('may be asynchronous', async () => {
      const schema = z.string().refine(async (text) => text === 'known', 'is not known');
      const { connect } = await echo({ schemas: { echo: schema }, enableSanitization: true });
      const client = await connect();

      const known = await client.request({ type: 'echo', content: 'known' });
      const unknown = await client.request({ type: 'echo', content: 'other' });

      expect(known.content).to.equal('known');
      expect(unknown.content.issues).to.deep.equal([{ path: 'content', message: 'is not known' }]);
    });

    it('may return a promise of another library', async () => {
      const refusing: StandardSchema = { '~standard': { validate: () => {
        const thenable = { then: (resolve: (result: SchemaResult) => void) => { resolve({ issues: [{ message: 'never' }] }); } };
        return thenable as Promise<SchemaResult>;
      } } };
      const { connect } = await echo({ schemas: { echo: refusing } });

      const reply = await (await connect()).request({ type: 'echo', content: 'x' });

      expect(reply.content).to.include({ code: 'VALIDATION_FAILED' });
    });

    it('runs before the text is escaped', async () => {
      const { connect } = await echo({ schemas: { echo: z.url() }, enableSanitization: true });
      const client = await connect();

      const reply = await client.request({ type: 'echo', content: 'https://example.com/' });

      expect(reply.content).to.equal('https:&#x2F;&#x2F;example.com&#x2F;');
    });

    it('reports a bounded number of issues, of bounded length', async () => {
      const wordy: StandardSchema = {
        '~standard': { validate: () => ({ issues: Array.from({ length: 1_000 }, () => ({ message: 'm'.repeat(10_000), path: Array(1_000).fill({ key: 'k'.repeat(100) }) })) }) },
      };
      const { connect } = await echo({ schemas: { echo: wordy } });
      const client = await connect();

      const reply = await client.request({ type: 'echo', content: 1 });

      expect(reply.content.issues).to.have.lengthOf(20);
      for (const { path, message } of reply.content.issues) expect(`${path}${message}`.length).to.be.at.most(400);
    });

    it('reveals nothing to the sender when the schema itself fails', async () => {
      const broken: StandardSchema = { '~standard': { validate: () => { throw new Error('secret'); } } };
      const { manager, connect } = await echo({ schemas: { echo: broken } });
      const errors: Error[] = [];
      manager.on('error', (error) => errors.push(error));
      const client = await connect();

      const reply = await client.request({ type: 'echo', content: 1 });

      expect(reply.content.code).to.equal('INTERNAL_ERROR');
      expect(JSON.stringify(reply)).to.not.include('secret');
      expect(errors.map(({ message }) => message)).to.deep.equal(['secret']);
    });
  });

  describe('with wrong options', () => {
    const wrong: readonly (readonly [given: unknown, code: string, text: RegExp])[] = [
      [{ maxMessageLength: '10kb' }, 'OPTION_INVALID', /"validation\.maxMessageLength" must be an integer.*"10kb"/],
      [{ maxContentLength: 0 }, 'OPTION_INVALID', /validation\.maxContentLength/],
      [{ maxContentLength: NaN }, 'OPTION_INVALID', /validation\.maxContentLength/],
      [{ allowedTypes: 'text' }, 'OPTION_INVALID', /a list of message types/],
      [{ schemas: { chat: { parse: () => 1 } } }, 'OPTION_INVALID', /validation\.schemas\.chat.*Standard Schema/],
      [{ enableSanitisation: true }, 'OPTION_UNKNOWN', /did you mean "validation\.enableSanitization"/],
      [null, 'OPTION_INVALID', /"validation" must be an object/],
    ];
    for (const [given, code, text] of wrong) {
      it(`rejects ${JSON.stringify(given)} when it is created`, () => {
        expect(() => validation(given as ValidationOptions)).to.throw(text).with.property('code', code);
      });
    }
  });

  it('exports itself as a property, so that a destructured require() works', () => {
    expect(validation.validation).to.equal(validation);
  });
});

pluginSuite('validation', () => validation({ maxMessageLength: 1_000, enableSanitization: true, schemas: { ping: z.any() } }));
