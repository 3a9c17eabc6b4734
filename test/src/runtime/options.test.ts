import { createServer } from 'node:http';
import { expect } from 'chai';
import fc from 'fast-check';
import { WebSocketModule, type Options } from '../../../src/index.ts';
import { DEFAULTS, describe as short, resolveOptions } from '../../../src/runtime/options.ts';

const resolve = (options: object) => resolveOptions({ port: 0, ...options });

/** An object in which the value stands at a dotted path. */
const at = (path: string, value: unknown): object => path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as object;
const read = (object: unknown, path: string): unknown => path.split('.').reduce((inner, key) => (inner as Record<string, unknown>)[key], object);

function complaint(options: unknown): { code: string; message: string } | undefined {
  try {
    resolveOptions(options as Options);
    return undefined;
  } catch (error) {
    return error as { code: string; message: string };
  }
}

const LIMITS = ['maxConnections', 'maxPayload', 'maxDepth', 'handshakeTimeout', 'setupTimeout', 'drainTimeout', 'heartbeat.interval', 'heartbeat.timeout',
  'message.timeout', 'message.concurrency', 'message.maxWaiting', 'message.maxInvalid', 'outbox.limit', 'production.maxPayload'];
const COUNTS = ['message.maxRetries', 'port'];
const TEXTS = ['path', 'host', 'nodeId', 'naming', 'logLevel', 'outbox.policy', 'browserRefusals'];
const LISTS = ['trustProxy', 'keepHeaders', 'protocols', 'plugins', 'middleware', 'handlers'];
const GROUPS = ['heartbeat', 'message', 'outbox', 'production', 'builtins'];
const OBJECTS = ['server', 'adapter', 'logger', ...GROUPS];

/** What people write where a number belongs. */
const odd = fc.oneof(
  fc.constantFrom<unknown>('64kb', '10s', '1e3', '1000', 'Infinity', '', ' 5 ', NaN, Infinity, -Infinity, -1, -0.5, 0, 0.5, 1.5, 2 ** 31, 2 ** 53, 1e308, null, true, false, 5n, Symbol('s'), new Number(5)),
  fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true, withMap: true }),
);

describe('options', () => {
  it('have every default when none is given', () => {
    const { port, ...settings } = resolve({});

    expect(port).to.equal(0);
    expect(settings).to.deep.equal({ ...DEFAULTS });
    expect(settings).to.deep.include({ path: '/ws', maxConnections: 1_000, maxPayload: 1_048_576, maxDepth: 32, heartbeat: { interval: 30_000, timeout: 5_000 } });
    expect(settings.message).to.deep.include({ timeout: 30_000, maxRetries: 3, concurrency: 1, maxWaiting: 64 });
    expect(settings.outbox).to.deep.equal({ limit: 1_048_576, policy: 'disconnect', totalLimit: 134_217_728 });
  });

  it('keep the other defaults of a group when one option of it is given', () => {
    expect(resolve({ heartbeat: { interval: 100 } }).heartbeat).to.deep.equal({ interval: 100, timeout: 5_000 });
    expect(resolve({ message: { timeout: 5 } }).message).to.include({ timeout: 5, maxRetries: 3 });
  });

  it('treat undefined as not given', () => {
    for (const path of [...LIMITS, ...TEXTS, ...LISTS, ...GROUPS]) expect(complaint({ port: 0, ...at(path, undefined) }), path).to.equal(undefined);
    expect(resolve({ maxPayload: undefined }).maxPayload).to.equal(1_048_576);
  });

  it('are frozen, and the object of the caller is not changed', () => {
    const list = Object.freeze(['10.0.0.0/8']);
    const given = Object.freeze({ port: 0, trustProxy: list, message: Object.freeze({ timeout: 5 }) });

    const settings = resolveOptions(given);

    expect(given).to.deep.equal({ port: 0, trustProxy: ['10.0.0.0/8'], message: { timeout: 5 } });
    for (const part of [settings, settings.message, settings.heartbeat, settings.outbox, settings.trustProxy]) expect(Object.isFrozen(part)).to.be.true;
  });

  it('do not follow later changes of the caller\'s lists', () => {
    const protocols = ['a'];
    const settings = resolve({ protocols });

    protocols.push('b');

    expect(settings.protocols).to.deep.equal(['a']);
  });

  it('need a server or a port', () => {
    expect(complaint({})).to.include({ code: 'OPTION_INVALID' }).and.property('message').that.includes('"port"');
    expect(complaint(undefined)).to.have.property('code', 'OPTION_INVALID');
    expect(complaint({ server: createServer() })).to.equal(undefined);
  });

  it('map the production settings to their groups', () => {
    expect(resolve({ production: { enableCompression: true, maxPayload: 5 }, middleware: ['validation'] })).to.deep.include({ middleware: ['compression', 'validation'], maxPayload: 5 });
    expect(resolve({ production: { enableCompression: true }, middleware: ['validation', 'compression'] }).middleware).to.deep.equal(['compression', 'validation']);
    expect(resolve({ production: { perMessageDeflate: { threshold: 5 } } }).builtins).to.deep.equal({ compression: { threshold: 5 } });
    expect(resolve({ production: { perMessageDeflate: false, enableCompression: true } }).middleware).to.deep.equal([]);
    expect(resolve({ production: { maxPayload: 5 }, maxPayload: 9 }).maxPayload).to.equal(9);
  });
});

describe('HOSTILE 18: bad options', () => {
  it('HOSTILE 18: create() throws unless a limit is a whole number above zero and is enforced', () => {
    fc.assert(fc.property(fc.constantFrom(...LIMITS), odd, (path, value) => {
      fc.pre(value !== undefined);
      const wrong = complaint({ port: 0, ...at(path, value) });
      const good = typeof value === 'number' && Number.isInteger(value) && value > 0;
      if (wrong) {
        expect(wrong.code, `${path}: ${short(value)}`).to.equal('OPTION_INVALID');
        expect(wrong.message).to.include(`"${path}"`);
      } else {
        expect(good, `${path} took ${short(value)}`).to.be.true;
        const settings = resolve(at(path, value));
        expect(read(settings, path === 'production.maxPayload' ? 'maxPayload' : path)).to.equal(value);
      }
    }), { numRuns: 3_000 });
  });

  it('HOSTILE 18: create() throws unless a count is a whole number of at least zero', () => {
    fc.assert(fc.property(fc.constantFrom(...COUNTS), odd, (path, value) => {
      fc.pre(value !== undefined);
      const wrong = complaint({ port: 0, ...at(path, value) });
      if (wrong) expect(wrong.code).to.equal('OPTION_INVALID');
      else expect(typeof value === 'number' && Number.isInteger(value) && value >= 0, `${path} took ${short(value)}`).to.be.true;
    }), { numRuns: 1_000 });
  });

  it('HOSTILE 18: accepts ordinary limits', () => {
    for (const path of [...LIMITS, ...COUNTS]) for (const value of [10, 50, 100]) expect(complaint({ port: 0, ...at(path, value) }), `${path} ${value}`).to.equal(undefined);
  });

  it('HOSTILE 18: create() throws unless a text option is a string', () => {
    fc.assert(fc.property(fc.constantFrom(...TEXTS), odd, (path, value) => {
      fc.pre(value !== undefined && typeof value !== 'string');
      expect(complaint({ port: 0, ...at(path, value) }), `${path} took ${short(value)}`).to.have.property('code', 'OPTION_INVALID');
    }), { numRuns: 1_000 });
  });

  it('HOSTILE 18: create() throws unless a list option is a list of strings', () => {
    fc.assert(fc.property(fc.constantFrom(...LISTS), fc.oneof(odd, fc.array(odd, { minLength: 1 })), (path, value) => {
      fc.pre(value !== undefined && !(Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')));
      expect(complaint({ port: 0, ...at(path, value) }), `${path} took ${short(value)}`).to.have.property('code', 'OPTION_INVALID');
    }), { numRuns: 1_000 });
  });

  it('HOSTILE 18: create() throws unless an object option is an object', () => {
    fc.assert(fc.property(fc.constantFrom(...OBJECTS), odd, (path, value) => {
      fc.pre(value !== undefined && (typeof value !== 'object' || value === null || Array.isArray(value)) && !(path === 'heartbeat' && value === false));
      expect(complaint({ port: 0, ...at(path, value) }), `${path} took ${short(value)}`).to.have.property('code', 'OPTION_INVALID');
    }), { numRuns: 1_000 });
  });

  it('HOSTILE 18: a group must be a plain object, because limits in a Map would be ignored', () => {
    for (const path of GROUPS) {
      for (const value of [new Map([['timeout', 5]]), new Date(), /x/, new Set(['limit'])]) {
        expect(complaint({ port: 0, ...at(path, value) }), `${path} took ${value.constructor.name}`).to.have.property('code', 'OPTION_INVALID');
      }
    }
  });

  const bad: readonly (readonly [path: string, ...values: unknown[]])[] = [
    ['path', 'ws', '', '/a?b', '/a#b', '/a b', `/${'x'.repeat(300)}`],
    ['host', ''],
    ['port', -1, 65_536, 3.5, '3001'],
    ['nodeId', '', 'a.b', 'a b', 'x'.repeat(65), 'ü'],
    ['naming', 'camel', 'KEBAB'],
    ['logLevel', 'trace', 'warning', ''],
    ['outbox.policy', 'drop', 'block', ''],
    ['origins', 'https://a.com', ['a.com'], ['https://a.com/'], ['https://a.com/x'], ['null'], ['*'], [''], true],
    ['trustProxy', ['10.0.0.0/33'], ['10.0.0.0/'], ['10.0.0'], ['::/129'], ['10.0.0.0/8/8'], ['10.0.0.0/-1'], ['localhost'], '10.0.0.0/8', true],
    ['keepHeaders', ['a b'], ['a:b'], ['']],
    ['protocols', ['a b'], ['a,b'], [''], ['ü']],
    ['heartbeat', true, 30_000, '30s', null],
    ['heartbeat.interval', 0, 9, 2 ** 31],
    ['server', {}, { listen: () => {} }, 3001],
    ['adapter', {}, { start: () => {} }, 'redis'],
    ['logger', {}, console.log, { info: () => {} }],
    ['production.enableCompression', 'yes', 1],
    ['production.perMessageDeflate', 'yes', 1, []],
  ];
  for (const [path, ...values] of bad) {
    it(`HOSTILE 18: ${path} is rejected when it is ${values.map((value) => short(value)).join('; ')}`, () => {
      for (const value of values) {
        const wrong = complaint({ port: 0, ...at(path, value) });
        expect(wrong, short(value)).to.have.property('code', 'OPTION_INVALID');
        expect(wrong!.message).to.include(`"${path}"`).and.include(short(value));
      }
    });
  }

  it('HOSTILE 18: rejects an unknown name, at the top level and in a group', () => {
    fc.assert(fc.property(fc.constantFrom('', 'heartbeat.', 'message.', 'outbox.', 'production.'), fc.string({ minLength: 1 }), (group, name) => {
      fc.pre(!name.includes('.') && ![...LIMITS, ...COUNTS, ...TEXTS, ...LISTS, ...OBJECTS, 'origins', 'production.enableCompression', 'production.perMessageDeflate'].includes(group + name) && name !== '__proto__');
      const wrong = complaint({ port: 0, ...at(group + name, 1) });
      expect(wrong, group + name).to.have.property('code', 'OPTION_UNKNOWN');
      expect(wrong!.message).to.include(`"${group}${name}"`);
    }), { numRuns: 500 });
  });

  it('HOSTILE 18: names of Object.prototype, dotted names and empty names are unknown', () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty', 'heartbeat.interval', '']) expect(complaint({ port: 0, [name]: 1 }), name).to.have.property('code', 'OPTION_UNKNOWN');
    expect(complaint(JSON.parse('{"port":0,"__proto__":{"maxPayload":0}}'))).to.have.property('code', 'OPTION_UNKNOWN');
    expect(complaint(JSON.parse('{"port":0,"message":{"__proto__":{"timeout":0}}}'))).to.have.property('code', 'OPTION_UNKNOWN');
  });

  it('HOSTILE 18: suggests the nearest name for a misspelt one', () => {
    for (const [wrong, right] of [['maxConection', 'maxConnections'], ['maxPayLoad', 'maxPayload'], ['hearbeat', 'heartbeat'], ['heartbeat.intervall', 'heartbeat.interval'], ['message.maxretrys', 'message.maxRetries'], ['outbox.limits', 'outbox.limit'], ['trustproxy', 'trustProxy']] as const) {
      expect(complaint({ port: 0, ...at(wrong, 5) })!.message, wrong).to.include(`did you mean "${right}"`);
    }
  });

  it('HOSTILE 18: suggests the right name for each name that lacks a letter', () => {
    for (const name of [...LIMITS, ...TEXTS, ...LISTS].filter((one) => one.length > 4)) {
      const misspelt = name.slice(0, -2) + name.slice(-1);
      expect(complaint({ port: 0, ...at(misspelt, 5) })!.message, misspelt).to.include('did you mean');
    }
  });

  it('HOSTILE 18: create() throws the same', () => {
    expect(() => WebSocketModule.create({ port: 0, maxPayload: '64kb' as unknown as number })).to.throw('"maxPayload"').with.property('code', 'OPTION_INVALID');
    expect(() => WebSocketModule.create({ port: 0, maxpayload: 5 } as unknown as Options)).to.throw('did you mean "maxPayload"').with.property('code', 'OPTION_UNKNOWN');
  });

  it('HOSTILE 18: rejects options for a built-in that does not exist, and names it', () => {
    const builtins = { 'rate-limit': async () => () => ({ type: 'message' as const, handler: () => 1 }) };

    expect(() => WebSocketModule.create({ port: 0, builtins: { rateLimt: { max: 5 } } }, builtins)).to.throw('rateLimt').with.property('code').that.is.oneOf(['OPTION_UNKNOWN', 'BUILTIN_UNKNOWN']);
    expect(() => WebSocketModule.create({ port: 0, builtins: { rateLimit: { max: 5 } } }, builtins)).to.not.throw();
  });
});
