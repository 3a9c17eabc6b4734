/** Characters of the shortest token that is redacted. A shorter one would match parts of words. */
const MIN_SECRET = 8;

/** Redacts a token in the texts of an error, in place, so that the error may be logged. */
export function redactToken(error: Error, token: string): Error {
  if (token.length < MIN_SECRET) return error;
  const seen = new Set<unknown>();
  for (let one: unknown = error; one instanceof Error && !seen.has(one); one = one.cause) {
    seen.add(one);
    for (const key of ['message', 'stack'] as const) {
      const text = one[key];
      // Reflect.set and not assignment: with a frozen error, an assignment would throw.
      if (text?.includes(token)) Reflect.set(one, key, text.replaceAll(token, '[redacted]'));
    }
  }
  return error;
}
