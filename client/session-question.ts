import type { Reply } from './authentication.ts';
import { serverError } from './client-error.ts';

/** A server without sessions may not answer at all: the first question for one has this deadline, in milliseconds. */
const DEADLINE = 2_000;

interface Port {
  after(milliseconds: number, expire: () => void): void;
  ask(message: Reply, onReply: (reply: Reply) => void): void;
  tooSlow(): void;
  /** The server answered, or did not. */
  answered(reply: Reply | undefined): void;
  /** The server wants to be asked later, in so many milliseconds. */
  busy(retryAfter: number): void;
}

/** Asks for the session of the client, on a new connection. */
export function askForSession(request: Reply, connectTimeout: number, port: Port): void {
  // A server that has given a session before answers.
  if (request['content'].sessionId !== undefined) port.after(connectTimeout, () => port.tooSlow());
  else port.after(Math.min(DEADLINE, connectTimeout), () => port.answered(undefined));
  port.ask(request, (reply) => {
    const retryAfter = reply['type'] === 'error' ? serverError(reply).details['retryAfter'] : undefined;
    if (typeof retryAfter === 'number') port.busy(retryAfter);
    else port.answered(reply);
  });
}
