import { expect } from 'chai';
import fc from 'fast-check';
import { lengthUpTo, textLength } from '../../../src/kit/text-length.ts';
import { takesAtMost } from '../../support/timing.ts';

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
const counted = (text: string) => [...segmenter.segment(text)].reduce((sum, { segment }) => sum + Math.ceil(segment.length / 16), 0);

const PIECES = [
  'a', '\r', '\n', '\u0301', '\u200d', '\ufe0f', '👨', '👩', '🏽', '🇫', '🇷', 'ш', '字', '가', '\u1100', '\u1161', '\u11a8', 'น', 'ำ', 'क', '्',
  '\u0600', '\u0d4e', '\uff9e',
];
const BLOCKS = [
  [0, 0x3400], [0xa000, 0xac00], [0xd7b0, 0xd7ff], [0xf900, 0x11400], [0x1d000, 0x1d100], [0x1f000, 0x1fb00], [0xe0000, 0xe0200],
] as const;
const FAMILY = '👨‍👩‍👧‍👦';

describe('textLength()', () => {
  for (const [text, length] of [
    ['', 0], ['hello', 5], ['a\r\nb', 3], ['naïve', 5], ['Привет', 6], ['你好', 2], ['안녕', 2], ['שלום', 4],
    ['👍', 1], ['👍🏽', 1], ['🇫🇷', 1], ['❤️', 1], ['1️⃣', 1], [FAMILY.repeat(2), 2], ['cafe\u0301', 4], ['น้ำ', 1], ['हिंदी', 2], ['각', 1], ['𝒽𝒾', 2], ['क\u200dष', 2], ['\ud800', 1],
    ['привет\r\nмир', 10], [`${FAMILY} и я`, 5],
  ] as const) {
    it(`counts ${length} in ${JSON.stringify(text)}`, () => {
      expect(textLength(text)).to.equal(length);
    });
  }

  it('counts one for each 16 units of a character, so that stacked combining marks count too', () => {
    expect(textLength(`e${'\u0301'.repeat(15)}`)).to.equal(1);
    expect(textLength(`e${'\u0301'.repeat(16)}`)).to.equal(2);
    expect(textLength(`e${'\u0301'.repeat(1_599)}`)).to.equal(100);
  });

  it('counts any text as Intl.Segmenter does', () => {
    const texts = fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 20 });

    fc.assert(fc.property(texts, (parts) => {
      const text = parts.join('');
      expect(textLength(text)).to.equal(counted(text));
    }), { numRuns: 1_000 });
  });

  it('counts every code point between two others as Intl.Segmenter does', function () {
    this.timeout(60_000);
    const wrong: string[] = [];
    for (const [from, to] of BLOCKS) {
      for (let start = from; start < to; start += 64) {
        const between = Array.from({ length: 64 }, (_, index) => `а${String.fromCodePoint(start + index)}а`);
        wrong.push(...between.filter((text) => textLength(text) !== counted(text)));
      }
    }

    expect(wrong).to.deep.equal([]);
  });
});

describe('lengthUpTo()', () => {
  it('exceeds the limit exactly when the length does', () => {
    const texts = fc.array(fc.constantFrom('a', 'ш', '\u0301', FAMILY, '👍', '字'), { maxLength: 40 });

    fc.assert(fc.property(texts, fc.integer({ min: 1, max: 40 }), (parts, limit) => {
      const text = parts.join('');
      expect(lengthUpTo(text, limit) > limit).to.equal(textLength(text) > limit);
    }));
  });

  it('lets two family emojis be 20 characters, and refuses 21 letters', () => {
    expect(lengthUpTo(FAMILY.repeat(2), 20)).to.be.at.most(20);
    expect(lengthUpTo('x'.repeat(21), 20)).to.equal(21);
    expect(lengthUpTo('ш'.repeat(21), 20)).to.equal(21);
  });

  it('stops counting at the limit, and skips texts that cannot fit', async () => {
    const conjuncts = 'क्'.repeat(500_000);

    for (const limit of [100, 40_000]) await takesAtMost(200, `a limit of ${limit}`, () => lengthUpTo(conjuncts, limit));
    expect(lengthUpTo(conjuncts, 100)).to.be.above(100);
  });
});
