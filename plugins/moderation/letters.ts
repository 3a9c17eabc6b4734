/** What a character of a text is, once it is put into the form in which words are looked for. */
export interface Letter {
  /** UTF-16 code units; none where the character is not seen, one space where it separates words. */
  readonly units: readonly number[];
  /** Whether a word may begin before it and end after it, whatever stands beside it. */
  readonly isLoose: boolean;
  /** Whether it stands on the letter before it, as a vowel of an Indian script does. */
  readonly isMark: boolean;
}

export const SPACE = 0x20;

const NOTHING: Letter = { units: [], isLoose: false, isMark: false };
const SEPARATOR: Letter = { units: [SPACE], isLoose: true, isMark: false };

/** Not seen: controls other than white space, what formats and fills, the stroke that stretches Arabic words. */
const INVISIBLE = /[\p{Cf}\p{Default_Ignorable_Code_Point}\u0640]|(?!\s|\u0085)\p{Cc}/u;
/** Marks that any script may have on its letters, and those around them. Marks of one script are part of its words, and so are those of voiced kana. */
const MARK = /\p{Me}|(?![\u3099\u309a])(?=\p{M})\p{Script=Inherited}/u;
const UNSEEN = new RegExp(`${INVISIBLE.source}|${MARK.source}`, 'u');
const ALL_UNSEEN = new RegExp(UNSEEN.source, 'gu');
const IN_WORDS = /[\p{L}\p{M}\p{N}]/u;
/** Letters and digits, and not what only looks like them: ™, ①, ⓢ. */
const FIRM = /[\p{L}\p{M}\p{Nd}]/u;
/** Scripts that put no spaces between words. */
const UNSPACED = /[\p{Ideographic}\p{Script=Hiragana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/** What looks like a Latin letter and is another one, in lower case; what looks so in upper case only is here by its lower case. */
const LOOK_ALIKES = new Map(Object.entries({
  a: 'аαɑᴀ', b: 'вβʙƀь', c: 'сϲᴄ', d: 'ԁᴅđɗ', e: 'еεєҽᴇ', f: 'ƒꜰϝ', g: 'ɡɢց', h: 'нһհʜħ', i: 'іιıɩɪ', j: 'јյᴊ', k: 'кκᴋ', l: 'ӏʟłǀ', m: 'мμᴍ', n: 'ոηɴ',
  o: 'оοօᴏøσ', p: 'рρᴘ', q: 'ԛզ', r: 'гʀᴦ', s: 'ѕꜱ', t: 'тτᴛŧ', u: 'υսᴜ', v: 'νѵᴠ', w: 'ԝωᴡ', x: 'хχ', y: 'уγʏү', z: 'ᴢ',
}).flatMap(([latin, others]) => [...others].map((other) => [other, latin] as const)));
/** Alphabets of 26 signs that no normal form takes for letters: negative circled, negative squared, regional indicators. */
const ALPHABETS = [0x1f150, 0x1f170, 0x1f1e6];
/** Digits and signs in place of letters. */
const LEET = new Map(Object.entries({ 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't', 8: 'b', '@': 'a', '$': 's', '!': 'i', '|': 'i', '+': 't', '€': 'e', '£': 'l' }));

/** Characters that are remembered: more than any text has. Who sends all there are gains nothing but work. */
const REMEMBERED = 32_768;

/** How letters are read. */
export interface Alphabet {
  /** Whether letters of other scripts stand for the Latin ones they look like. */
  readonly lookAlikes: boolean;
  /** Whether digits and signs stand for letters. */
  readonly leet: boolean;
}

/** Puts characters, one by one, into the form in which words are looked for. */
export class Letters {
  static readonly #made = new Map<string, Letters>();
  readonly #alphabet: Alphabet;
  readonly #ascii: readonly Letter[];
  readonly #others = new Map<number, Letter>();

  private constructor(alphabet: Alphabet) {
    this.#alphabet = alphabet;
    this.#ascii = Array.from({ length: 128 }, (_, code) => this.#fold(code));
  }

  /** The same for all lists, so that however many there are, characters are remembered once. */
  static of(alphabet: Alphabet): Letters {
    const key = `${alphabet.lookAlikes} ${alphabet.leet}`;
    const made = Letters.#made.get(key) ?? new Letters(alphabet);
    Letters.#made.set(key, made);
    return made;
  }

  at(codePoint: number): Letter {
    if (codePoint < 128) return this.#ascii[codePoint]!;
    // Ideographs are their own form, and too many to be remembered.
    if (codePoint >= 0x4e00 && codePoint <= 0x9fff) return { units: [codePoint], isLoose: true, isMark: false };
    let letter = this.#others.get(codePoint);
    if (letter) return letter;
    if (this.#others.size >= REMEMBERED) this.#others.clear();
    this.#others.set(codePoint, (letter = this.#fold(codePoint)));
    return letter;
  }

  #fold(codePoint: number): Letter {
    const character = String.fromCodePoint(codePoint);
    if (UNSEEN.test(character)) return NOTHING;
    const { lookAlikes, leet } = this.#alphabet;
    const sign = (leet ? LEET.get(character) : undefined) ?? (lookAlikes ? signed(codePoint) : undefined);
    // The capital first: ß becomes ss, and ı and ſ their ordinary selves.
    const folded = sign ?? plain(plain(character).toUpperCase().toLowerCase());
    const units = [...folded].flatMap((one) => {
      const letter = (leet ? LEET.get(one) : undefined) ?? (lookAlikes ? LOOK_ALIKES.get(one) : undefined) ?? one;
      return IN_WORDS.test(letter) ? codeUnits(letter) : [SPACE];
    });
    if (units.every((unit) => unit === SPACE)) return units.length === 0 ? NOTHING : SEPARATOR;
    return { units, isLoose: !FIRM.test(character) || UNSPACED.test(character), isMark: /\p{M}/u.test(character) };
  }
}

/** Compatibility forms as ordinary letters, without marks. */
const plain = (text: string): string => text.normalize('NFKD').replace(ALL_UNSEEN, '');

function signed(codePoint: number): string | undefined {
  const first = ALPHABETS.find((start) => codePoint >= start && codePoint < start + 26);
  return first === undefined ? undefined : String.fromCharCode(0x61 + codePoint - first);
}

const codeUnits = (text: string): number[] => Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
