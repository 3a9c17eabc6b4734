import { describe } from '../../src/index.ts';
import { refusal } from './refusals.ts';

/** Control and invisible characters, direction marks, halves of surrogate pairs, what Unicode has not assigned; and all white space but a plain one. */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
/** Alphabets whose letters are drawn alike: a name has letters of one of them (after UTS 39, section 5.2). */
const ALPHABETS = [/\p{scx=Latin}/u, /\p{scx=Cyrillic}/u, /\p{scx=Greek}/u, /\p{scx=Armenian}/u, /\p{scx=Cherokee}/u, /\p{scx=Coptic}/u];

/**
 * The name, if it can be one: something that reads like no other and that no object has as a property by itself.
 * @throws ROOM_NAME_INVALID
 */
export function checkName(name: unknown, maxLength: number): string {
  const wrong = typeof name === 'string' ? complaint(name, maxLength) : `must be a text, but is ${describe(name)}`;
  if (wrong) throw refusal('ROOM_NAME_INVALID', { reason: wrong });
  return name as string;
}

function complaint(name: string, maxLength: number): string | undefined {
  if (name === '') return 'is empty';
  if (name.length > maxLength) return `has ${name.length} characters; at most ${maxLength} are allowed`;
  if (name in {} || name === 'prototype') return 'is reserved';
  if (UNSEEN.test(name)) return 'has characters that cannot be seen';
  if (name.trim() !== name || name.includes('  ')) return 'has spaces where they cannot be seen';
  // Full-width letters, ligatures and the like look as others do.
  if (name.normalize('NFKC') !== name) return 'has characters that look like others';
  const letters = name.replace(/\P{L}/gu, '');
  if (ALPHABETS.filter((alphabet) => alphabet.test(letters)).length > 1) return 'mixes alphabets whose letters look alike';
  return undefined;
}
