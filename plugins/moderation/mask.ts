import type { Match } from './word-list.ts';

/** The text with a sign for each letter of what was found. Where matches overlap they are masked as one. */
export function mask(text: string, matches: Iterable<Match>, sign: string): string {
  const parts: string[] = [];
  let at = 0;
  for (const { start, end, word } of [...matches].sort((a, b) => a.start - b.start)) {
    if (end <= at) continue;
    parts.push(text.slice(at, Math.max(at, start)), sign.repeat([...word].length));
    at = end;
  }
  return parts.join('') + text.slice(at);
}
