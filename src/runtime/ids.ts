import { randomFillSync } from 'node:crypto';
import { v4 } from 'uuid';

/** Creates a short random id for a node of a cluster. */
export const newNodeId = (): string => v4().slice(0, 8);

/**
 * Creates an id for a connection. It begins with the id of its node. Through the buffer it becomes one flat string:
 * otherwise V8 would keep its parts as well, which takes twice the memory.
 */
export const newConnectionId = (nodeId: string): string => Buffer.from(`${nodeId}.${newId()}`).toString();

/** Whether a string has the form of a connection id. */
export const isConnectionId = (text: string): boolean =>
  /\.[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);

/** The id of the node in a connection id, or an empty string. */
export const nodeOf = (connectionId: string): string => connectionId.slice(0, Math.max(0, connectionId.indexOf('.')));

const secrets = Buffer.alloc(4_096);
let spent = secrets.length;

/** Creates a session id of 128 random bits. Bits are drawn for 256 ids at once: a draw costs ten times the rest. */
export function newSessionId(): string {
  if (spent === secrets.length) {
    randomFillSync(secrets);
    spent = 0;
  }
  const id = secrets.toString('base64url', spent, spent + 16);
  secrets.fill(0, spent, spent += 16);
  return id;
}

const HEX = Array.from({ length: 4_096 }, (_, value) => value.toString(16).padStart(3, '0'));
const pool = new Uint16Array(3_072);
let used = pool.length;
let milliseconds = 0;
let counter = 0;
let prefix = '';
let tail = '';

/**
 * Creates a UUID v7. The ids of one process sort in the order of their creation (RFC 9562 6.2, method 1: a counter in
 * `rand_a`; after an overflow, the time is ahead by a millisecond). The 62 bits of `rand_b` are drawn once per
 * millisecond and differ between processes. Ids of the same millisecond differ only by the counter, so they are not
 * secret. The v7 of the package `uuid` draws random bits for each id and costs 2 µs; this one costs a tenth of that.
 */
export function newId(now = Date.now()): string {
  if (now > milliseconds) setTime(now);
  else if (++counter === 4_096) setTime(milliseconds + 1);
  return prefix + HEX[counter]! + tail;
}

function setTime(time: number): void {
  if (used + 6 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  milliseconds = time;
  // The counter begins below 2,048, so that a millisecond has room for at least 2,048 ids.
  counter = pool[used++]! & 0x7ff;
  const hex = time.toString(16).padStart(12, '0');
  prefix = `${hex.slice(0, 8)}-${hex.slice(8)}-7`;
  const variant = pool[used++]!;
  tail = `-${'89ab'[variant & 3]!}${draw(variant)}-${draw()}${draw()}${draw()}${draw()}`;
}

/** Three random hexadecimal digits. */
const draw = (drawn = pool[used++]!): string => HEX[drawn >> 4]!;

let writtenAt = 0;
let written = '';

/** The current time in ISO 8601, created once per millisecond. */
export function timestamp(now = Date.now()): string {
  if (now !== writtenAt) {
    writtenAt = now;
    written = new Date(now).toISOString();
  }
  return written;
}
