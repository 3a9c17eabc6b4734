const SECRETS = /([?&#](?:token|access_token|auth|jwt)=|\bbearer[.\s]+)[^&\s"'#,;]+/gi;
// A JWT wherever it stands: its header is JSON in base64url, and so begins with `{"`. The look-behind keeps the search
// linear.
const JWT = /(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*/g;
// Controls, formats (such as U+202E, which turns the writing direction around), line ends, and halves of pairs.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Characters of a line; an error may quote all of a message. */
const MAX_LINE = 8_192;
/** Lines of a stack, and characters of each. */
const MAX_FRAMES = 50;
const MAX_FRAME = 1_024;

/**
 * A text as it may stand in a log, in one line: no token, and no character that could forge a line, drive a terminal or
 * make a line read differently than it is written.
 */
export function clean(text: string): string {
  return text.replace(SECRETS, '$1[redacted]').replace(JWT, '[redacted]').replace(UNPRINTABLE, escaped);
}

/** The same, cut to a length that many lines may have. */
export function cleanLine(text: string, max = MAX_LINE): string {
  return text.length <= max ? clean(text) : `${clean(text.slice(0, max))}… (${text.length} characters)`;
}

/** The lines of an error's stack, each after a line end. The error's message, which may be a client's, forges none. */
export function stackLines(error: { readonly message: unknown; readonly stack?: unknown }): string {
  const message = String(error.message);
  const stack = String(error.stack);
  const at = stack.indexOf(message);
  const header = message === '' ? stack.split('\n', 1)[0]! : stack.slice(0, at);
  // The stack holds another message where the error's was changed later; what stands where cannot be told then.
  if (at < 0 || header.includes('\n') || (message === '' && header.includes(': '))) return '';
  return stack.slice(at + message.length).split('\n', MAX_FRAMES + 1).slice(1)
    .filter((line) => line.startsWith('    at '))
    .map((line) => `\n    ${clean(line.slice(4, MAX_FRAME))}`)
    .join('');
}

function escaped(character: string): string {
  const code = character.codePointAt(0)!.toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`;
}
