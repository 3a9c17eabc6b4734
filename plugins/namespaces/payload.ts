import { isRecord, type Message } from '../../src/index.ts';

/** What a message says: its payload, together with the fields beside the envelope's own. */
export function payload({ content, fields }: Message): unknown {
  if (content === fields || Object.keys(fields).length === 0) return content;
  return isRecord(content) ? { ...fields, ...content } : { ...fields, content };
}
