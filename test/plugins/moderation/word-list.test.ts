import { expect } from 'chai';
import fc from 'fast-check';
import { mask } from '../../../plugins/moderation/mask.ts';
import { WordList } from '../../../plugins/moderation/word-list.ts';
import { fastestInTurns, withinAllowance } from '../../support/timing.ts';

const list = new WordList(['spam', 'ass', 'cunt', 'free money', 'straße', 'жопа', '垃圾', '大麻', 'バカ']);
const leet = new WordList(['spam', 'ass'], { leet: true });
const masked = (text: string, words = list) => mask(text, words.matches(text), '*');

/** A letter of a–z as each of these writes it. */
const STYLES: Readonly<Record<string, (letter: string) => string>> = {
  plain: (letter) => letter,
  capital: (letter) => letter.toUpperCase(),
  fullWidth: (letter) => String.fromCodePoint(letter.charCodeAt(0) + 0xff41 - 0x61),
  circled: (letter) => String.fromCodePoint(letter.charCodeAt(0) + 0x24d0 - 0x61),
  bold: (letter) => String.fromCodePoint(letter.charCodeAt(0) + 0x1d41a - 0x61),
  squared: (letter) => String.fromCodePoint(letter.charCodeAt(0) + 0x1f170 - 0x61),
  struck: (letter) => `${letter}\u0336`,
  piled: (letter) => `${letter}\u0301\u0323\u034f\u0489\u0e48\u093f`,
  hidden: (letter) => `${letter}\u200b\u00ad\u2060`,
  cyrillic: (letter) => ({ a: 'а', c: 'с', e: 'е', i: 'і', m: 'м', o: 'о', p: 'р', s: 'ѕ', x: 'х', y: 'у' })[letter] ?? letter,
};
const style = fc.constantFrom(...Object.values(STYLES));
const SEPARATORS = [' ', '.', '-', '_', '*', '/', '\u3000', ' . ', '\n', '\t', '~~', '|', '🙂', '\u00a0'];

describe('WordList', () => {
  describe('finds', () => {
    for (const [text, expected] of [
      ['spam', '****'], ['SPAM!', '****!'], ['"spam"', '"****"'], ['no_spam_here', 'no_****_here'], ['ſpam', '****'],
      ['ｓ ｐ ａ ｍ', '****'], ['buy s.p.a.m now', 'buy **** now'], ['this is a s p a m', 'this is a ****'], ['I s p a m u', 'I **** u'],
      ['it\'s a s s', 'it\'s ***'], ['s p a m  s p a m', '****  ****'], ['b u y   s p a m', 'b u y   ****'], ['s\n p\n a\n m', '****'],
      ['s\u200bp\u200ba\u200bm', '****'], ['\ufeffspam', '\ufeff****'], ['s\u0336p\u0336a\u0337m\u0336 ok', '**** ok'], ['ѕраm', '****'], ['spam\u200d ok', '**** ok'],
      ['spam™ and spam²', '****™ and ****²'], ['🅢🅟🅐🅜', '****'], ['🇸🇵🇦🇲', '****'], ['ˢᵖᵃᵐ', '****'], ['𝓼𝓹𝓪𝓶', '****'],
      ['free   Money', '**********'], ['free-money?', '**********?'], ['STRASSE', '******'], ['ЖОПА', '****'], ['ß ass ß', 'ß *** ß'],
      ['这是垃圾邮件', '这是**邮件'], ['这 是 垃 圾 邮 件', '这 是 ** 邮 件'], ['垃 圾 s t u', '** s t u'], ['バカ、', '**、'],
    ] as const) it(JSON.stringify(text), () => expect(masked(text)).to.equal(expected));
  });

  describe('leaves alone', () => {
    for (const text of ['', ' ', 'Scunthorpe', 'SCUNTHORPE', 'Ｓｃｕｎｔｈｏｒｐｅ', 'S c u n t h o r p e', 'class', 'c l a s s', 'grass assess', 'spammer', 'spam5', '5spam', 'free', 'money free',
      'sp am', '他很大，麻烦你了', 'アルバカーキ', 'Straßen', '\ud800', 'a\udc00b', '𐐨𐐨', '5p4m', 'sp@m', 'İstanbul', '\u0000']) {
      it(JSON.stringify(text), () => expect(masked(text)).to.equal(text));
    }
  });

  it('reads digits and signs as letters where it is asked to', () => {
    for (const [text, expected] of [
      ['5p4m', '****'], ['$P@M', '****'], ['a$$', '***'], ['a55!', '***!'], ['hey! spam!', 'hey! ****!'], ['s p a m !', '**** !'], ['spam', '****'], ['spam5', 'spam5'], ['5', '5'], ['$', '$'], ['cla55', 'cla55'],
    ] as const) expect(masked(text, leet), text).to.equal(expected);
  });

  it('tells look-alikes apart where it is asked to', () => {
    const strict = new WordList(['spam', 'сор'], { lookAlikes: false });

    expect(strict.matches('ѕрам')).to.deep.equal([]);
    expect(strict.matches('cop')).to.deep.equal([]);
    expect(strict.matches('сор')).to.have.lengthOf(1);
  });

  it('gives words as they are in the list, where they are in the text', () => {
    expect(new WordList(['SPÄM', 'Free  Money']).matches('ok: ｓｐａｍ, FREE money')).to.deep.equal([
      { start: 4, end: 8, word: 'SPÄM' }, { start: 10, end: 20, word: 'Free  Money' }]);
  });

  it('takes the longest of words that begin alike', () => {
    const words = new WordList(['free', 'free money', 'free money now']);

    expect(words.matches('free money and free').map(({ word }) => word)).to.deep.equal(['free money', 'free']);
  });

  it('finds no names that objects have, unless they are in the list', () => {
    for (const text of ['', ' ', '\u200b', 'a\u0301', 'constructor', '__proto__']) expect(list.matches(text), text).to.deep.equal([]);
    expect(new WordList(['__proto__']).matches('a __proto__ b')).to.have.lengthOf(1);
  });

  for (const [what, entry] of [['nothing', ''], ['a space', ' '], ['an invisible character', '\u200b'], ['a lone mark', '\u0301']] as const) {
    it(`refuses an entry of ${what}, which could never be found, and says which one it is`, () => {
      expect(() => new WordList(['spam', entry], {}, 'my.words')).to.throw('option "my.words[1]" must be a text with a letter, a digit or a sign')
        .with.property('code', 'OPTION_INVALID');
    });
  }

  describe('an entry with signs', () => {
    const signs = ['@everyone', 'a$$', 's&m', 's.o.b.', '$$$', '🖕', 'c++', '-x-', 'sh!t'];

    for (const [text, expected] of [
      ['Hello @everyone!', ['@everyone']], ['＠ＥＶＥＲＹＯＮＥ', ['@everyone']], ['@\u200beveryone', ['@everyone']], ['win $$$now', ['$$$']],
      ['what an a$$, A＄＄', ['a$$', 'a$$']], ['S&M', ['s&m']], ['you s.o.b.', ['s.o.b.']], ['🖕🏽', ['🖕']], ['I like C++.', ['c++']], ['(-x-)', ['-x-']],
      ['a$$hole', ['a$$']], ['oh sh!t', ['sh!t']], ['ѕh!t', ['sh!t']],
    ] as const) {
      it(`is found in ${JSON.stringify(text)}`, () => {
        expect(new WordList(signs).matches(text).map(({ word }) => word)).to.deep.equal(expected);
      });
    }

    for (const text of ['Hello everyone', 'This is a test', 'cla$$', 'sm, s m, s-m', 'to sob', 's o b', '$5 and $ 6', '👍', 'c, c + +', 'x', 'sh t']) {
      it(`is not found in ${JSON.stringify(text)}`, () => {
        expect(new WordList(signs).matches(text)).to.deep.equal([]);
      });
    }

    it('is read as letters, too, where signs stand for letters', () => {
      const words = new WordList(['a$$', '$$$'], { leet: true });

      expect(words.matches('a$$, 4$s and ass').map(({ word }) => word)).to.deep.equal(['a$$', 'a$$', 'a$$']);
      expect(words.matches('This is a test')).to.deep.equal([]);
    });

    it('is found however the words of a phrase are apart', () => {
      const phrases = new WordList(['free-money', 'mother_in_law', 'グループ・チャット', 'qu\'est-ce']);

      for (const text of ['free money', 'free-money', 'MOTHER IN LAW', 'グループ チャット', 'qu’est ce']) {
        expect(phrases.matches(text), text).to.have.lengthOf(1);
      }
    });
  });

  it('takes no short word of another alphabet for a Latin one, nor the other way', () => {
    const words = new WordList(['cok', 'pot', 'сор', 'spam']);

    expect(words.matches('сок, рот, cop, СОК')).to.deep.equal([]);
    expect(words.matches('cok, сok, ѕрам, ｃоk, сор').map(({ word }) => word)).to.deep.equal(['cok', 'cok', 'spam', 'cok', 'сор']);
  });

  it('finds a word in any style, amid any other words', () => {
    const others = fc.array(fc.constantFrom('hello', 'class', 'Scunthorpe', 'grass', 'über', 'привет', '12', 'spammer'), { maxLength: 4 });

    fc.assert(fc.property(others, others, fc.tuple(style, style, style, style), (before, after, styles) => {
      const written = [...'spam'].map((letter, index) => styles[index]!(letter)).join('');
      const text = [...before, written, ...after].join(' ');

      const found = list.matches(text);

      expect(found.map(({ word }) => word)).to.deep.equal(['spam']);
      expect(masked(text)).to.equal([...before, '****', ...after].join(' '));
    }));
  });

  it('finds a word whose letters stand apart, by whatever', () => {
    const separators = fc.array(fc.constantFrom(...SEPARATORS), { minLength: 3, maxLength: 3 });

    fc.assert(fc.property(separators, fc.tuple(style, style, style, style), fc.constantFrom('', 'hello ', 'a ', 'class '), ([one, two, three], styles, before) => {
      const [s, p, a, m] = [...'spam'].map((letter, index) => styles[index]!(letter));
      const text = `${before}${s}${one}${p}${two}${a}${three}${m}`;

      expect(masked(text)).to.equal(`${before}****`);
    }));
  });

  it('finds nothing in a longer word, in any style', () => {
    const letters = fc.string({ unit: fc.constantFrom(...'bdefghijklnoqrtuvwxyz'), minLength: 1, maxLength: 5 });

    fc.assert(fc.property(letters, letters, fc.constantFrom('', 'left', 'right'), style, (left, right, side, write) => {
      const word = `${side === 'right' ? '' : left}spam${side === 'left' ? '' : right}`;
      // Signs that are no letters, like circled ones, end words.
      const text = [...word].map((letter) => (write === STYLES.circled || write === STYLES.squared ? letter : write(letter))).join('');

      expect(new WordList(['spam']).matches(text)).to.deep.equal([]);
    }));
  });

  it('says of any text where words stand: in order, apart, on whole characters, and not in what is left', () => {
    const scraps = fc.array(fc.oneof(fc.constantFrom('s', 'p', 'a', 'm', 'spam', 'ass', ' ', '.', 'ß', 'ﬁ', '™', '\u0301', '\u200b', '垃', '圾', '🅢', 'free', 'money', '\ud800', 'ｓ', '\ufdfa'), fc.string({ unit: 'binary' })), { maxLength: 30 });

    fc.assert(fc.property(scraps, (parts) => {
      const text = parts.join('');
      let last = 0;
      for (const words of [list, leet]) {
        last = 0;
        for (const { start, end } of words === leet ? [] : words.matches(text)) {
          expect(start).to.be.at.least(last);
          expect(end).to.be.above(start);
          last = end;
          for (const cut of [start, end]) expect(/^[\udc00-\udfff]/.test(text.slice(cut)) && /[\ud800-\udbff]$/.test(text.slice(0, cut)), 'in a pair').to.be.false;
        }
        // A sign that separates no letters: over one that does, as in 垃***圾, what is left may be read as another word.
        const clean = mask(text, words.matches(text), '中');
        expect(words.matches(clean).map(({ word }) => word)).to.deep.equal([]);
      }
      expect(last).to.be.at.most(text.length);
    }), { numRuns: 500 });
  });

  describe('in linear time', () => {
    const hostile: Readonly<Record<string, (size: number) => string>> = {
      'one letter': (size) => 'a'.repeat(size),
      'words': (size) => 'hello spam '.repeat(size / 11),
      'letters apart': (size) => 's '.repeat(size / 2),
      'nearly the word, apart': (size) => 's p a '.repeat(size / 6),
      'marks': (size) => `s${'\u0301'.repeat(size - 1)}`,
      'what is not seen': (size) => '\u200b'.repeat(size),
      'signs': (size) => '@$!'.repeat(size / 3),
      'circled letters': (size) => 'ⓢⓟⓐ'.repeat(size / 3),
      'one character that stands for eighteen': (size) => '\ufdfa'.repeat(size),
      'ideographs': (size) => Array.from({ length: size }, (_, index) => String.fromCharCode(0x4e00 + (index % 20_000))).join(''),
      'all characters': (size) => Array.from({ length: size }, (_, index) => String.fromCharCode(0xa0 + (index % 0xd000))).join(''),
    };
    const worst = [list, leet, new WordList([`${'a'.repeat(127)}b`, 'ⓢⓟⓐ'.repeat(42), 's p a '.repeat(21)], { leet: true })];

    for (const [what, make] of Object.entries(hostile)) {
      it(what, async function () {
        this.timeout(60_000);
        for (const words of worst) {
          const [short, long] = [make(8_192), make(65_536)];
          // Once before: what was never seen is looked up and remembered.
          words.matches(long);
          await withinAllowance(6, async () => {
            const { small, large } = await fastestInTurns(5, {
              small: () => words.matches(short), large: () => words.matches(long),
            });
            // Eight times as long; four times that is slack for a busy machine, where the square would be 64.
            return { 'ms for a text of eight times the length': { value: large, allowed: Math.min(500, Math.max(10, small * 32)) } };
          });
        }
      });
    }
  });
});

describe('mask()', () => {
  it('puts a sign in place of each letter of the word, and leaves the rest', () => {
    expect(mask('a s.p.a.m b', [{ start: 2, end: 9, word: 'spam' }], '#')).to.equal('a #### b');
    expect(mask('🙂 ab 🙂', [{ start: 3, end: 5, word: 'ab' }], '🙈')).to.equal('🙂 🙈🙈 🙂');
    expect(mask('nothing', [], '*')).to.equal('nothing');
  });

  it('masks as one what overlaps, in whatever order it comes', () => {
    const matches = [{ start: 4, end: 8, word: 'fghi' }, { start: 2, end: 6, word: 'cdef' }, { start: 3, end: 5, word: 'de' }];

    const text = mask('abcdefghij', matches, '*');

    expect(text.startsWith('ab****')).to.be.true;
    expect(text.endsWith('ij')).to.be.true;
    expect(text).to.not.match(/[c-h]/);
  });
});
