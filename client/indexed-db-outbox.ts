import { Outbox } from './outbox.ts';
import { checkOptions } from './part-options.ts';

export interface OutboxOptions {
  /** `false`: messages wait in memory. @default true */
  readonly enabled?: boolean | undefined;
  /** Messages that may wait, or are not acknowledged, or have an unknown outcome. @default 10_000 */
  readonly queueSize?: number | undefined;
  /** They are always sent after a reconnect. @default true */
  readonly syncOnReconnect?: true | undefined;
  readonly storage?: {
    /** There is no other. @default 'indexeddb' */
    readonly type?: 'indexeddb' | undefined;
    /** The beginning of the name of the database. @default 'websocket-outbox' */
    readonly key?: string | undefined;
    /** Bytes of these messages: a number, or a text such as `'50MB'`. @default '50MB' */
    readonly maxSize?: number | string | undefined;
    /** Milliseconds after which a message fails that was never sent. @default 604_800_000, which is 7 days */
    readonly ttl?: number | undefined;
  } | undefined;
}

const DEFAULTS = {
  enabled: true, queueSize: 10_000, syncOnReconnect: true,
  storage: { type: 'indexeddb', key: 'websocket-outbox', maxSize: 50 * 2 ** 20, ttl: 604_800_000 },
};
const UNITS: Readonly<Record<string, number>> = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 };

/**
 * Keeps messages of a user in IndexedDB until the server has acknowledged them: a message that was written before a
 * reload or a crash is delivered after it, once. It belongs to one client.
 *
 * @throws {TypeError} if an option is wrong
 * @example const outbox = indexedDbOutbox(); new WebSocketClient({ url, state: { user: 'ada', offline: outbox } });
 */
export function indexedDbOutbox(options: OutboxOptions = {}): Outbox {
  const given = options.storage?.maxSize === undefined
    ? options
    : { ...options, storage: { ...options.storage, maxSize: bytesOf(options.storage.maxSize) } };
  const choices = { 'syncOnReconnect': [true], 'storage.type': ['indexeddb'] };
  const { enabled, queueSize, storage } = checkOptions('indexedDbOutbox', DEFAULTS, given, choices);
  const { key, maxSize, ttl } = storage;
  return new Outbox({ enabled, key, maxMessages: queueSize, maxBytes: maxSize, ttl });
}

/** NaN, which is refused, if it is no size. */
function bytesOf(size: number | string): number {
  if (typeof size === 'number') return size;
  const [, number, unit = 'B'] = /^(\d+(?:\.\d+)?)\s*([KMG]?B)?$/i.exec(size) ?? [];
  return Number(number) * UNITS[unit.toUpperCase()]!;
}
