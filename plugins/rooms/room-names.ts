import { describe, lengthUpTo, ModuleError } from '../../src/index.ts';
import { confusables } from './confusables.ts';
import './room-errors.ts';

const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu;
/**
 * Invisible characters: controls, format characters, default-ignorable characters, unassigned and private code points,
 * and white space except the plain and the ideographic space. U+2800 and U+1D159 are blank, but no property says so.
 */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\u{1d159}]|(?![ \u3000])\p{Zs}/u;
/** Emoji sequences (UTS 51, ED-17), in which joiners and variation selectors are visible. */
const ONE_EMOJI = String.raw`(?:\p{RI}{2}|[0-9#*]\uFE0F?\u20E3|(?![0-9#*])\p{Emoji}(?:\p{EMod}|\uFE0F\u20E3?|\uFE0E)?)`;
const EMOJI = new RegExp(String.raw`\p{RGI_Emoji_Tag_Sequence}|${ONE_EMOJI}(?:\u200D${ONE_EMOJI})*`, 'gv');
/** Joiners change how a word looks between letters of a cursive script and after a virama (UAX 31, 2.3). */
const CURSIVE = String.raw`[\p{scx=Arab}\p{scx=Syrc}\p{scx=Nkoo}\p{scx=Mand}\p{scx=Adlm}\p{scx=Rohg}]`;
const IN_CURSIVE = new RegExp(String.raw`(?<=(?=\p{L})${CURSIVE}\p{M}*)\u200C(?=(?=\p{L})${CURSIVE})`, 'gu');
const AFTER_MARK = /(\p{M})[\u200C\u200D]/gu;

/** A mark without a letter, one mark twice, or more than four of them (UTS 39, 5.4). */
const ODD_MARKS = /(?:^|[ \u3000])\p{M}|(\p{Mn})\1|[\p{Mn}\p{Me}]{5}/u;
const ODD_SPACES = /^[ \u3000]|[ \u3000]$|[ \u3000]{2}/u;
const CASED = /[\p{Lu}\p{Ll}\p{Lt}]/gu;

/** Recommended scripts (UAX 31, table 5) other than Latin, Cyrillic and Greek. */
const SCRIPTS = [
  'Arab', 'Armn', 'Beng', 'Bopo', 'Deva', 'Ethi', 'Geor', 'Gujr', 'Guru', 'Hang', 'Hani', 'Hebr', 'Hira', 'Kana',
  'Khmr', 'Knda', 'Laoo', 'Mlym', 'Mymr', 'Orya', 'Sinh', 'Taml', 'Telu', 'Thaa', 'Thai', 'Tibt',
];
/** Scripts that may be mixed in one word (UTS 39, 5.2: moderately restrictive). */
const TOGETHER = [
  ['Cyrl'], ['Grek'], ['Latn', 'Hani', 'Hira', 'Kana'], ['Latn', 'Hani', 'Bopo'], ['Latn', 'Hani', 'Hang'],
  ...SCRIPTS.map((script) => ['Latn', script]),
];
const scx = (scripts: readonly string[]): string => scripts.map((script) => String.raw`\p{scx=${script}}`).join('');
const ONE_ALPHABET = new RegExp(`^(?:${[
  ...TOGETHER.map((scripts) => `[${scx([...scripts, 'Zyyy', 'Zinh'])}]*`),
  // Scripts of limited use may not be mixed with others.
  `[^${scx([...SCRIPTS, 'Latn', 'Cyrl', 'Grek'])}]*`,
].join('|')})$`, 'u');
const WORDS = /[\p{L}\p{M}\p{N}]+/gu;

/**
 * Checks that a name is visible, distinguishable, and not a property of every object.
 * @throws ROOM_NAME_INVALID
 */
export function checkName(name: unknown, maxLength: number): string {
  const isText = typeof name === 'string';
  const reason = isText ? invalidReason(name, maxLength) : `must be a string, but is ${describe(name)}`;
  if (reason) throw new ModuleError('ROOM_NAME_INVALID', { reason });
  return name as string;
}

function invalidReason(name: string, maxLength: number): string | undefined {
  if (name === '') return 'is empty';
  const length = lengthUpTo(name, maxLength);
  if (length > maxLength) return `has ${length} characters; at most ${maxLength} are allowed`;
  if (name in {} || name === 'prototype') return 'is reserved';
  const visible = withoutJoiners(name);
  if (INVISIBLE.test(visible)) return 'has invisible characters';
  if (ODD_SPACES.test(name)) return 'begins or ends with a space, or has two spaces in a row';
  if (ODD_MARKS.test(visible.normalize('NFD'))) return 'has a mark without a letter, or too many marks on one letter';
  // Full-width letters, ligatures, mathematical letters.
  const styled = name.match(CASED)?.find((letter) => letter.normalize('NFKC') !== letter.normalize('NFC'));
  if (styled !== undefined) return `has the letter ${styled}; write ${styled.normalize('NFKC')}`;
  if (visible.match(WORDS)?.some((word) => !ONE_ALPHABET.test(word))) return 'has a word in several alphabets';
  return undefined;
}

/** Removes emojis, and joiners that have a visible effect. */
function withoutJoiners(name: string): string {
  const plain = name.replace(EMOJI, '*').replace(IN_CURSIVE, '');
  return plain.replace(AFTER_MARK, (pair, mark: string) => (isVirama(mark) ? mark : pair));
}

/** Whether a mark has combining class 9: normalization sorts it between U+3099 (class 8) and U+05B0 (class 10). */
function isVirama(mark: string): boolean {
  const isMoved = (pair: string): boolean => pair.normalize('NFD') !== pair;
  return isMoved(`${mark}\u3099`) && isMoved(`\u05b0${mark}`);
}

/**
 * The keys by which names are compared. Two names that look alike (`lobby`, `Iobby`) or read alike (`General`,
 * `general`) share a key. Ids are compared without keys.
 */
export function nameKeys(name: string): readonly [looks: string, reads: string] {
  return [`looks ${folded(skeleton(name))}`, `reads ${folded(skeleton(folded(name)))}`];
}

/** The skeleton (UTS 39, 4) of the name's compatibility form. */
export function skeleton(name: string): string {
  const prototypes = confusables();
  // The letters i and j already have a dot.
  const plain = name.normalize('NFKD').replace(IGNORABLE, '').replace(/(\p{Soft_Dotted})\u0307/gu, '$1');
  return [...plain].map((character) => prototypes.get(character) ?? character).join('').normalize('NFD');
}

const folded = (text: string): string => text.toUpperCase().toLowerCase().normalize('NFKD');
