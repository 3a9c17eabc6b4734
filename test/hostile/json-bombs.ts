/** A message that is legal JSON at most, and what it must be answered. */
export interface Bomb {
  readonly name: string;
  readonly text: string;
  /** An error code, or `echo` where it is a message like another. */
  readonly answer: string;
}

const echo = (content: string) => `{"type":"echo","content":${content}}`;
const lists = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const objects = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
const bomb = (name: string, text: string, answer: string): Bomb => ({ name, text, answer });
const deep = (depth: number): Bomb[] => [
  bomb(`lists ${depth} deep`, echo(lists(depth)), 'TOO_DEEP'), bomb(`objects ${depth} deep`, echo(objects(depth)), 'TOO_DEEP'),
];

const wide = (count: number) => `{${Array.from({ length: count }, (_, index) => `"k${index}":0`).join()}}`;
/** Keys that look like indexes make V8 keep an object as an array with holes. */
const sparse = (count: number) => `{${Array.from({ length: count }, (_, index) => `"${index * 7_919}":0`).join()}}`;

/** What a limit on depth, width or length must answer, and answer soon. */
export const heavy: readonly Bomb[] = [
  ...[33, 100, 1_000, 5_000].flatMap(deep),
  bomb('lists 30,000 deep, 60 KB', echo(lists(30_000)), 'TOO_DEEP'),
  bomb('objects 10,000 deep, 60 KB', echo(objects(10_000)), 'TOO_DEEP'),
  bomb('lists that never close, 64 KB', '['.repeat(65_000), 'INVALID_JSON|TOO_DEEP'),
  bomb('objects that never close, 64 KB', '{"a":'.repeat(13_000), 'INVALID_JSON|TOO_DEEP'),
  bomb('a string that never closes, 64 KB', `"${'a'.repeat(65_000)}`, 'INVALID_JSON'),
  bomb('spaces, 64 KB', ' '.repeat(65_000), 'INVALID_JSON'),
  bomb('spaces around a message, 64 KB', `${' '.repeat(32_000)}${echo('1')}${' '.repeat(32_000)}`, 'echo'),
  bomb('a number of 60,000 digits', echo('1'.repeat(60_000)), 'echo'),
  bomb('a fraction of 60,000 digits', echo(`0.${'1'.repeat(60_000)}`), 'echo'),
  bomb('an exponent of 60,000 digits', echo(`1e${'9'.repeat(60_000)}`), 'echo'),
  bomb('5,000 keys', echo(wide(5_000)), 'echo'),
  bomb('4,000 keys that are numbers', echo(sparse(4_000)), 'echo'),
  bomb('escapes only, 60 KB', echo(`"${'\\u0041'.repeat(10_000)}"`), 'echo'),
  bomb('backslashes only, 60 KB', echo(`"${'\\\\'.repeat(30_000)}"`), 'echo'),
  bomb('a key of 60 KB', echo(`{"${'k'.repeat(60_000)}":1}`), 'echo'),
  bomb('a type of 60 KB', `{"type":"${'t'.repeat(60_000)}"}`, 'INVALID_MESSAGE'),
  bomb('an id of 60 KB', `{"type":"echo","id":"${'i'.repeat(60_000)}"}`, 'INVALID_MESSAGE'),
  bomb('the same key 5,000 times', `{${'"type":"x",'.repeat(5_000)}"type":"echo","content":1}`, 'echo'),
];

/** Past 64 KB, where a server allows as much. */
export const huge: readonly Bomb[] = [
  ...[100_000].flatMap(deep),
  bomb('lists 500,000 deep', echo(lists(500_000)), 'TOO_DEEP'),
  bomb('500,000 lists that never close', '['.repeat(500_000), 'INVALID_JSON|TOO_DEEP'),
  bomb('99,000 keys', echo(wide(99_000)), 'echo'),
  bomb('200,000 keys', echo(wide(200_000)), 'TOO_MANY_VALUES'),
  bomb('a key of 1 MB', echo(`{"${'k'.repeat(1_000_000)}":1}`), 'echo'),
];

const broken = ['', ' ', '{', '}', '[', '"', 'nul', 'undefined', 'NaN', 'Infinity', '-', '01', '1.', '.5', '+1', '0x1', '1e', '\'a\'', '{a:1}', '{"a":1,}',
  '[1,]', '{"a"}', '{"a":}', '{,}', '{"a":1}{"b":2}', '{"type":"echo"}x', '/**/{"type":"echo"}', '// x', '\ufeff{"type":"echo"}', '{"type":"ec\nho"}',
  '{"type":"\\x41"}', '{"type":"\\u00"}', '{"type":"\\ud8"}', '{"type":"echo"\u0000}', '\u0000', '{"type":"echo"\u00a0}'];
const shapeless = ['null', 'true', 'false', '0', '-0', '1e999', '"text"', '""', '[]', '[{"type":"echo"}]', '{}', '{"type":null}', '{"type":1}', '{"type":true}',
  '{"type":{}}', '{"type":[]}', '{"type":["echo"]}', '{"type":{"toString":"echo"}}', '{"type":""}', `{"type":"${'t'.repeat(65)}"}`, '{"Type":"echo"}',
  '{"type":"echo","id":1}', '{"type":"echo","id":{}}', '{"type":"echo","id":["a"]}', '{"type":"echo","id":true}', '{"type":"echo","replyTo":{"a":1}}',
  '{"type":"echo","sessionId":[]}', '{"type":"echo","namespace":{"toString":null}}', '{"type":"echo","topic":7}'];

/** Small and crooked: not JSON, not an envelope, or a value that later code may stumble over. */
export const crooked: readonly Bomb[] = [
  ...broken.map((text) => bomb(`not JSON: ${JSON.stringify(text)}`, text, 'INVALID_JSON')),
  ...shapeless.map((text) => bomb(`no envelope: ${text.slice(0, 60)}`, text, 'INVALID_MESSAGE')),
  ...['1e999', '-1e999', '1e-999', '-0', '9007199254740993', '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\u2028"', 'null', '""', '[]', '{}', '[null]',
    '{"":""}', '{"length":1e9}', '{"then":1}', '{"then":"then"}', '{"toJSON":1}', '{"toString":null,"valueOf":null}', '{"constructor":null}', '{"a":1,"a":2}',
    '{"type":"error","content":{"code":"X"}}'].map((content) => bomb(`content ${content}`, echo(content), 'echo')),
  bomb('two types, the last wins', '{"type":"nothing","type":"echo","content":1}', 'echo'),
  bomb('a timestamp that has no text', '{"type":"echo","timestamp":{"toString":null,"valueOf":null},"content":1}', 'echo|INVALID_MESSAGE'),
  bomb('a timestamp in a list', '{"type":"echo","timestamp":[{"toString":1}],"content":1}', 'echo|INVALID_MESSAGE'),
  bomb('a timestamp that is a number', '{"type":"echo","timestamp":1e999,"content":1}', 'echo|INVALID_MESSAGE'),
  bomb('an ack that is an object', '{"type":"echo","ack":{"a":1},"content":1}', 'echo|INVALID_MESSAGE'),
  bomb('a meta that is a list', '{"type":"echo","meta":[1],"content":1}', 'echo|INVALID_MESSAGE'),
  bomb('an offset that is an object', '{"type":"echo","offset":{},"epoch":[],"content":1}', 'echo|INVALID_MESSAGE'),
  bomb('a lone surrogate as type', '{"type":"\\ud800"}', 'UNKNOWN_TYPE|INVALID_MESSAGE'),
  bomb('NUL in the type', '{"type":"echo\\u0000"}', 'UNKNOWN_TYPE|INVALID_MESSAGE'),
  bomb('a client that sends an error', '{"type":"error","content":{}}', 'UNKNOWN_TYPE|SERVER_ONLY|TYPE_NOT_ALLOWED'),
  bomb('exactly 32 deep, the envelope counted', echo(lists(31)), 'echo'),
];
