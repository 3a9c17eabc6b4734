import type { IncomingMessage } from 'node:http';
import { ModuleError } from '../../src/index.ts';
import './polling-errors.ts';

/** The headers of a request, decoded. */
export interface PollingRequest {
  readonly session: string | undefined;
  readonly origin: string | undefined;
  /** The position up to which the client has received everything. */
  readonly received: number;
  /** The position of the first byte of the body. */
  readonly position: number;
  /** Milliseconds that the client wants to wait for bytes. */
  readonly wait: number;
  /** Whether the client asks for server-sent events. */
  readonly wantsStream: boolean;
}

// The id of a node, and 22 characters with 128 random bits.
const SESSION = /^[\w-]{1,64}\.[\w-]{22}$/;
const TYPE = /^application\/octet-stream\s*(?:;|$)/i;

/** Reads the headers. @throws POLLING_INVALID, POLLING_SESSION_UNKNOWN */
export function readRequest({ headers }: IncomingMessage): PollingRequest {
  const session = headers['polling-session'];
  if (session !== undefined && !SESSION.test(String(session))) throw new ModuleError('POLLING_SESSION_UNKNOWN');
  return {
    session: session === undefined ? undefined : String(session),
    origin: headers.origin,
    received: numberIn(headers['polling-received'], 'Polling-Received') ?? 0,
    position: numberIn(headers['polling-position'], 'Polling-Position') ?? 0,
    wait: numberIn(headers['polling-wait'], 'Polling-Wait') ?? Infinity,
    wantsStream: headers.accept?.includes('text/event-stream') === true,
  };
}

/**
 * Checks the Content-Type. A page of another origin cannot send this type without a preflight.
 * @throws POLLING_TYPE_INVALID
 */
export function checkType({ headers }: IncomingMessage): void {
  if (!TYPE.test(headers['content-type'] ?? '')) throw new ModuleError('POLLING_TYPE_INVALID');
}

function numberIn(header: string | string[] | undefined, name: string): number | undefined {
  if (header === undefined) return undefined;
  const value = /^\d{1,16}$/.test(String(header)) ? Number(header) : NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new ModuleError('POLLING_INVALID', { reason: `${name} must be an integer, 0 or more` });
}
