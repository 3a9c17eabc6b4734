import { isRecord } from '../src/protocol.ts';
import type { Position } from './topic-positions.ts';

type TopicPosition = Position & { readonly topic: string };

/** What a page leaves for the next one. */
export interface StoredState {
  readonly version: 1;
  /** When it was written, in milliseconds since the epoch. */
  readonly at: number;
  readonly sessionId?: string | undefined;
  readonly rooms: readonly string[];
  readonly topics: readonly string[];
  readonly positions: readonly TopicPosition[];
}

/** As the server accepts them. */
const MAX_NAME = 512;
const MAX_ITEMS = 500;

const isName = (value: unknown): value is string => typeof value === 'string' && value.length <= MAX_NAME;
const isPosition = (value: unknown): value is TopicPosition => {
  if (!isRecord(value) || !isName(value['topic']) || !isName(value['epoch']) || !isName(value['id'])) return false;
  return Number.isSafeInteger(value['offset']) && (value['offset'] as number) >= 0;
};

function listOf<T>(value: unknown, check: (item: unknown) => item is T): T[] | undefined {
  return Array.isArray(value) && value.length <= MAX_ITEMS && value.every(check) ? value : undefined;
}

/** Reads what is stored. `undefined` for anything else: other code may have written it. */
export function readState(text: string | null): StoredState | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    // Not JSON.
    return undefined;
  }
  if (!isRecord(value) || value['version'] !== 1 || !Number.isFinite(value['at'])) return undefined;
  const { at, sessionId } = value as { at: number; sessionId: unknown };
  const rooms = listOf(value['rooms'], isName);
  const topics = listOf(value['topics'], isName);
  const positions = listOf(value['positions'], isPosition);
  if (!rooms || !topics || !positions || !(sessionId === undefined || isName(sessionId))) return undefined;
  return { version: 1, at, sessionId, rooms, topics, positions };
}
