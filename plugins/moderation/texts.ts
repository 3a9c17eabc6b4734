import { isRecord } from '../../src/index.ts';

/** The texts in a content, however deep, in their order. Names of fields are none. */
export function textsIn(content: unknown, found: string[] = []): string[] {
  if (typeof content === 'string') found.push(content);
  else if (Array.isArray(content) || isRecord(content)) for (const value of Object.values(content)) textsIn(value, found);
  return found;
}

/** The content with other texts in place of its own, in the same order. What has none of those that changed stays itself. */
export function withTexts(content: unknown, texts: readonly string[]): unknown {
  let next = 0;
  const replace = (value: unknown): unknown => {
    if (typeof value === 'string') return texts[next++];
    if (Array.isArray(value)) return changed(value, value.map(replace));
    if (isRecord(value)) return changed(value, Object.fromEntries(Object.entries(value).map(([key, one]) => [key, replace(one)])));
    return value;
  };
  return replace(content);
}

function changed<T extends object>(before: T, after: T): T {
  return Object.entries(after).some(([key, value]) => value !== before[key as keyof T]) ? after : before;
}
