import { isRecord, type Outgoing } from '../../src/index.ts';

/** A message as a journal keeps it. The send layers have run already. */
export interface StoredMessage {
  readonly message: Outgoing;
  /** The handles of the connections that do not get the message; see {@link Handles}. */
  readonly except?: readonly string[] | undefined;
  /** When its room was created. The members of a later room with the same id do not get the message. */
  readonly room?: number | undefined;
}

/** An entry of a journal, decoded. */
export interface FeedEntry extends StoredMessage {
  readonly epoch: string;
  readonly offset: number;
  readonly id: string;
  /** Bytes of the message. */
  readonly size: number;
}

export const encodeStored = (stored: StoredMessage): string => JSON.stringify(stored);

/** Decodes the value of an entry. `undefined` if something else wrote it. */
export function decodeStored(value: string): StoredMessage | undefined {
  try {
    const stored: unknown = JSON.parse(value);
    if (!isRecord(stored) || !isRecord(stored.message) || typeof stored.message.type !== 'string') return undefined;
    return stored as unknown as StoredMessage;
  } catch {
    // The journal holds a value that this plugin did not write.
    return undefined;
  }
}

/** The message as clients get it: with its topic and its position. */
export const withPosition = (topic: string, { message, epoch, offset }: Omit<FeedEntry, 'size'>): Outgoing =>
  ({ ...message, topic, epoch, offset });
