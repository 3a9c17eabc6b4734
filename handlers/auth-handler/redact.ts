/** Characters from which a text is taken for a secret; a shorter one would only blot out letters. */
const LEAST = 8;

/** Takes a token out of what an application's error says, in place: the error stays what it is, and may be logged. */
export function redact(error: Error, token: string): Error {
  if (token.length < LEAST) return error;
  const seen = new Set<unknown>();
  for (let one: unknown = error; one instanceof Error && !seen.has(one); one = one.cause) {
    seen.add(one);
    for (const key of ['message', 'stack'] as const) {
      const text = one[key];
      // Reflect.set and not assignment: where it cannot be changed, as in a frozen error, that is no failure of its own.
      if (text?.includes(token)) Reflect.set(one, key, text.replaceAll(token, '[redacted]'));
    }
  }
  return error;
}
