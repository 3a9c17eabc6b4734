/** Whether a code is allowed in a close frame (RFC 6455 7.4): 1004 to 1006 and 1015 are not. */
export function isCloseCode(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

/** Cuts a close reason to 123 bytes, the maximum of a close frame (RFC 6455 5.5), without splitting a character. */
export function clip(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= 123) return reason;
  let end = 123;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
