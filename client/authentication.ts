import type { ClientError } from './client-error.ts';
import { fail, serverError, textOf } from './client-error.ts';
import { limited } from './limited.ts';
import type { TokenSource } from './token-source.ts';

export type Reply = Readonly<Record<string, any>>;

/** Asks the server to name its features in the answer: it says whether it has sessions. */
export const askingForFeatures = (message: Reply): Reply => (
  { ...message, meta: { ...message['meta'] as object, features: true } }
);

/** The verdict of the server about a token. */
export interface Verdict {
  /** `refused` is final for this token; `later` may be tried again. */
  readonly result: 'accepted' | 'refused' | 'later';
  readonly error?: ClientError | undefined;
  readonly reply?: Reply | undefined;
}

interface Port {
  /** Sends a message of the client itself. */
  ask(message: Reply, onReply: (reply: Reply) => void): void;
  report(error: ClientError): void;
}

/** Sends the token of one connection, and renews it before it expires. */
export class Authentication {
  readonly #tokens: TokenSource;
  readonly #port: Port;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(tokens: TokenSource, port: Port) {
    this.#tokens = tokens;
    this.#port = port;
  }

  start(token: string, decided: (verdict: Verdict) => void): void {
    this.#port.ask(askingForFeatures({ type: 'auth', content: { token } }), (reply) => {
      if (reply['type'] !== 'error') {
        this.#renewBefore(reply);
        return decided({ result: 'accepted', reply });
      }
      const error = serverError(reply);
      const isPassing = error.details['retryAfter'] !== undefined || /^(INTERNAL|HANDLER)_/.test(error.code);
      // A server without the handler does not check tokens.
      decided({ result: error.code === 'UNKNOWN_TYPE' ? 'accepted' : isPassing ? 'later' : 'refused', error });
    });
  }

  /** The connection is gone. */
  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #renewBefore({ content, timestamp }: Reply): void {
    const expiresAt = Date.parse(content?.expiresAt);
    // The clock of the device may be wrong: only the server's times are compared.
    const now = Date.now();
    if (expiresAt && this.#tokens.canRenew) this.#renewAt(now + expiresAt - (Date.parse(timestamp) || now));
  }

  #renewAt(expiry: number): void {
    const left = expiry - Date.now();
    if (left < 1_000) return;
    this.#timer = setTimeout(() => {
      this.#tokens.refresh().then((token) => {
        if (!token || this.#isOver) return;
        this.#port.ask({ type: 'auth:refresh', content: { token } }, (reply) => {
          if (reply['type'] === 'error') this.#port.report(serverError(reply));
          else this.#renewBefore(reply);
        });
      }, (error: unknown) => {
        if (this.#isOver) return;
        this.#port.report(fail('TOKEN_UNAVAILABLE', `the token was not renewed: ${textOf(error)}`, {}, error));
        this.#renewAt(expiry);
      });
    }, limited(left * 0.8));
  }
}
