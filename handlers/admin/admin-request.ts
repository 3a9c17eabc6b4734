import { isIP } from 'node:net';
import { isRecord, lengthUpTo, plainAddress, validationError } from '../../src/index.ts';

/** The target of an action: a user, a connection, an address, or several of these. */
export interface Target {
  /** The id of a user, or of an anonymous connection. */
  readonly userId?: string | undefined;
  readonly connectionId?: string | undefined;
  readonly address?: string | undefined;
}

/** A checked request of an administrator. */
export interface AdminRequest {
  readonly target: Target;
  readonly reason?: string | undefined;
  readonly duration?: number | undefined;
}

/** UTF-16 units of the id of a user or a connection. */
const MAX_ID = 255;
/** Characters as people count them. */
const MAX_REASON = 256;
/** A hundred years, in milliseconds. A ban without a duration never ends. */
const MAX_DURATION = 3_155_760_000_000;

type FieldRule = readonly [test: (value: unknown) => boolean, message: string];
const id: FieldRule = [
  (value) => typeof value === 'string' && value !== '' && value.length <= MAX_ID,
  `must be a string of 1 to ${MAX_ID} characters`,
];
const FIELDS: Readonly<Record<keyof Target | 'reason' | 'duration', FieldRule>> = {
  userId: id,
  connectionId: id,
  address: [(value) => typeof value === 'string' && isIP(value) !== 0, 'must be an IP address'],
  reason: [
    (value) => typeof value === 'string' && value !== '' && lengthUpTo(value, MAX_REASON) <= MAX_REASON,
    `must be a string of 1 to ${MAX_REASON} characters`,
  ],
  duration: [
    (value) => Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= MAX_DURATION,
    `must be milliseconds from 1 to ${MAX_DURATION}`,
  ],
};

/** @throws VALIDATION_FAILED */
export function readRequest(payload: unknown): AdminRequest {
  const given = isRecord(payload) ? payload : {};
  const issues = Object.entries(FIELDS).flatMap(([path, [test, message]]) => (
    given[path] === undefined || test(given[path]) ? [] : [{ path, message }]
  ));
  if (issues.length > 0) throw validationError(issues);
  const { userId, connectionId, address, reason, duration } = given as Target & Omit<AdminRequest, 'target'>;
  if ((userId ?? connectionId ?? address) === undefined) {
    throw validationError([{ path: 'userId', message: 'is required, unless connectionId or address is given' }]);
  }
  const target = defined({ userId, connectionId, address: address && plainAddress(address) });
  return { target, ...defined({ reason, duration }) };
}

/** The content of an announcement: the payload, or its field `content`. @throws VALIDATION_FAILED */
export function readAnnouncement(payload: unknown): { readonly target: undefined; readonly content: unknown } {
  const content = isRecord(payload) && Object.hasOwn(payload, 'content') ? payload.content : payload;
  const isEmpty = content === undefined || content === null || content === ''
    || (isRecord(content) && Object.keys(content).length === 0);
  if (isEmpty) throw validationError([{ path: 'content', message: 'is required' }]);
  return { target: undefined, content };
}

/** The fields that are not undefined. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T> as
    { [K in keyof T]?: Exclude<T[K], undefined> };
}
