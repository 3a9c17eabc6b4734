/** A character of a text in the form in which words are looked up. */
export interface Letter {
  /** UTF-16 code units: none for an invisible character, one space for a separator. */
  readonly units: readonly number[];
  /** Whether a word may begin before the character and end after it, whatever its neighbours are. */
  readonly isLoose: boolean;
  /** Whether the character is a mark on the letter before it, like a vowel sign of an Indian script. */
  readonly isMark: boolean;
}

export const SPACE = 0x20;

const NOTHING: Letter = { units: [], isLoose: false, isMark: false };
const SEPARATOR: Letter = { units: [SPACE], isLoose: true, isMark: false };

/**
 * Invisible characters: controls except white space, format characters, fillers, and the stroke that lengthens Arabic
 * words.
 */
const INVISIBLE = /[\p{Cf}\p{Default_Ignorable_Code_Point}\u0640]|(?!\s|\u0085)\p{Cc}/u;
/**
 * Enclosing marks, and marks that any script may have on its letters. A mark of one script is part of its words, and
 * so are the voicing marks of kana.
 */
const MARK = /\p{Me}|(?![\u3099\u309a])(?=\p{M})\p{Script=Inherited}/u;
const UNSEEN = new RegExp(`${INVISIBLE.source}|${MARK.source}`, 'u');
const ALL_UNSEEN = new RegExp(UNSEEN.source, 'gu');
const WHITE_SPACE = /[\s\u0085]/;
const IN_WORDS = /[\p{L}\p{M}\p{N}]/u;
/** Letters and digits, but not signs that contain them: ™, ①, ⓢ. */
const FIRM = /[\p{L}\p{M}\p{Nd}]/u;
/** Scripts without spaces between words. */
const UNSPACED =
  /[\p{Ideographic}\p{Script=Hiragana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/**
 * Letters that look like a Latin letter, in lower case. If only the upper case looks alike, the lower case is listed,
 * too.
 */
const LOOK_ALIKES = new Map(Object.entries({
  a: 'аαɑᴀ', b: 'вβʙƀь', c: 'сϲᴄ', d: 'ԁᴅđɗ', e: 'еεєҽᴇ', f: 'ƒꜰϝ', g: 'ɡɢց', h: 'нһհʜħ', i: 'іιıɩɪ',
  j: 'јյᴊ', k: 'кκᴋ', l: 'ӏʟłǀ', m: 'мμᴍ', n: 'ոηɴ', o: 'оοօᴏøσ', p: 'рρᴘ', q: 'ԛզ', r: 'гʀᴦ',
  s: 'ѕꜱ', t: 'тτᴛŧ', u: 'υսᴜ', v: 'νѵᴠ', w: 'ԝωᴡ', x: 'хχ', y: 'уγʏү', z: 'ᴢ',
}).flatMap(([latin, others]) => [...others].map((other) => [other, latin] as const)));
/** Alphabets of 26 signs without a compatibility form: negative circled, negative squared, regional indicators. */
const ALPHABETS = [0x1f150, 0x1f170, 0x1f1e6];
/** Digits and signs that are read as letters. */
const LEET = new Map(Object.entries({
  0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't', 8: 'b',
  '@': 'a', '$': 's', '!': 'i', '|': 'i', '+': 't', '€': 'e', '£': 'l',
}));

/** Cached characters: more than any text has. A client that sends more of them only causes lookups. */
const MAX_REMEMBERED = 32_768;

/** How letters are read. */
export interface Alphabet {
  /** Whether letters of other scripts are read as the Latin letters that they look like. */
  readonly lookAlikes: boolean;
  /** Whether digits and signs are read as letters. */
  readonly leet: boolean;
  /** Whether signs are kept. Otherwise they separate words. */
  readonly signs: boolean;
}

/** Converts single characters into the form in which words are looked up. */
export class Letters {
  static readonly #made = new Map<string, Letters>();
  readonly #alphabet: Alphabet;
  readonly #ascii: readonly Letter[];
  readonly #others = new Map<number, Letter>();

  private constructor(alphabet: Alphabet) {
    this.#alphabet = alphabet;
    this.#ascii = Array.from({ length: 128 }, (_, code) => this.#fold(code));
  }

  /** All lists of one alphabet share an instance, so that each character is cached once. */
  static of(alphabet: Alphabet): Letters {
    const key = `${alphabet.lookAlikes} ${alphabet.leet} ${alphabet.signs}`;
    const made = Letters.#made.get(key) ?? new Letters(alphabet);
    Letters.#made.set(key, made);
    return made;
  }

  /** Whether a row of single letters is read as one word. If signs are kept, `s & m` is not joined. */
  get joinsSingles(): boolean { return !this.#alphabet.signs; }

  at(codePoint: number): Letter {
    if (codePoint < 128) return this.#ascii[codePoint]!;
    // Ideographs keep their form, and are too many to cache.
    if (codePoint >= 0x4e00 && codePoint <= 0x9fff) return { units: [codePoint], isLoose: true, isMark: false };
    let letter = this.#others.get(codePoint);
    if (letter) return letter;
    if (this.#others.size >= MAX_REMEMBERED) this.#others.clear();
    this.#others.set(codePoint, (letter = this.#fold(codePoint)));
    return letter;
  }

  #fold(codePoint: number): Letter {
    const character = String.fromCodePoint(codePoint);
    if (UNSEEN.test(character)) return NOTHING;
    const { lookAlikes, leet, signs } = this.#alphabet;
    const asLetter = (leet ? LEET.get(character) : undefined) ?? (lookAlikes ? letterOfSign(codePoint) : undefined);
    // Upper case first: ß becomes ss, and ı and ſ become i and s.
    const folded = asLetter ?? plain(plain(character).toUpperCase().toLowerCase());
    const units = [...folded].flatMap((one) => {
      const letter = (leet ? LEET.get(one) : undefined) ?? (lookAlikes ? LOOK_ALIKES.get(one) : undefined) ?? one;
      return IN_WORDS.test(letter) || (signs && !WHITE_SPACE.test(letter)) ? codeUnits(letter) : [SPACE];
    });
    if (units.every((unit) => unit === SPACE)) return units.length === 0 ? NOTHING : SEPARATOR;
    return { units, isLoose: !FIRM.test(character) || UNSPACED.test(character), isMark: /\p{M}/u.test(character) };
  }
}

/** Compatibility forms as ordinary letters, without marks. */
const plain = (text: string): string => text.normalize('NFKD').replace(ALL_UNSEEN, '');

function letterOfSign(codePoint: number): string | undefined {
  const first = ALPHABETS.find((start) => codePoint >= start && codePoint < start + 26);
  return first === undefined ? undefined : String.fromCharCode(0x61 + codePoint - first);
}

const codeUnits = (text: string): number[] => Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
