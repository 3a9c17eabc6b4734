import { describe, ModuleError } from '../../src/index.ts';
import { Letters, SPACE } from './letters.ts';
import { Reading } from './reading.ts';

/** A word that was found, from `start` to before `end` in the text as it was written. */
export interface Match { readonly start: number; readonly end: number; readonly word: string }

/** Finds banned words. */
export interface Matcher { matches(text: string): Iterable<Match> }

export interface WordListOptions {
  /** Whether letters of other scripts stand for the Latin letters that they look like. @default true */
  readonly lookAlikes?: boolean | undefined;
  /** Whether digits and signs stand for letters, as in `5p4m`. @default false */
  readonly leet?: boolean | undefined;
}

interface Node { readonly next: Map<number, Node>; word: string | undefined }
/** One way to read a text, and the entries to find in it. */
interface Reader { readonly letters: Letters; readonly root: Node }

/** Signs that only separate the words of a phrase: `free-money`, `グループ・チャット`. */
const SEPARATOR = /[\s\p{Pd}\p{Pc}'’·・]/u;

/**
 * Finds whole words and phrases. An entry with signs, such as `@everyone` or `a$$`, is found only with its signs. A
 * search takes at most as many steps as the text has characters, times the length of the longest entry.
 */
export class WordList implements Matcher {
  /** Readings in which signs separate words, or with `leet` stand for letters. */
  readonly #words: readonly Reader[];
  /** The reading in which signs are signs. */
  readonly #signs: Reader;
  readonly #readers: readonly Reader[];

  /**
   * @param path the name of the list in errors
   * @throws OPTION_INVALID for an entry that cannot be found, because it has no letter, digit or sign
   */
  constructor(entries: Iterable<string>, { lookAlikes = true, leet = false }: WordListOptions = {}, path = 'words') {
    const reader = (isLeet: boolean, signs: boolean): Reader => (
      { letters: Letters.of({ lookAlikes, leet: isLeet, signs }), root: node() });
    // Separate readers, because a sign that is read as a letter does not end a word: `a$$` is one word, and in `spam!`
    // the word is `spam`.
    this.#words = (leet ? [false, true] : [false]).map((isLeet) => reader(isLeet, false));
    this.#signs = reader(false, true);
    let index = 0;
    for (const entry of entries) {
      if (!this.#add(entry)) {
        const expected = 'a text with a letter, a digit or a sign';
        throw new ModuleError('OPTION_INVALID', { path: `${path}[${index}]`, given: describe(entry), expected });
      }
      index++;
    }
    this.#readers = [...this.#words, this.#signs].filter(({ root }) => root.next.size > 0);
  }

  /** Whether an entry has a letter, a digit or a sign, so that it can be found. */
  static canFind(entry: string, options: WordListOptions = {}): boolean {
    return new WordList([], options).#add(entry);
  }

  matches(text: string): Match[] {
    const found = this.#readers.flatMap(({ letters, root }) => search(root, text, new Reading(text, letters)));
    if (this.#readers.length <= 1) return found;
    found.sort((a, b) => a.start - b.start || b.end - a.end);
    // Two readings may find the same word.
    return found.filter(({ start, end }, index) => start !== found[index - 1]?.start || end !== found[index - 1]?.end);
  }

  /** `false`: the entry cannot be found. */
  #add(entry: string): boolean {
    const readers = this.#words.filter(({ letters }) => !hasSigns(entry, letters));
    if (!readers.includes(this.#words[0]!)) readers.push(this.#signs);
    return readers.map(({ letters, root }) => add(root, entry, new Reading(entry, letters))).includes(true);
  }
}

const node = (): Node => ({ next: new Map(), word: undefined });

/** Whether an entry has signs that do more than separate its words, so that it is found only with them. */
function hasSigns(entry: string, letters: Letters): boolean {
  const visible = [...entry.trim()].filter((character) => letters.at(character.codePointAt(0)!).units.length > 0);
  const isSign = (character: string): boolean =>
    letters.at(character.codePointAt(0)!).units.every((unit) => unit === SPACE);
  const [first, last] = [visible[0], visible.at(-1)];
  if (first === undefined || last === undefined) return false;
  return isSign(first) || isSign(last) || visible.some((character) => isSign(character) && !SEPARATOR.test(character));
}

function add(root: Node, entry: string, { units, length }: Reading): boolean {
  const isSpace = (index: number): boolean => units[index] === SPACE;
  let end = length;
  let from = 0;
  while (from < end && isSpace(from)) from++;
  while (end > from && isSpace(end - 1)) end--;
  let at = root;
  for (const unit of units.slice(from, end)) {
    let next = at.next.get(unit);
    if (!next) at.next.set(unit, (next = node()));
    at = next;
  }
  if (at === root) return false;
  at.word ??= entry;
  return true;
}

/** The longest entry at each place, from left to right. */
function search(root: Node, text: string, { units, starts, ends, edges, length }: Reading): Match[] {
  const found: Match[] = [];
  for (let from = 0; from < length;) {
    let match: Match | undefined;
    let after = from + 1;
    let at: Node | undefined = edges[from] ? root : undefined;
    for (let index = from; at && index < length; index++) {
      at = at.next.get(units[index]!);
      if (at?.word === undefined || !edges[index + 1]) continue;
      const isShort = index - from < MAX_HOMOGRAPH;
      if (isShort && isHomograph(at.word, text.slice(starts[from], ends[index]))) continue;
      match = { start: starts[from]!, end: ends[index]!, word: at.word };
      after = index + 1;
    }
    if (match) found.push(match);
    from = after;
  }
  return found;
}

/**
 * Words of up to so many letters may look like words of another alphabet by chance: Russian *сок* is not *cok*, and
 * *рот* is not *pot*. Longer words seldom do.
 */
const MAX_HOMOGRAPH = 3;
const LATIN = /^\p{Script=Latin}+$/u;
const LIKE_LATIN = /^[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}]+$/u;

/** Whether an entry is wholly in one alphabet, and the matched text is wholly in another. */
function isHomograph(entry: string, found: string): boolean {
  const [a, b] = [entry, found].map((text) => text.replace(/\P{L}/gu, '')) as [string, string];
  return (LATIN.test(a) && LIKE_LATIN.test(b)) || (LIKE_LATIN.test(a) && LATIN.test(b));
}
