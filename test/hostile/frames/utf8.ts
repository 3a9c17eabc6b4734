import { BINARY, TEXT, frame } from '../../support/frames.ts';
import { type FrameCase, brief, envelope } from '../../support/conformance.ts';
import { bytewise, fragmented } from './fragments.ts';

/** At the edges of each width, and what is often taken for invalid. */
const VALID: Readonly<Record<string, string>> = {
  'one byte, the last': '\u007e', 'two bytes, the first': '\u0080', 'two bytes, the last': '\u07ff',
  'three bytes, the first': '\u0800', 'three bytes, the last': '\uffff', 'before the surrogates': '\ud7ff',
  'after the surrogates': '\ue000', 'the replacement character': '\ufffd', 'a noncharacter': '\ufffe',
  'four bytes, the first': '\u{10000}', 'four bytes, the last': '\u{10ffff}', 'greek': 'κόσμε',
  'a family of four': '👨‍👩‍👧‍👦', 'a byte order mark': 'a\ufeffb',
};

/** Each a way in which a decoder has been fooled. */
const INVALID: Readonly<Record<string, string>> = {
  'a lone continuation byte, the first': '80', 'a lone continuation byte, the last': 'bf', 'the byte FE': 'fe', 'the byte FF': 'ff',
  'two bytes cut': 'c2', 'three bytes cut': 'e0a0', 'four bytes cut': 'f09080', 'a start byte followed by ASCII': 'c220',
  'NUL in two bytes': 'c080', 'a slash in two bytes': 'c0af', 'the longest too long in two bytes': 'c1bf',
  'a slash in three bytes': 'e080af', 'the longest too long in three bytes': 'e09fbf',
  'a slash in four bytes': 'f08080af', 'the longest too long in four bytes': 'f08fbfbf',
  'the first surrogate': 'eda080', 'the last surrogate': 'edbfbf', 'a pair of surrogates': 'eda18cedbeb4',
  'past the last code point': 'f4908080', 'five bytes': 'f888808080', 'six bytes': 'fc8480808080',
};

/** Family 6: UTF-8 whole, a byte a fragment, and the same bytes where they need no meaning. */
export const utf8: readonly FrameCase[] = [
  ...Object.entries(VALID).flatMap(([name, content]) => cases(name, Buffer.from(content), [`text ${content}`])),
  ...Object.entries(INVALID).flatMap(([name, hex]) => cases(name, Buffer.from(hex, 'hex'), ['close 1007'])),
  {
    name: 'invalid UTF-8 after a message that must still be answered',
    send: Buffer.concat([frame(TEXT, envelope('before')), frame(TEXT, envelope(Buffer.of(0xff)))]),
    expect: ['text before', 'close 1007'],
  },
];

function cases(name: string, bytes: Buffer, expect: readonly string[]): FrameCase[] {
  return [
    { name, send: frame(TEXT, envelope(bytes)), expect },
    { name: `${name}, a byte a fragment`, send: fragmented(TEXT, bytewise(envelope(bytes))), expect },
    { name: `${name}, as binary`, send: frame(BINARY, bytes), expect: [`binary ${brief(bytes)}`] },
  ];
}
