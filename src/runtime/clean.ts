const SECRETS = /([?&#](?:token|access_token|auth|jwt)=|\bbearer[.\s]+)[^&\s"'#,;]+/gi;
// A JWT anywhere in the text: its header is JSON in base64url, so it begins with `{"`, which is `eyJ`. The look-behind
// keeps the search linear.
const JWT = /(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*/g;
// Control and format characters (such as U+202E, which reverses the writing direction), line ends, lone surrogates.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Characters of a log line. An error may quote a whole message. */
const MAX_LINE = 8_192;
/** Lines of a stack, and characters of each line. */
const MAX_FRAMES = 50;
const MAX_FRAME = 1_024;

/**
 * Cleans a text for a log line: redacts tokens, and escapes characters that could forge a line, control a terminal or
 * change the order of the text.
 */
export function clean(text: string): string {
  return text.replace(SECRETS, '$1[redacted]').replace(JWT, '[redacted]').replace(UNPRINTABLE, escaped);
}

/** Cleans a text, and cuts it to a maximum length. */
export function cleanLine(text: string, max = MAX_LINE): string {
  return text.length <= max ? clean(text) : `${clean(text.slice(0, max))}… (${text.length} characters)`;
}

/** The frames of an error's stack, each on a new line. Lines of the message, which may quote a client, are left out. */
export function stackLines(error: { readonly message: unknown; readonly stack?: unknown }): string {
  const message = String(error.message);
  const stack = String(error.stack);
  const at = stack.indexOf(message);
  const header = message === '' ? stack.split('\n', 1)[0]! : stack.slice(0, at);
  // If the message was changed later, the stack contains another one, and cannot be told apart from the frames.
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
