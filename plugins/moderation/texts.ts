import { isRecord } from '../../src/index.ts';

/** The texts in a content, at any depth, in their order. Names of fields are not included. */
export function textsIn(content: unknown, found: string[] = []): string[] {
  if (typeof content === 'string') found.push(content);
  else if (Array.isArray(content)) for (const value of content) textsIn(value, found);
  else if (isRecord(content)) for (const value of Object.values(content)) textsIn(value, found);
  return found;
}

/**
 * Replaces the texts of a content by others, in the same order. Parts without changed texts are not copied.
 */
export function withTexts(content: unknown, texts: readonly string[]): unknown {
  let next = 0;
  const replace = (value: unknown): unknown => {
    if (typeof value === 'string') return texts[next++];
    if (Array.isArray(value)) return changed(value, value.map(replace));
    if (!isRecord(value)) return value;
    return changed(value, Object.fromEntries(Object.entries(value).map(([key, one]) => [key, replace(one)])));
  };
  return replace(content);
}

function changed<T extends object>(before: T, after: T): T {
  return Object.entries(after).some(([key, value]) => value !== before[key as keyof T]) ? after : before;
}
