import { expect } from 'chai';
import fc from 'fast-check';
import { fromAuthorization, fromCookie, fromProtocols, fromQuery, tokenIn, tokenOf } from '../../handlers/auth-handler/token-sources.ts';
import { Message } from '../../index.ts';

const ALPHABET = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
const part = fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 1, maxLength: 60 });
const token = fc.tuple(part, part, part).map((parts) => parts.join('.'));
/** Anything, and what looks nearly right. */
const noise = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom('Bearer', 'bearer.', 'token=', ';token=', '?token=', '%', '%E0%A4%A', '"', 'token="', '&token', '=;='));
const noises = fc.array(noise).map((parts) => parts.join(''));

const both = { cookie: 'token', query: true } as const;

describe('tokenOf()', () => {
  it('reads Authorization, of the scheme Bearer in any case', () => {
    expect(fromAuthorization('Bearer a.b.c')).to.equal('a.b.c');
    expect(fromAuthorization('bEARER   a.b.c ')).to.equal('a.b.c');
    for (const other of ['', 'Bearer', 'Basic a.b.c', 'a.b.c', 'Bearera.b.c']) expect(fromAuthorization(other), other).to.equal(undefined);
  });

  it('reads a subprotocol `bearer.<jwt>`, wherever among the real ones', () => {
    expect(fromProtocols('chat, bearer.a.b.c,v2')).to.equal('a.b.c');
    expect(fromProtocols('BEARER.a.b.c')).to.equal('a.b.c');
    for (const other of ['', 'chat', 'bearer', 'xbearer.a.b.c']) expect(fromProtocols(other), other).to.equal(undefined);
  });

  it('reads `token` in the query, and nothing that the logs would not redact', () => {
    expect(fromQuery('/ws?a=1&token=a.b.c#token=no')).to.equal('a.b.c');
    expect(fromQuery('/ws?token=a%2Bb')).to.equal('a+b');
    for (const other of ['/ws', '/ws?', '/ws?token', '/ws?tok%65n=a', '/ws?xtoken=a', '/token=a']) expect(fromQuery(other), other).to.equal(undefined);
  });

  it('reads the cookie of the name, quoted or not, and the first of two', () => {
    expect(fromCookie('a=1; token=a.b.c; token=d.e.f', 'token')).to.equal('a.b.c');
    expect(fromCookie('token="a.b.c"', 'token')).to.equal('a.b.c');
    expect(fromCookie('session=a%3Db', 'session')).to.equal('a=b');
    expect(fromCookie('token=%zz', 'token')).to.equal('%zz');
    for (const other of ['', 'xtoken=a', 'token', 'Token=a']) expect(fromCookie(other, 'token'), other).to.equal('');
  });

  it('prefers any other token to the cookie, and ignores an empty one', () => {
    const headers = { 'authorization': 'Bearer 1', 'sec-websocket-protocol': 'bearer.2', 'cookie': 'token=4' };
    const url = '/ws?token=3';

    expect(tokenOf({ headers, url }, both)).to.equal('1');
    expect(tokenOf({ headers: { ...headers, authorization: 'Basic x' }, url }, both)).to.equal('2');
    expect(tokenOf({ headers: { cookie: 'token=4' }, url }, both)).to.equal('3');
    expect(tokenOf({ headers: { cookie: 'token=4' }, url: '/ws?token=' }, both)).to.equal('4');
    expect(tokenOf({ headers: { cookie: 'token=' }, url: '/ws?token=' }, both)).to.equal(undefined);
    expect(tokenOf({ headers: {} }, both)).to.equal(undefined);
  });

  it('reads neither query nor cookie when these are off', () => {
    const request = { headers: { cookie: 'token=4; sid=5' }, url: '/ws?token=3' };

    expect(tokenOf(request, { cookie: false, query: false })).to.equal(undefined);
    expect(tokenOf(request, { cookie: 'sid', query: false })).to.equal('5');
  });

  it('property: finds any token, whichever way it comes, whatever is around it', () => {
    const name = fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 1, maxLength: 20 });
    const pairs = fc.array(fc.tuple(name.filter((one) => one !== 'token' && one.toLowerCase() !== 'bearer'), part).map(([key, value]) => `${key}=${value}`));
    const around = fc.tuple(pairs, pairs);

    fc.assert(fc.property(token, around, fc.nat(3), fc.constantFrom('Bearer', 'bearer', 'BEARER'), (jwt, [before, after], spaces, scheme) => {
      const pair = [...before, `token=${jwt}`, ...after];
      expect(tokenOf({ headers: { authorization: `${scheme} ${' '.repeat(spaces)}${jwt}` } }, both)).to.equal(jwt);
      expect(tokenOf({ headers: { cookie: pair.join('; ') } }, both)).to.equal(jwt);
      expect(tokenOf({ headers: { cookie: pair.join(';') } }, both)).to.equal(jwt);
      expect(tokenOf({ headers: {}, url: `/ws?${pair.join('&')}` }, both)).to.equal(jwt);
      expect(tokenOf({ headers: { 'sec-websocket-protocol': [...before, `${scheme}.${jwt}`, ...after].join(', ') } }, both)).to.equal(jwt);
    }));
  });

  it('property: never throws, and gives a string or nothing', () => {
    fc.assert(fc.property(noises, noises, noises, noises, (authorization, protocols, cookie, query) => {
      const found = tokenOf({ headers: { authorization, 'sec-websocket-protocol': protocols, cookie }, url: `/ws?${query}` }, both);

      expect(found === undefined || (typeof found === 'string' && found !== '')).to.equal(true);
    }));
  });

  it('property: finds no token where there is none', () => {
    const harmless = fc.string({ unit: fc.constantFrom(...Array.from('abcdfghijlmnpqsuvwxyz0123456789=;&,. "%')) });

    fc.assert(fc.property(harmless, (text) => {
      expect(tokenOf({ headers: { 'authorization': text, 'sec-websocket-protocol': text, 'cookie': text }, url: `/ws?${text}` }, both)).to.equal(undefined);
    }));
  });
});

describe('tokenIn()', () => {
  it('reads the token beside the envelope, or within the content', () => {
    expect(tokenIn(new Message({ type: 'auth', token: 'a' }))).to.equal('a');
    expect(tokenIn(new Message({ type: 'auth', content: { token: 'b' } }))).to.equal('b');
    expect(tokenIn(new Message({ type: 'auth', data: { token: 'c' } }))).to.equal('c');
    expect(tokenIn(new Message({ type: 'auth', token: 'a', content: { token: 'b' } }))).to.equal('a');
  });

  it('property: never throws, whatever the content', () => {
    fc.assert(fc.property(fc.anything(), fc.dictionary(fc.string(), fc.anything()), (content, fields) => {
      tokenIn(new Message({ ...fields, type: 'auth', id: 'i', sessionId: 's', replyTo: 'r', namespace: 'n', topic: 't', timestamp: 't', content }));
    }));
  });
});
