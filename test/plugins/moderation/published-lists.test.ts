import { createRequire } from 'node:module';
import { expect } from 'chai';
import { englishDataset, englishRecommendedTransformers, RegExpMatcher } from 'obscenity';
import { WordList } from '../../../plugins/moderation/word-list.ts';
import { PAGES } from './pages.ts';

const require = createRequire(import.meta.url);
const languages = require('naughty-words') as Readonly<Record<string, readonly string[]>>;
const { array: badwords } = require('badwords-list') as { array: readonly string[] };
const obscenity = [...new Set(englishDataset.build().blacklistedTerms.map(({ id }) => {
  return englishDataset.getPayloadWithPhraseMetadata({ termId: id } as never).phraseMetadata!.originalWord;
}))];

const lists: Readonly<Record<string, readonly string[]>> = { ...languages, badwords, obscenity };
/** The lists of the language of a page, and English ones, which are used everywhere. */
const ofPage: Readonly<Record<string, readonly string[]>> = {
  English: ['en', 'badwords', 'obscenity'], German: ['de', 'en', 'badwords', 'obscenity'], French: ['fr', 'en', 'badwords', 'obscenity'],
  Spanish: ['es', 'en', 'badwords', 'obscenity'], Russian: ['ru', 'en', 'badwords', 'obscenity'], Chinese: ['en', 'badwords', 'obscenity'],
};
/** Entries that are ordinary words of the language, which the page has as such. */
const ordinary = new Set(['bitte', 'con', 'del', 'am', '13.', '奶', 'péter']);

describe('published word lists', () => {
  for (const [name, entries] of Object.entries(lists)) {
    it(`find each of their entries as itself: ${name}`, () => {
      const lost = [...new Set(entries)].filter((entry) => {
        const list = new WordList([entry]);
        const around = [entry, `so ${entry} there`, `"${entry}", ok`, entry.toUpperCase(), entry.normalize('NFD')];
        return around.some((text) => list.matches(text).length === 0);
      });

      expect(lost).to.deep.equal([]);
    });
  }

  for (const [language, page] of Object.entries(PAGES)) {
    it(`reject nothing in a page of ordinary ${language}`, () => {
      const found = ofPage[language]!.flatMap((name) => new WordList(lists[name]!).matches(page).map(({ word }) => word));

      expect(found).to.deep.equal([]);
    });

    it(`of all languages find in a page of ${language} only words that stand there`, () => {
      const all = new Set(Object.values(lists).flat());

      const found = [...all].filter((entry) => new WordList([entry]).matches(page).length > 0);

      expect(found.filter((entry) => !ordinary.has(entry))).to.deep.equal([]);
    });
  }

  it('are found here wherever obscenity finds them, entry by entry', () => {
    const matcher = new RegExpMatcher({ ...englishDataset.build(), ...englishRecommendedTransformers });
    const theirs = obscenity.filter((word) => matcher.hasMatch(word));

    expect(theirs.length).to.be.above(obscenity.length / 2);
    expect(theirs.filter((word) => new WordList([word]).matches(word)[0]?.word !== word)).to.deep.equal([]);
  });

  it('leave alone what obscenity lists as harmless', () => {
    const list = new WordList(obscenity);
    const harmless = englishDataset.build().whitelistedTerms ?? [];

    // The name has an entry as a word of its own.
    expect(harmless.filter((text) => list.matches(text).length > 0)).to.deep.equal(['van dyke']);
  });
});
