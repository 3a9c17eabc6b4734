import type { Reply } from './authentication.ts';
import type { ClientError } from './client-error.ts';
import type { OpeningSocket } from './open-socket.ts';
import type { Step } from './phases.ts';

/** What the link tells the client. */
export interface LinkHooks {
  /** The phase changed. */
  changed(step: Step): void;
  /** What an attempt to connect waits for. Never rejects. */
  ready(): Promise<unknown> | undefined;
  /** The message that asks for the session of the client, if the first answer of the server says that it has one. */
  session(greeting: Reply | undefined): Reply | undefined;
  /** The answer to it. */
  answered(reply: Reply): void;
  /** Whether the connection may be replaced now: nothing waits. `undefined` without a session, which would follow. */
  canSwitch(): boolean | undefined;
  /** The server accepted the connection. */
  up(): void;
  /** The connection was lost, or an attempt failed. */
  down(code: number, reason: string, wasUp: boolean): void;
  /** The next attempt is planned. */
  planned(attempt: number, delay: number): void;
  /** Something failed. If it is final, the link makes no more attempts by itself. */
  failed(error: ClientError, isFinal: boolean): void;
  /** A frame, or the end of the connection, after everything that came before it. */
  received(item: Received): void;
}

/** A frame of a connection, or its end. */
export interface Received {
  readonly socket: OpeningSocket;
  readonly data?: unknown;
  readonly end?: { readonly code: number; readonly reason: string } | undefined;
}
