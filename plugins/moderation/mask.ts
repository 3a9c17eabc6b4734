import { textLength } from '../../src/index.ts';
import type { Match } from './word-list.ts';

/** Replaces each character of the matched words by the sign. Overlapping matches are masked as one. */
export function mask(text: string, matches: Iterable<Match>, sign: string): string {
  const parts: string[] = [];
  let at = 0;
  for (const { start, end, word } of [...matches].sort((a, b) => a.start - b.start)) {
    if (end <= at) continue;
    parts.push(text.slice(at, Math.max(at, start)), sign.repeat(textLength(word)));
    at = end;
  }
  return parts.join('') + text.slice(at);
}
