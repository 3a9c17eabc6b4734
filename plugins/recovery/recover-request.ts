import {
  isRecord, validationError, type Message, type ModuleError, type Position,
} from '../../src/index.ts';

/** Topics, epochs and ids have at most this many UTF-16 units. */
const MAX_NAME_LENGTH = 512;

const invalid = (path: string, message: string): ModuleError => validationError([{ path, message }]);

/** The fields of a `recover` message. */
export interface RecoverRequest {
  readonly sessionId: string | undefined;
  readonly positions: ReadonlyMap<string, Position>;
  /** The name of the client's outbox. */
  readonly outbox: string | undefined;
}

/** Reads the fields of a `recover` message. @throws VALIDATION_FAILED */
export function readRequest({ payload, sessionId }: Message, maxPositions: number): RecoverRequest {
  const fields: Record<string, unknown> = isRecord(payload) ? payload : {};
  const id = sessionId ?? fields.sessionId ?? undefined;
  if (id !== undefined && (typeof id !== 'string' || id.length > MAX_NAME_LENGTH)) {
    throw invalid('sessionId', `must be a string of up to ${MAX_NAME_LENGTH} characters`);
  }
  const outbox = fields.outbox ?? undefined;
  const isName = typeof outbox === 'string' && outbox !== '' && outbox.length <= MAX_NAME_LENGTH;
  if (outbox !== undefined && !(isName && outbox.isWellFormed())) {
    throw invalid('outbox', `must be a string of 1 to ${MAX_NAME_LENGTH} characters`);
  }
  const given = fields.positions ?? [];
  if (!Array.isArray(given) || given.length > maxPositions) {
    throw invalid('positions', `must be a list of up to ${maxPositions} positions`);
  }
  const positions = new Map<string, Position>();
  for (const [index, one] of given.entries()) {
    const path = `positions[${index}]`;
    const [topic, position] = readPosition(one, path);
    if (positions.has(topic)) throw invalid(`${path}.topic`, 'must not be named twice');
    positions.set(topic, position);
  }
  return { sessionId: id, positions, outbox };
}

function readPosition(given: unknown, path: string): [topic: string, position: Position] {
  if (!isRecord(given)) throw invalid(path, 'must be an object with topic, epoch, offset and id');
  const { topic, epoch, offset, id = '' } = given;
  const name = (field: string, value: unknown, min = 1): string => {
    const isName = typeof value === 'string' && value.length >= min && value.length <= MAX_NAME_LENGTH;
    if (isName && value.isWellFormed()) return value;
    throw invalid(`${path}.${field}`, `must be a string of ${min} to ${MAX_NAME_LENGTH} characters`);
  };
  if (!Number.isSafeInteger(offset) || (offset as number) < 0) {
    throw invalid(`${path}.offset`, 'must be an integer, 0 or more');
  }
  return [name('topic', topic), { epoch: name('epoch', epoch), offset: offset as number, id: name('id', id, 0) }];
}
