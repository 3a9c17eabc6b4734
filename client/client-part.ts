import type { ClientError, ClientErrorCode } from './client-error.ts';
import type { Link } from './link.ts';
import type { Memberships } from './memberships.ts';
import type { Recovery } from './recovery.ts';
import type { QueueItem, SendQueue } from './send-queue.ts';

/** What a part sees of its client. */
export interface ClientHost {
  readonly url: string;
  /** The id of the user; `''` for anonymous clients. */
  readonly user: string;
  readonly link: Pick<Link, 'isOpen'>;
  readonly queue: SendQueue;
  readonly recovery: Recovery;
  readonly memberships: Memberships;
  /** Makes an error. */
  fail(
    code: ClientErrorCode, message: string, details?: Readonly<Record<string, unknown>>, cause?: unknown,
  ): ClientError;
  /** Emits an event of the client, such as `error`. */
  emit(event: string, ...args: unknown[]): void;
}

/** A part that is loaded separately, and given to the client as an option. It belongs to one client. */
export interface ClientPart {
  attach(host: ClientHost): void;
  /** Called before each attempt to connect, which waits for it. Never rejects. */
  ready(): Promise<void>;
  /** The connection is up, and what listeners of `open` sent is written. */
  up(): void;
  /** The connection is gone, and the queue has been interrupted. */
  down(): void;
  /** The client stopped: `disconnect()` was called, or it failed for good. */
  end(error: ClientError, isDisconnected: boolean): void;
}

/** Keeps messages beyond the life of the page. */
export interface OutboxPart extends ClientPart {
  /** Under this name, the server recognizes repeated messages of a user beyond a session. */
  readonly name: string | undefined;
  /** Adds a message. Resolves or rejects once. */
  add(item: QueueItem): Promise<void>;
}
