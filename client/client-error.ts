import { isRecord } from '../src/protocol.ts';

/** The codes of errors that the client itself raises. Errors of the server have the server's codes. */
export type ClientErrorCode =
  | 'ABORTED' | 'CANCELLED' | 'CONFIG_INVALID' | 'CONNECTION_CLOSED' | 'CONNECTION_FAILED' | 'LISTENER_FAILED'
  | 'MESSAGE_EXPIRED' | 'MESSAGE_INVALID' | 'MESSAGE_TOO_LONG' | 'NOT_CONNECTED' | 'OUTCOME_UNKNOWN' | 'QUEUE_FULL'
  | 'STORAGE_FAILED' | 'STREAM_FULL' | 'TIMEOUT' | 'TOKEN_UNAVAILABLE' | 'USER_MISMATCH';

/** The error of the client. `code` is for programs; `details` has what belongs to the code. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, details: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }
}

export const fail = (
  code: ClientErrorCode, message: string, details?: Readonly<Record<string, unknown>>, cause?: unknown,
): ClientError => new ClientError(code, message, details, cause);

/** Converts a message of type `error`. */
export function serverError(message: Readonly<Record<string, any>>): ClientError {
  const content = isRecord(message.content) ? message.content : message;
  const { code, message: text, ...details } = content as { code?: unknown; message?: unknown };
  const name = typeof code === 'string' ? code : 'INTERNAL_ERROR';
  return new ClientError(name, typeof text === 'string' ? text : name, details);
}

/** The text of anything that was thrown. */
export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Where failures go that nothing else reports. */
export const reportToConsole = (text: string, error: unknown): void =>
  (globalThis as unknown as { console: { error(...args: unknown[]): void } }).console.error(text, error);
