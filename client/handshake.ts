import { askingForFeatures, Authentication, type Reply } from './authentication.ts';
import { serverError, type ClientError } from './client-error.ts';
import type { Settings } from './settings.ts';
import type { TokenSource } from './token-source.ts';

export interface HandshakePort {
  /** The phase `authenticating` begins. The server must accept the connection within `timeout` milliseconds. */
  enter(why: string, timeout?: number): void;
  /** Sends a message of the client itself. */
  ask(message: Reply, onReply: (reply: Reply) => void): void;
  report(error: ClientError): void;
  lost(why: string, code?: number, reason?: string, retryAfter?: number): void;
  /** The message that asks for the session of the client, if the first answer of the server says that it has one. */
  session(greeting: Reply | undefined): Reply | undefined;
  answered(reply: Reply): void;
  /** The server accepted the connection. */
  up(why: string): void;
}

/** What happens between an open connection and one in use: a token or a ping, and the question for the session. */
export class Handshake {
  readonly #settings: Settings;
  readonly #tokens: TokenSource;
  readonly #port: HandshakePort;
  #authentication: Authentication | undefined;
  /** Whether a pong is the reply that decides: not while a token is checked, or the session is awaited. */
  #isGreeting = false;

  constructor(settings: Settings, tokens: TokenSource, port: HandshakePort) {
    this.#settings = settings;
    this.#tokens = tokens;
    this.#port = port;
  }

  /** The connection is open. The server must send something within `timeout` milliseconds. */
  begin(token: string | undefined, why: string, timeout: number): void {
    const { auth, heartbeat } = this.#settings;
    if (token && auth.via === 'message') this.#authenticate(token, why, timeout);
    else if (heartbeat.enabled) {
      // Waits for a first reply: a server that refuses a browser completes the handshake first.
      this.#isGreeting = true;
      this.#port.enter(why, timeout);
      this.#port.ask(askingForFeatures(heartbeat.pingMessage), (reply) => this.#accepted('the server answered', reply));
    } else this.#accepted(why);
  }

  /** A pong came, which may have no `replyTo`. */
  pong(message: Reply): void { if (this.#isGreeting) this.#accepted('the server answered', message); }

  /** The connection is gone. */
  stop(): void {
    this.#isGreeting = false;
    this.#authentication?.stop();
  }

  #authenticate(token: string, why: string, timeout: number): void {
    this.#port.enter(why, timeout);
    this.#authentication = new Authentication(this.#tokens, this.#port);
    this.#authentication.start(token, ({ result, error, reply }) => {
      if (error) this.#port.report(error);
      if (result === 'accepted') this.#accepted(error?.message ?? 'the token was accepted', reply);
      else if (result === 'refused') this.#port.lost(`the token was refused: ${error!.message}`, 4001);
      else this.#port.lost(error!.message, undefined, '', error!.details['retryAfter'] as number | undefined);
    });
  }

  /** Asks for the session before anything else: its answer comes before all messages of its topics. */
  #accepted(why: string, greeting?: Reply): void {
    this.#isGreeting = false;
    const request = this.#port.session(greeting);
    if (!request) return this.#port.up(why);
    this.#port.ask(request, (reply) => {
      const error = reply['type'] === 'error' ? serverError(reply) : undefined;
      const retryAfter = error?.details['retryAfter'] as number | undefined;
      // The server has the session, but cannot reach it now.
      if (retryAfter !== undefined || /^(STORE|LEASE)_/.test(error?.code ?? '')) {
        return this.#port.lost(error!.message, undefined, '', retryAfter);
      }
      this.#port.answered(reply);
      this.#port.up(why);
    });
  }
}
