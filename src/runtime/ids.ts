import { randomFillSync } from 'node:crypto';
import { v4 } from 'uuid';

/** A short random id for a node of a cluster. */
export const newNodeId = (): string => v4().slice(0, 8);

/**
 * An id for a connection, from which its node can be read. In one piece: V8 would keep the parts for as long as the
 * connection, twice the memory.
 */
export const newConnectionId = (nodeId: string): string => Buffer.from(`${nodeId}.${newId()}`).toString();

/** Whether a text could be the id of a connection. */
export const isConnectionId = (text: string): boolean =>
  /\.[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);

/** The node that holds a connection, or an empty string. */
export const nodeOf = (connectionId: string): string => connectionId.slice(0, Math.max(0, connectionId.indexOf('.')));

const secrets = Buffer.alloc(4_096);
let spent = secrets.length;

/** 128 random bits, drawn for many at once: a draw costs ten times as much as the rest. */
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
 * A UUID v7: unique, and sorting in the order of creation within this process (RFC 9562, 6.2, method 1: a counter in
 * `rand_a`; when it runs over, the time is ahead by a millisecond). The 62 bits of `rand_b` are drawn anew for each
 * millisecond, and tell processes apart; ids of one millisecond differ by their counter, so an id is no secret.
 * `uuid`'s own costs 2 µs, most of it for a call to the random generator each time; this one costs a tenth of that.
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
  // The upper bit is left free, so that a millisecond has room for at least 2,048 ids.
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

/** The time now in ISO 8601, written once per millisecond. */
export function timestamp(now = Date.now()): string {
  if (now !== writtenAt) {
    writtenAt = now;
    written = new Date(now).toISOString();
  }
  return written;
}
