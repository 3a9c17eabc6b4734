/** Characters from which a text is taken for a secret. A shorter one would only blot out letters. */
const MIN_SECRET = 8;

/** Removes a token from the texts of an error, in place: the error stays what it is, and may be logged. */
export function redactToken(error: Error, token: string): Error {
  if (token.length < MIN_SECRET) return error;
  const seen = new Set<unknown>();
  for (let one: unknown = error; one instanceof Error && !seen.has(one); one = one.cause) {
    seen.add(one);
    for (const key of ['message', 'stack'] as const) {
      const text = one[key];
      // Reflect.set and not assignment: a frozen error cannot be changed, and that is no failure of its own.
      if (text?.includes(token)) Reflect.set(one, key, text.replaceAll(token, '[redacted]'));
    }
  }
  return error;
}
