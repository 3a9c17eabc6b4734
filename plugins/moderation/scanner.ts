import { describe, ModuleError } from '../../src/index.ts';
import { mask } from './mask.ts';
import { textsIn, withTexts } from './texts.ts';
import type { Match, WordList } from './word-list.ts';

/** A function that finds banned words; it may be asynchronous. */
export type MatcherFunction = (text: string) => Iterable<Match> | Promise<Iterable<Match>>;

/** What was found in a content. */
export interface Findings {
  /** The words, as they are in the list, each once. */
  readonly words: readonly string[];
  /** The content with the words masked. */
  masked(): unknown;
}

/** Looks for banned words in texts and contents, by a list and by a matcher of the application. */
export class Scanner {
  readonly #matcher: MatcherFunction | undefined;
  readonly #sign: string;

  constructor(matcher: MatcherFunction | undefined, sign: string) {
    this.#matcher = matcher;
    this.#sign = sign;
  }

  async matches(text: string, list: WordList): Promise<Match[]> {
    const found = list.matches(text);
    if (!this.#matcher) return found;
    return [...found, ...checked(await this.#matcher(text), text)].sort((a, b) => a.start - b.start);
  }

  async mask(text: string, list: WordList): Promise<string> {
    return mask(text, await this.matches(text, list), this.#sign);
  }

  async scan(content: unknown, list: WordList): Promise<Findings> {
    const texts = textsIn(content);
    const found: Match[][] = [];
    // No await without a matcher: a content may have thousands of texts.
    for (const text of texts) found.push(this.#matcher ? await this.matches(text, list) : list.matches(text));
    const masked = (): unknown => withTexts(content, texts.map((text, index) => mask(text, found[index]!, this.#sign)));
    return { words: [...new Set(found.flat().map(({ word }) => word))], masked };
  }
}

/** Checks the matches of the application's matcher: each must lie within the text. @throws OPTION_INVALID */
function checked(found: Iterable<Match>, { length }: string): Match[] {
  return [...found].map((match) => {
    const { start, end, word } = match;
    const isPlace = Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end && end <= length;
    if (isPlace && typeof word === 'string') return match;
    const expected = 'matches { start, end, word } within the text';
    throw new ModuleError('OPTION_INVALID', { path: 'moderation.matcher(text)', given: describe(match), expected });
  });
}
