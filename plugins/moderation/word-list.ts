import { Letters, SPACE } from './letters.ts';
import { Reading } from './reading.ts';

/** A word that was found: from `start` to before `end` in the text as it was written. */
export interface Match { readonly start: number; readonly end: number; readonly word: string }

/** Finds what is not to be said. */
export interface Matcher { matches(text: string): Iterable<Match> }

export interface WordListOptions {
  /** Whether letters of other scripts stand for the Latin ones they look like. @default true */
  readonly lookAlikes?: boolean;
  /** Whether digits and signs stand for letters, as in `5p4m`. @default false */
  readonly leet?: boolean;
}

interface Node { readonly next: Map<number, Node>; word: string | undefined }

/**
 * Finds words and phrases, whole ones only, in texts whatever they are written in. A text of n characters costs n steps, and at most
 * as many more for each as the longest word is long.
 */
export class WordList implements Matcher {
  readonly #readers: readonly { readonly letters: Letters; readonly root: Node }[];

  /** @param words those without letters or digits are never found */
  constructor(words: Iterable<string>, { lookAlikes = true, leet = false }: WordListOptions = {}) {
    // Apart, because a sign that is read as a letter separates no words: `a$$` is one, and so is `spam!`.
    this.#readers = (leet ? [false, true] : [false]).map((signs) => ({ letters: Letters.of({ lookAlikes, leet: signs }), root: node() }));
    for (const word of words) for (const { letters, root } of this.#readers) add(root, word, new Reading(word, letters));
  }

  matches(text: string): Match[] {
    const found = this.#readers.flatMap(({ letters, root }) => search(root, new Reading(text, letters)));
    return this.#readers.length === 1 ? found : found.sort((a, b) => a.start - b.start || b.end - a.end);
  }
}

const node = (): Node => ({ next: new Map(), word: undefined });

function add(root: Node, word: string, { units, length }: Reading): void {
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
  if (at !== root) at.word ??= word;
}

/** The longest word at each place, from left to right. */
function search(root: Node, { units, starts, ends, edges, length }: Reading): Match[] {
  const found: Match[] = [];
  for (let from = 0; from < length;) {
    let match: Match | undefined;
    let after = from + 1;
    let at: Node | undefined = edges[from] ? root : undefined;
    for (let index = from; at && index < length; index++) {
      at = at.next.get(units[index]!);
      if (at?.word === undefined || !edges[index + 1]) continue;
      match = { start: starts[from]!, end: ends[index]!, word: at.word };
      after = index + 1;
    }
    if (match) found.push(match);
    from = after;
  }
  return found;
}
