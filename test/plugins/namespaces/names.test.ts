import { expect } from 'chai';
import fc from 'fast-check';
import { NamespaceManager, type NamespaceOptions } from '../../../plugins/namespaces.ts';
import { code, enter, serve } from './entering.ts';

describe('the name of a namespace', () => {
  for (const name of ['/chat', '/Chat', '/v1/chat', '/_internal', '/a-b_c.d', '/0', `/${'x'.repeat(127)}`, '/constructor']) {
    it(`may be ${name.slice(0, 20)}`, () => {
      const manager = new NamespaceManager();

      expect(manager.createNamespace(name).name).to.equal(name);
    });
  }

  const wrong = [
    '', '/', 'chat', '//', '/chat/', '/a//b', '/../b', '/-a', '/a b', '/чат', '/сhat', '/chat\n', '/chat\u0000', '/chat\u202e', '/ch\u0430t', '/ｃhat', '/a#b', '/a?b=1',
    '__proto__', 'constructor', `/${'x'.repeat(10_240)}`, undefined, null, 1, {}, ['/chat'],
  ];
  for (const name of wrong) {
    it(`may not be ${JSON.stringify([name]).slice(1, 40)}`, () => {
      const manager = new NamespaceManager();

      expect(() => manager.createNamespace(name as string)).to.throw().with.property('code', 'NAMESPACE_NAME_INVALID');
      expect(manager.names).to.deep.equal([]);
    });
  }

  it('is never made by a client, whatever it sends', async () => {
    const { manager, connect } = await serve();
    manager.of('/chat');
    const client = await connect();

    for (const name of ['__proto__', 'constructor', '/__proto__', '/сhat', '/chat\u0000', 'x'.repeat(128), ' ', '']) {
      expect(await code(enter(client, name)), name).to.equal('NAMESPACE_UNKNOWN');
    }
    for (const name of ['x'.repeat(10_240), 1, {}, ['/chat']]) expect(await code(enter(client, name as string))).to.equal('INVALID_MESSAGE');
    await fc.assert(fc.asyncProperty(fc.string({ maxLength: 128, unit: 'binary' }), fc.jsonValue(), async (name, content) => {
      const reply = await enter(client, name, content);
      expect(reply.content.code).to.be.oneOf(['NAMESPACE_UNKNOWN', 'UNKNOWN_TYPE', 'FORBIDDEN_KEY']);
    }), { numRuns: 50 });

    expect(manager.api('namespaces').names).to.deep.equal(['/chat']);
  });
});

describe('the options of a namespace', () => {
  const wrong: readonly (readonly [given: unknown, code: string, text: RegExp])[] = [
    [{ auth: { roles: 'admin' } }, 'OPTION_INVALID', /"\/chat\.auth\.roles" must be a list of names of roles/],
    [{ auth: { required: 1 } }, 'OPTION_INVALID', /"\/chat\.auth\.required"/],
    [{ rateLimit: { messagesPerMinute: 0 } }, 'OPTION_INVALID', /messagesPerMinute/],
    [{ rateLimit: { messagesPerMinute: NaN } }, 'OPTION_INVALID', /messagesPerMinute/],
    [{ rateLimit: { connectionsPerIp: 1 } }, 'OPTION_UNKNOWN', /did you mean "\/chat\.rateLimit\.connectionsPerIP"/],
    [{ features: [''] }, 'OPTION_INVALID', /"\/chat\.features"/],
    [{ maxRooms: 0 }, 'OPTION_INVALID', /"\/chat\.maxRooms"/],
    ['public', 'OPTION_INVALID', /"\/chat" must be an object/],
  ];
  for (const [given, expected, text] of wrong) {
    it(`may not be ${JSON.stringify(given)}`, () => {
      expect(() => new NamespaceManager().createNamespace('/chat', given as NamespaceOptions)).to.throw(text).with.property('code', expected);
    });
  }
});
