import { type Address, handshake, type HandshakeOptions } from '../support/raw.ts';

/** A request that is no honest handshake. */
export interface Attack {
  readonly name: string;
  readonly bytes: (address: Address) => string;
  /** The statuses that are right; `dropped` where Node ends the connection without an answer. */
  readonly answers: readonly (number | 'dropped')[];
}

type Header = Readonly<Record<string, string | undefined>>;

const BAD = [400];
/** Strange, but within what the standard lets pass. */
const ANY = [101, 400, 403, 404, 405, 413, 414, 426, 431];

const request = (name: string, answers: Attack['answers'], options: HandshakeOptions): Attack =>
  ({ name, answers, bytes: (address) => handshake(address, options) });
const header = (name: string, answers: Attack['answers'], headers: Header): Attack => request(name, answers, { headers });
const lines = (name: string, answers: Attack['answers'], ...more: string[]): Attack => request(name, answers, { lines: more });
const path = (target: string, answers: Attack['answers']): Attack =>
  ({ name: `the target ${target.slice(0, 40)}`, answers, bytes: (address) => handshake({ ...address, path: target }) });
const text = (name: string, answers: Attack['answers'], bytes: string): Attack => ({ name, answers, bytes: () => bytes });

const targets: readonly Attack[] = [
  path('//[', BAD), path('http://[', BAD), path('ws', BAD), path('\\ws', BAD), path('', BAD), path('/ws /ws', BAD),
  path('http://%zz/ws', BAD), path('//%/ws', [400, 404]), path('*', [400, 404]), path('/ws\u0000', BAD), path('/ws\t', BAD),
  path('/ws%', [400, 404]), path('/ws%00', [400, 404]), path('/%c0%ae%c0%ae/ws', [400, 404]), path('/ws%2f..%2fadmin', [400, 404]),
  path('/nowhere', [404]), path('/constructor', [404]), path('/__proto__', [404]), path('/wsx', [404]), path('/WS', [404]),
  path('/ws?%', ANY), path('/ws?__proto__[polluted]=1&constructor.prototype.polluted=1', ANY), path(`/ws?${'a&'.repeat(5_000)}`, ANY),
  path('/ws#fragment', ANY), path('/ws;v=1', ANY), path('/./ws', ANY), path('/x/../ws', ANY), path('//ws', ANY), path('http://127.0.0.1/ws', ANY),
  path(`/ws?${'a'.repeat(65_536)}`, [414, 431]),
];

const versions: readonly Attack[] = [
  request('HTTP/1.0', BAD, { version: 'HTTP/1.0' }), request('HTTP/1.9', BAD, { version: 'HTTP/1.9' }),
  request('HTTP/2.0', BAD, { version: 'HTTP/2.0' }), request('HTTP/9', BAD, { version: 'HTTP/9' }),
  request('no version', BAD, { version: '' }), request('another protocol', BAD, { version: 'RTSP/1.0' }),
  text('the HTTP/2 preface', BAD, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  text('HTTP/0.9', [400, 404, 426], 'GET /ws\r\n\r\n'),
  text('a TLS hello', BAD, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'),
  text('a Redis command', BAD, '*1\r\n$4\r\nPING\r\n'),
  text('frames without a handshake', BAD, '\x81\x85\x00\x00\x00\x00hello'),
  // No WebSocket is asked for, so these are plain requests, which the server's own listener answers (RFC 9110 7.8).
  header('h2c', [400, 404, 426], { Upgrade: 'h2c', Connection: 'Upgrade, HTTP2-Settings', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' }),
  header('Upgrade to two protocols', ANY, { Upgrade: 'h2c, websocket' }),
  header('Upgrade to something unknown', [400, 404, 426], { Upgrade: 'constructor' }),
  header('Upgrade to nothing', [400, 404, 426], { Upgrade: '' }),
  header('no Upgrade header', [400, 404, 426], { Upgrade: undefined }),
  header('no upgrade in Connection', [400, 404, 426], { Connection: 'keep-alive' }),
  ...['POST', 'PUT', 'OPTIONS', 'DELETE', 'HEAD', 'PATCH', 'TRACE'].map((method) => request(method, [400, 405], { method })),
  request('CONNECT', [400, 405, 'dropped'], { method: 'CONNECT' }), request('get', BAD, { method: 'get' }),
];

const framing: readonly Attack[] = [
  header('chunked', BAD, { 'Transfer-Encoding': 'chunked' }), header('identity', BAD, { 'Transfer-Encoding': 'identity' }),
  header('gzip, chunked', BAD, { 'Transfer-Encoding': 'gzip, chunked' }), header('chunked twice', BAD, { 'Transfer-Encoding': 'chunked, chunked' }),
  header('Transfer-Encoding and Content-Length', BAD, { 'Transfer-Encoding': 'chunked', 'Content-Length': '5' }),
  header('Transfer-Encoding with a tab', BAD, { 'Transfer-Encoding': '\tchunked' }),
  header('a body', ANY, { 'Content-Length': '4' }), header('a negative length', BAD, { 'Content-Length': '-1' }),
  header('a length in hex', BAD, { 'Content-Length': '0x10' }), lines('two lengths', BAD, 'Content-Length: 1', 'Content-Length: 2'),
  header('Expect', ANY, { Expect: '100-continue' }),
];

const syntax: readonly Attack[] = [
  lines('a folded header', ANY, 'X-Folded: a', ' b'), lines('a bare CR in a value', BAD, 'X-A: a\rX-B: b'),
  lines('NUL in a value', BAD, 'X-A: a\u0000b'), lines('ESC in a value', ANY, 'X-A: \u001b[31m'),
  lines('a space before the colon', BAD, 'X-A : b'), lines('a header without a colon', BAD, 'nonsense'),
  lines('a header without a name', BAD, ': x'), lines('letters that are no token', BAD, 'X(A): b'),
  lines('a header named __proto__', ANY, '__proto__: polluted', 'constructor: polluted'),
  lines('1,500 headers', ANY, ...Array.from({ length: 1_500 }, (_, index) => `x${index}:`)),
  lines('3,000 headers', [400, 413, 431], ...Array.from({ length: 3_000 }, (_, index) => `x-${index}: y`)),
  lines('20 KB of cookies', [400, 413, 431], `Cookie: ${'a=b; '.repeat(4_000)}`), lines('8 KB of cookies', ANY, `Cookie: ${'a=b; '.repeat(1_600)}`),
  header('no Host', BAD, { Host: undefined }), header('an empty Host', ANY, { Host: '' }), header('half an address as Host', ANY, { Host: '[::1' }),
  header('a Host with a space', ANY, { Host: 'a b' }), lines('two Hosts', ANY, 'Host: other.example'),
  header('half an address as Origin', [400, 403], { Origin: 'http://[' }), header('8 KB of Origin', [400, 403], { Origin: `http://${'a'.repeat(8_192)}` }),
];

const fields: readonly Attack[] = [
  lines('two keys', BAD, 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='), header('no key', BAD, { 'Sec-WebSocket-Key': undefined }),
  header('an empty key', BAD, { 'Sec-WebSocket-Key': '' }), header('a short key', BAD, { 'Sec-WebSocket-Key': 'YWJj' }),
  header('a long key', BAD, { 'Sec-WebSocket-Key': `${'A'.repeat(8_192)}==` }), header('a key not in base64', BAD, { 'Sec-WebSocket-Key': `${'!'.repeat(22)}==` }),
  ...['', '0', '7', '12', '14', '99', '-13', '13, 8', 'abc', 'NaN', '__proto__', '9'.repeat(400)].map((version) =>
    header(`version ${version.slice(0, 20)}`, [400, 426], { 'Sec-WebSocket-Version': version })),
  header('no version', [400, 426], { 'Sec-WebSocket-Version': undefined }),
  header('an empty subprotocol', BAD, { 'Sec-WebSocket-Protocol': '' }), header('a comma as subprotocol', BAD, { 'Sec-WebSocket-Protocol': ',' }),
  header('the same subprotocol twice', BAD, { 'Sec-WebSocket-Protocol': 'a, a' }),
  header('a subprotocol that is no token', BAD, { 'Sec-WebSocket-Protocol': 'a@b' }),
  header('a subprotocol of 8 KB', ANY, { 'Sec-WebSocket-Protocol': 'p'.repeat(8_192) }),
  header('1,000 subprotocols', ANY, { 'Sec-WebSocket-Protocol': Array.from({ length: 1_000 }, (_, index) => `p${index}`).join() }),
  header('subprotocols of every object', ANY, { 'Sec-WebSocket-Protocol': '__proto__, constructor, toString' }),
  header('a window of 999 bits', ANY, { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits=999' }),
  header('an extension of 8 KB', ANY, { 'Sec-WebSocket-Extensions': `x${' ;'.repeat(4_096)}` }),
  header('an extension with an open quote', ANY, { 'Sec-WebSocket-Extensions': 'permessage-deflate; a="' }),
  header('an extension named __proto__', ANY, { 'Sec-WebSocket-Extensions': '__proto__; __proto__=1, permessage-deflate; __proto__' }),
];

const honest = (address: Address) => handshake(address);
const sequences: readonly Attack[] = [
  { name: 'two handshakes in one write', answers: ANY, bytes: (address) => honest(address).repeat(2) },
  { name: 'a handshake after a plain request', answers: [101, 200, 404, 426], bytes: (address) => `GET / HTTP/1.1\r\nHost: x\r\n\r\n${honest(address)}` },
  { name: 'a plain request after a handshake', answers: ANY, bytes: (address) => `${honest(address)}GET /admin HTTP/1.1\r\nHost: x\r\n\r\n` },
  { name: 'frames right behind the handshake', answers: [101], bytes: (address) => `${honest(address)}\x89\x80\x00\x00\x00\x00` },
];

/** Row 3: everything that a handshake can get wrong, each with what it must be answered. */
export const attacks: readonly Attack[] = [...targets, ...versions, ...framing, ...syntax, ...fields, ...sequences];
