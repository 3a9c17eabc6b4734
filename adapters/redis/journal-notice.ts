import type { AppendedEntry } from '../../src/index.ts';

/** The first byte of a notice. The journal script publishes one for each entry, to the channel of the topic. */
export const NOTICE = 2;

const SPACE = 0x20;

/** Decodes `<NOTICE><epoch> <offset> <bytes of the id> <id><value>`. `undefined` if it has another form. */
export function decodeNotice(notice: Buffer): AppendedEntry | undefined {
  const first = notice.indexOf(SPACE);
  const second = notice.indexOf(SPACE, first + 1);
  const third = notice.indexOf(SPACE, second + 1);
  if (notice[0] !== NOTICE || first < 2 || second < 0 || third < 0) return undefined;
  const epoch = notice.toString('latin1', 1, first);
  const offset = Number(notice.toString('latin1', first + 1, second));
  const value = third + 1 + Number(notice.toString('latin1', second + 1, third));
  if (!Number.isSafeInteger(offset) || offset < 1 || !(value > third + 1 && value <= notice.length)) return undefined;
  return { epoch, offset, id: notice.toString('utf8', third + 1, value), value: notice.toString('utf8', value) };
}
