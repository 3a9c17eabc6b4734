/**
 * Maximum UTF-16 units of one counted character. A longer cluster, such as a letter with very many marks, counts as
 * several characters.
 */
const MAX_UNITS = 16;

const ABOVE_LATIN = /[\u0300-\uffff]/;
/** Scripts in which each code point is one character, unless a mark or a joiner is next to it. */
const SIMPLE = [
  'Common', 'Latin', 'Greek', 'Cyrillic', 'Armenian', 'Hebrew', 'Arabic', 'Georgian', 'Ethiopic',
  'Han', 'Hiragana', 'Katakana', 'Bopomofo', 'Hangul',
].map((name) => String.raw`\p{Script=${name}}`).join('');
/** Code points that form clusters: marks, joiners, flags, skin tones, conjoining jamo. */
const PARTS = String.raw`\p{M}\p{Grapheme_Extend}\p{Cf}\p{RI}\p{Emoji_Modifier}\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff`;
const CLUSTERED = new RegExp(`[^${SIMPLE}]|[${PARTS}]`, 'u');
const SURROGATE_PAIR = /[\ud800-\udbff][\udc00-\udfff]/g;
const LINE_END = /\r\n/g;

let segmenter: Intl.Segmenter | undefined;

/**
 * The length of a text in characters as people count them: a family emoji is one character, and so is a letter with its
 * marks. A character of more than 16 UTF-16 units counts as several, so a text of n characters has at most 16 n units.
 */
export function textLength(text: string): number { return count(text, Infinity); }

/**
 * A length to compare with a limit: it exceeds `limit` exactly if {@link textLength} does. It may differ from the exact
 * length, so that a very long text costs no more than a text at the limit.
 *
 * @example if (lengthUpTo(name, 64) > 64) throw …
 */
export function lengthUpTo(text: string, limit: number): number {
  // There are never more characters than units.
  if (text.length <= limit || text.length > limit * MAX_UNITS) return text.length;
  return count(text, limit);
}

// Intl.Segmenter takes 0.8 µs per character, these regular expressions 0.6 µs for 4,000: most texts do not need it.
function count(text: string, limit: number): number {
  const found = (pairs: RegExp): number => text.match(pairs)?.length ?? 0;
  if (!ABOVE_LATIN.test(text)) return text.length - found(LINE_END);
  if (!CLUSTERED.test(text)) return text.length - found(LINE_END) - found(SURROGATE_PAIR);
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  let length = 0;
  for (const { segment } of segmenter.segment(text)) {
    length += Math.ceil(segment.length / MAX_UNITS);
    if (length > limit) break;
  }
  return length;
}
