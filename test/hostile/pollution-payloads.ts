/** Names that every object answers to, or that make it something else. */
export const NAMES = [
  '__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', 'isPrototypeOf', 'propertyIsEnumerable', 'toLocaleString',
  '__defineGetter__', '__defineSetter__', '__lookupGetter__', '__lookupSetter__', 'then', 'toJSON', 'length', 'caller', 'arguments',
] as const;

/** Objects that pollute what is merged from them. */
const OBJECTS = [
  '{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}', '{"prototype":{"polluted":1}}',
  '{"__proto__":null}', '{"__proto__":[]}', '{"__proto__":{"__proto__":{"polluted":1}}}', '{"\\u005f_proto__":{"polluted":1}}',
  '{"__pro\\u0074o__":{"polluted":1}}', '{"a":{"__proto__":{"polluted":1}}}', '[{"__proto__":{"polluted":1}}]', '[[{"constructor":{"prototype":{"polluted":1}}}]]',
  '{"__proto__.polluted":1}', '{"constructor.prototype.polluted":1}', '{"__proto__[polluted]":1}', '{"__proto__":"polluted"}', '{"toString":{"polluted":1}}',
] as const;

/** Where an object may stand in a message. */
const PLACES: readonly ((object: string) => string)[] = [
  (object) => `{"type":"echo","content":${object}}`,
  (object) => `{"type":"echo","data":${object}}`,
  (object) => `{"type":"echo","meta":${object}}`,
  (object) => `{"type":"echo","room":${object},"user":${object}}`,
  (object) => `{"type":"echo","content":{"list":[1,{"deep":${object}}]}}`,
  (object) => `{"type":"echo","id":${object}}`,
  (object) => object.startsWith('{') ? `${object.slice(0, -1)},"type":"echo","content":1}` : `{"type":"echo","${object.length}":${object}}`,
];

/** Where a name may stand in a message. */
const SLOTS: readonly ((name: string) => string)[] = [
  (name) => `{"type":"${name}"}`,
  (name) => `{"type":"echo","id":"${name}","content":1}`,
  (name) => `{"type":"echo","replyTo":"${name}","content":1}`,
  (name) => `{"type":"ack","replyTo":"${name}"}`,
  (name) => `{"type":"echo","namespace":"${name}","topic":"${name}","content":1}`,
  (name) => `{"type":"echo","sessionId":"${name}","content":{"room":"${name}","event":"${name}","username":"${name}"}}`,
  (name) => `{"type":"join-room","content":{"roomId":"${name}","username":"${name}"}}`,
  (name) => `{"type":"init","content":{"${name}":{"polluted":1},"sessionId":"${name}"}}`,
  (name) => `{"type":"system","content":{"action":"${name}","event":"${name}"}}`,
  (name) => `{"type":"echo","content":{"${name}":1}}`,
];

/** At least 200 messages: each object in each place, each name in each slot. */
export const payloads: readonly string[] = [
  ...OBJECTS.flatMap((object) => PLACES.map((place) => place(object))),
  ...NAMES.flatMap((name) => SLOTS.map((slot) => slot(name))),
];
