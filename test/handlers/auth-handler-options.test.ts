import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { AuthHandler, auth, type AuthHost, type AuthOptions } from '../../handlers/auth-handler.ts';
import { AUTH_DEFAULTS, AUTH_RULES, resolveAuthOptions } from '../../handlers/auth-handler/auth-options.ts';
import { ModuleError } from '../../index.ts';
import { start } from '../support/start.ts';
import { ec, pem, rsa, SECRET, tokenFor } from './signing.ts';

/** The error that a constructor throws. */
function refusal(options: unknown): ModuleError {
  try {
    new AuthHandler(options as AuthOptions);
  } catch (error) {
    return error as ModuleError;
  }
  throw new Error('it was accepted');
}

/** A host that keeps its warnings. */
function listening(): AuthHost & { readonly warnings: string[] } {
  const warnings: string[] = [];
  return { warnings, after: () => () => {}, warn: (text) => warnings.push(text), failed: () => {} };
}

describe('options of auth', () => {
  it('are refused without a way to verify tokens', () => {
    // @ts-expect-error auth cannot be used without a way to verify
    expect(() => auth({})).to.throw(ModuleError, 'option "auth.jwtSecret" must be a secret or a public key, unless "authenticate" is given, but is undefined');
    // @ts-expect-error auth cannot be used without a way to verify
    expect(() => new AuthHandler({ allowAnonymous: true })).to.throw(ModuleError).with.property('code', 'OPTION_INVALID');
    // @ts-expect-error auth cannot be used without options
    expect(() => auth()).to.throw(ModuleError, 'option "auth.jwtSecret" must be a secret or a public key, unless "authenticate" is given, but is undefined');
    expect(() => auth(7 as never)).to.throw(ModuleError, 'option "auth" must be an object, but is 7');
    // Of a variable that is not set: it is a mistake of the environment, and compiles.
    expect(() => auth({ jwtSecret: process.env.NO_SUCH_VARIABLE })).to.throw(ModuleError, 'option "auth.jwtSecret" must be');
  });

  it('are refused by name at the line that gives them, with the nearest option', () => {
    expect(() => auth({ jwtSecret: SECRET, isuer: 'me' } as unknown as AuthOptions)).to.throw(ModuleError, 'option "auth.isuer" does not exist; did you mean "auth.issuer"?');
    expect(() => new AuthHandler({ jwtSecret: SECRET, ['__proto__']: {} } as unknown as AuthOptions)).to.throw(ModuleError).with.property('code', 'OPTION_UNKNOWN');
  });

  for (const [name, meant] of [['secret', 'jwtSecret'], ['publicKey', 'jwtSecret'], ['verify', 'authenticate'], ['timeout', 'authTimeout']] as const) {
    it(`are refused with the name "${name}" of another library, and ours is named`, () => {
      const { code, message } = refusal({ [name]: SECRET });

      expect(code).to.equal('OPTION_UNKNOWN');
      expect(message).to.equal(`option "auth.${name}" does not exist; did you mean "auth.${meant}"?`);
    });
  }

  const wrong: readonly (readonly [what: string, options: Record<string, unknown>, path: string])[] = [
    ['an unknown algorithm', { algorithms: ['HS257'] }, 'auth.algorithms'],
    ['the algorithm none', { algorithms: ['none'] }, 'auth.algorithms'],
    ['no algorithm', { algorithms: [] }, 'auth.algorithms'],
    ['algorithms that are no list', { algorithms: 'HS256' }, 'auth.algorithms'],
    ['algorithms of two families', { algorithms: ['HS256', 'RS256'] }, 'auth.algorithms'],
    ['an algorithm for keys with a secret', { algorithms: ['RS256'] }, 'auth.algorithms'],
    ['a public key without its algorithm', { jwtSecret: pem(rsa.publicKey) }, 'auth.algorithms'],
    ['a public key as a secret', { jwtSecret: pem(rsa.publicKey), algorithms: ['HS256'] }, 'auth.algorithms'],
    ['a public key as a secret, in bytes', { jwtSecret: Buffer.from(pem(rsa.publicKey)), algorithms: ['HS256'] }, 'auth.algorithms'],
    ['two families of one key', { jwtSecret: pem(rsa.publicKey), algorithms: ['RS256', 'PS256'] }, 'auth.algorithms'],
    ['an RSA algorithm with an EC key', { jwtSecret: pem(ec.publicKey), algorithms: ['RS256'] }, 'auth.algorithms'],
    ['an algorithm of another curve', { jwtSecret: pem(ec.publicKey), algorithms: ['ES384'] }, 'auth.algorithms'],
    ['a key that JWT does not know', { jwtSecret: pem(generateKeyPairSync('ed25519').publicKey), algorithms: ['ES256'] }, 'auth.jwtSecret'],
    ['a private key', { jwtSecret: rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }), algorithms: ['RS256'] }, 'auth.jwtSecret'],
    ['a private key as an object', { jwtSecret: rsa.privateKey, algorithms: ['RS256'] }, 'auth.jwtSecret'],
    ['PEM that cannot be read', { jwtSecret: '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', algorithms: ['RS256'] }, 'auth.jwtSecret'],
    ['an empty secret', { jwtSecret: '' }, 'auth.jwtSecret'],
    ['a secret that is a number', { jwtSecret: 123_456 }, 'auth.jwtSecret'],
    ['a secret that is null', { jwtSecret: null }, 'auth.jwtSecret'],
    ['an empty issuer', { issuer: '' }, 'auth.issuer'],
    ['no issuer', { issuer: [] }, 'auth.issuer'],
    ['an empty audience', { audience: [''] }, 'auth.audience'],
    ['an audience that is a pattern', { audience: /a/ }, 'auth.audience'],
    ['a tolerance of more than a minute', { clockTolerance: 60_001 }, 'auth.clockTolerance'],
    ['a negative tolerance', { clockTolerance: -1 }, 'auth.clockTolerance'],
    ['a timeout that is none', { authTimeout: 0 }, 'auth.authTimeout'],
    ['a timeout that is not a number', { authTimeout: NaN }, 'auth.authTimeout'],
    ['a cookie name that is none', { cookie: 'a b' }, 'auth.cookie'],
    ['authenticate that is no function', { authenticate: true }, 'auth.authenticate'],
    ['a table without room', { maxRevocations: 0 }, 'auth.maxRevocations'],
    ['tokens without life', { tokenLife: Infinity }, 'auth.tokenLife'],
    ['neither anonymous clients nor authentication', { requireAuth: false, allowAnonymous: false }, 'auth.requireAuth'],
    ['true as a word', { requireAuth: 'true' }, 'auth.requireAuth'],
  ];
  for (const [what, options, path] of wrong) {
    it(`are refused with ${what}`, () => {
      const { code, details } = refusal({ jwtSecret: SECRET, ...options });

      expect(code).to.equal('OPTION_INVALID');
      expect(details).to.include.keys('given', 'expected').and.to.have.property('path', path);
    });
  }

  it('are rejected if only the application verifies tokens, instead of being ignored', () => {
    for (const name of ['algorithms', 'issuer', 'audience']) {
      const { code, details } = refusal({ authenticate: () => null, [name]: name === 'algorithms' ? ['HS256'] : 'me' });

      expect(code).to.equal('OPTION_INVALID');
      expect(details.path).to.equal(`auth.${name}`);
    }
  });

  it('never show a secret in an error', () => {
    const secrets = ['hunter2-hunter2', 'hunter2 -----BEGIN', 'hunter2 -----BEGIN PRIVATE KEY-----'];

    for (const jwtSecret of secrets) {
      const error = refusal({ jwtSecret, algorithms: ['ES256'] });
      expect([error.message, JSON.stringify(error.details), error.stack].join()).to.not.include('hunter2');
    }
    expect(JSON.stringify(refusal({ jwtSecret: { hunter2: 'hunter2' } }).details)).to.not.include('hunter2');
  });

  it('accept a secret as text, bytes or key, and public keys of both kinds', async () => {
    const ways: readonly (readonly [options: AuthOptions, token: string])[] = [
      [{ jwtSecret: SECRET }, tokenFor()],
      [{ jwtSecret: Buffer.from(SECRET) }, tokenFor()],
      [{ jwtSecret: new Uint8Array(Buffer.from(SECRET)) }, tokenFor()],
      [{ jwtSecret: createSecretKey(Buffer.from(SECRET)) }, tokenFor()],
      [{ jwtSecret: SECRET, algorithms: ['HS384', 'HS512'] }, tokenFor({}, SECRET, { algorithm: 'HS512' })],
      [{ jwtSecret: pem(rsa.publicKey), algorithms: ['RS256'] }, tokenFor({}, rsa.privateKey, { algorithm: 'RS256' })],
      [{ jwtSecret: rsa.publicKey, algorithms: ['RS512', 'RS384'] }, tokenFor({}, rsa.privateKey, { algorithm: 'RS384' })],
      [{ jwtSecret: pem(ec.publicKey), algorithms: ['ES256'] }, tokenFor({}, ec.privateKey, { algorithm: 'ES256' })],
    ];

    for (const [options, token] of ways) {
      const user = await new AuthHandler(options).verify(token);
      expect(user.id).to.equal('u1');
    }
  });

  it('require authentication by default', () => {
    const settle = (options: object) => {
      const { requireAuth, allowAnonymous } = resolveAuthOptions({ jwtSecret: SECRET, ...options });
      return { requireAuth, allowAnonymous };
    };

    expect(settle({})).to.deep.equal({ requireAuth: true, allowAnonymous: false });
    expect(settle({ requireAuth: true })).to.deep.equal({ requireAuth: true, allowAnonymous: false });
    expect(settle({ allowAnonymous: false })).to.deep.equal({ requireAuth: true, allowAnonymous: false });
    expect(settle({ requireAuth: false })).to.deep.equal({ requireAuth: false, allowAnonymous: true });
    expect(settle({ allowAnonymous: true })).to.deep.equal({ requireAuth: false, allowAnonymous: true });
    expect(settle({ allowAnonymous: true, requireAuth: true })).to.deep.equal({ requireAuth: true, allowAnonymous: true });
  });

  it('are not changed', () => {
    const options = Object.freeze({ jwtSecret: SECRET, algorithms: Object.freeze(['HS256'] as const) });

    expect(() => new AuthHandler(options)).to.not.throw();
  });

  describe('and a weak key', () => {
    it('is warned of under 32 bytes, and not from 32 on', () => {
      const host = listening();

      new AuthHandler({ jwtSecret: 'x'.repeat(31) }, host);
      new AuthHandler({ jwtSecret: 'é'.repeat(16) }, host);
      new AuthHandler({ jwtSecret: 'x'.repeat(32) }, host);

      expect(host.warnings).to.have.lengthOf(1);
      expect(host.warnings[0]).to.include('31 bytes').and.to.include('crypto.randomBytes(32)').and.to.not.include('xx');
    });

    it('is warned of when an RSA key is short', () => {
      const host = listening();

      new AuthHandler({ jwtSecret: generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey, algorithms: ['RS256'] }, host);

      expect(host.warnings).to.have.lengthOf(1);
    });

    it('is a warning of the process outside the plugin', async () => {
      const warned = once(process, 'warning');

      new AuthHandler({ jwtSecret: 'your-secret-key', allowAnonymous: true, requireAuth: false });

      const [warning] = await warned as [Error];
      expect(warning.name).to.equal('AuthWarning');
      expect(warning.message).to.include('15 bytes').and.to.not.include('your-secret-key');
    });

    it('is a warning in the log within the plugin', async () => {
      const lines: string[] = [];
      const keep = (line: string) => { lines.push(line); };

      await start({ use: [auth({ jwtSecret: 'short' })], logger: { debug: keep, info: keep, warn: keep, error: keep } });

      expect(lines.filter((line) => line.startsWith('websocket:auth jwtSecret has 5 bytes'))).to.have.lengthOf(1);
    });
  });

  it('are all documented with their defaults', () => {
    const page = readFileSync(new URL('../../docs/auth.md', import.meta.url), 'utf8');
    const [table = ''] = page.split('## Options')[1]!.split('| `requireAuth` | `allowAnonymous` |');
    const rows = new Map([...table.matchAll(/^\| `(\w+)` \| ([^|]*) \|/gm)].map(([, name, value]) => [name!, value!.replaceAll(/[`'_]/g, '')]));

    expect([...rows.keys()]).to.have.members(Object.keys(AUTH_RULES));
    for (const [name, value] of Object.entries(AUTH_DEFAULTS)) expect(rows.get(name), name).to.equal(String(value));
  });
});
