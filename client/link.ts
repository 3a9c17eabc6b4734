import { canonical, reconnectPolicy } from '../src/protocol.ts';
import type { Reply } from './authentication.ts';
import { backoff, retryIn } from './backoff.ts';
import { fail, textOf, type ClientError } from './client-error.ts';
import type { WebSocketLike } from './default-socket.ts';
import { Handshake } from './handshake.ts';
import { newId } from './ids.ts';
import type { LinkHooks, Received } from './link-hooks.ts';
import { Liveness } from './liveness.ts';
import type { OpeningSocket } from './open-socket.ts';
import { listenToPage, whyAsleep } from './page-events.ts';
import { Phases, type Phase, type Step } from './phases.ts';
import type { Settings } from './settings.ts';
import { TokenSource } from './token-source.ts';
import type { Transport } from './transport-choice.ts';
import { Transports } from './transports.ts';

/** A connection that lasted so many milliseconds earns a new token again if it is refused. */
const STABLE = 10_000;

/** Keeps one connection to the server: connects, authenticates, notices dead connections, and reconnects. */
export class Link {
  readonly #settings: Settings;
  readonly #hooks: LinkHooks;
  readonly #tokens: TokenSource;
  readonly #phases: Phases;
  /** What the replies to the link's own messages do. */
  readonly #replies = new Map<string, (reply: Reply) => void>();
  readonly #handshake: Handshake;
  readonly #liveness: Liveness;
  readonly #transports: Transports;
  /** The present connection, from the first moment on. */
  #opening: OpeningSocket | undefined;
  /** Grows with each attempt: what was started for an earlier one is ignored. */
  #generation = 0;
  #attempts = 0;
  #connectedAt = 0;
  /** Before this time the server wants no attempt. */
  #notBefore = 0;
  #nextAttempt: number | undefined;
  /** The next attempt needs a new token, because the server refused the one before. */
  #needsNewToken = false;
  #usedNewToken = false;
  /** Whether the failed link connects again when the page wakes it. */
  #isResting = false;
  #stopListening: (() => void) | undefined;
  #error: ClientError | undefined;

  constructor(settings: Settings, hooks: LinkHooks) {
    this.#settings = settings;
    this.#hooks = hooks;
    this.#tokens = new TokenSource(settings.auth);
    this.#phases = new Phases((step) => hooks.changed(step));
    this.#liveness = new Liveness(settings.heartbeat, this.#phases, {
      ask: (message) => this.ask(message, () => undefined),
      forget: (id) => void this.#replies.delete(id),
      lost: (why) => this.#lost(why),
    });
    this.#handshake = new Handshake(settings, this.#tokens, {
      enter: (why, timeout) => this.#enter('authenticating', why, timeout),
      ask: (message, onReply) => void this.ask(message, onReply),
      report: (error) => this.#report(error),
      lost: (...args) => this.#lost(...args),
      session: (greeting) => hooks.session(greeting),
      answered: (reply) => hooks.answered(reply),
      up: (why) => this.#up(why),
    });
    this.#transports = new Transports(settings, {
      token: () => this.#tokens.get(),
      canSwitch: () => hooks.canSwitch()
        && this.phase === 'connected' && this.#replies.size === 0 && this.bufferedAmount === 0,
      switchNow: (why) => this.#replace(why),
    });
  }

  get phase(): Phase { return this.#phases.phase; }
  get isUp(): boolean { return this.phase === 'connected' || this.phase === 'probing'; }
  get transport(): Transport { return this.#transports.current; }
  get attempts(): number { return this.#attempts; }
  get error(): ClientError | undefined { return this.#error; }
  get nextAttempt(): number | undefined { return this.#nextAttempt; }
  get steps(): readonly Step[] { return [...this.#phases.steps]; }
  get bufferedAmount(): number { return this.#opening?.socket.bufferedAmount ?? 0; }
  /** Whether a frame can be written. A closing socket drops frames in silence. */
  get isOpen(): boolean { return this.isUp && this.#opening?.socket.readyState === 1; }

  /** Connects, or connects now instead of later. */
  connect(): void {
    this.#stopListening ??= listenToPage({
      wake: (why) => this.#wake(why),
      check: (why) => this.#liveness.probe(why),
      offline: () => this.#offline(),
      hide: () => this.#hide(),
      networkChanged: () => this.#transports.choice?.networkChanged(),
    });
    if (this.#opening || this.phase === 'connecting') return;
    if (this.phase === 'disconnected' || this.phase === 'failed') this.#startOver();
    this.#open('connect() was called');
  }

  /** Disconnects. Does not wait for the closing handshake. */
  disconnect(why = 'disconnect() was called'): void {
    this.#stop();
    if (this.phase === 'disconnected') return;
    const { isUp } = this;
    this.#drop();
    this.#enter('disconnected', why);
    this.#hooks.down(1000, '', isUp);
  }

  /** Writes a frame. */
  write(frame: string | Uint8Array): void { this.#opening!.socket.send(frame); }

  /** Sends a message of the client itself, before all messages of the application. */
  ask(message: Reply, onReply: (reply: Reply) => void): string {
    const id = newId();
    this.#replies.set(id, onReply);
    this.#opening?.socket.send(JSON.stringify({ ...message, id, ack: true }));
    return id;
  }

  /** Whether an item belongs to the present connection. */
  isCurrent({ socket }: Received): boolean { return socket === this.#opening; }

  /** Looks at a received message. Returns whether it was for the link. */
  handle(message: Reply): boolean {
    const { replyTo, type } = message as { replyTo?: string; type: string };
    const onReply = replyTo === undefined ? undefined : this.#replies.get(replyTo);
    if (onReply) {
      this.#replies.delete(replyTo!);
      onReply(message);
      return true;
    }
    if (canonical(type) === canonical(this.#settings.heartbeat.pongMessage.type)) this.#handshake.pong(message);
    return false;
  }

  /** The connection ended, after everything that came before was handled. */
  ended(code: number, reason: string): void {
    const text = reason || this.#opening?.failure || '';
    this.#lost(`closed with ${code}${text && ` (${text})`}`, code, reason);
  }

  /** Gives up a connection that misbehaves. */
  abandon(error: ClientError): void {
    this.#report(error);
    this.#lost(error.message);
  }

  #stop(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#tokens.reset();
  }

  #startOver(): void {
    this.#attempts = 0;
    this.#needsNewToken = this.#usedNewToken = this.#isResting = false;
  }

  /** @param timeout the milliseconds within which the server must accept the connection */
  #enter(phase: Phase, why: string, timeout?: number): void {
    this.#nextAttempt = undefined;
    if (phase === 'disconnected') this.#error = undefined;
    this.#phases.enter(phase, why);
    if (timeout !== undefined) this.#phases.deadline(timeout, () => this.#tooSlow());
  }

  #open(why: string): void {
    const generation = ++this.#generation;
    this.#enter('connecting', why, this.#settings.connectTimeout);
    const [ready, loading] = [this.#hooks.ready(), this.#transports.load()];
    if (!ready && !loading && !this.#tokens.isUsed) return this.#dial(undefined);
    const token = this.#needsNewToken ? this.#tokens.refresh() : this.#tokens.get();
    Promise.all([token, ready, loading]).then(
      ([token]) => { if (generation === this.#generation) this.#dial(token || undefined); },
      (error: unknown) => {
        if (generation !== this.#generation) return;
        this.abandon(fail('TOKEN_UNAVAILABLE', `the token was not fetched: ${textOf(error)}`, {}, error));
      },
    );
  }

  #dial(token: string | undefined): void {
    // What comes from a connection that was replaced is ignored.
    const isCurrent = (): boolean => this.#opening === opening;
    let opening: OpeningSocket | undefined;
    try {
      opening = this.#opening = this.#transports.open(token, {
        open: () => {
          if (!isCurrent()) return;
          const by = this.transport === 'polling' ? ', by long polling' : '';
          this.#handshake.begin(token, `the connection is open${by}`, this.#transports.deadline);
        },
        frame: (data) => {
          if (!isCurrent()) return;
          this.#transports.choice?.heard();
          this.#liveness.alive();
          this.#hooks.received({ socket: opening!, data });
        },
        end: (code, reason) => {
          if (isCurrent()) this.#hooks.received({ socket: opening!, end: { code, reason } });
        },
      });
      if (this.#transports.choice) this.#phases.deadline(this.#transports.deadline, () => this.#tooSlow());
    } catch (error) {
      this.#fail(fail('CONNECTION_FAILED', textOf(error), {}, error));
    }
  }

  #up(why: string): void {
    // The first reply resets the backoff, not the open socket: an overloaded server opens sockets, too.
    this.#attempts = this.#notBefore = 0;
    this.#needsNewToken = this.#isResting = false;
    this.#connectedAt = Date.now();
    this.#nextAttempt = this.#error = undefined;
    this.#liveness.watch(why);
    this.#transports.choice?.up();
    this.#hooks.up();
  }

  #tooSlow(): void {
    this.#lost(`not connected within ${this.#transports.deadline} ms`);
  }

  /** Closes the socket, and makes everything that belongs to it void. */
  #drop(isDead = false): void {
    const socket = this.#opening?.socket as (WebSocketLike & { terminate?: () => void }) | undefined;
    this.#opening = undefined;
    this.#generation++;
    this.#replies.clear();
    this.#handshake.stop();
    this.#transports.choice?.stop();
    // A dead peer answers no closing handshake.
    if (isDead && socket?.terminate) socket.terminate();
    else socket?.close(1000);
  }

  #lost(why: string, code?: number, reason = '', retryAfter?: number): void {
    const { isUp } = this;
    const { enabled, maxAttempts } = this.#settings.reconnect;
    if (this.#opening) this.#transports.choice?.lost(code);
    this.#drop(code === undefined);
    this.#hooks.down(code ?? 1006, reason, isUp);
    if (isUp && Date.now() - this.#connectedAt >= STABLE) this.#usedNewToken = false;
    if (code === 4001 && this.#tokens.canRenew && !this.#usedNewToken) {
      this.#usedNewToken = this.#needsNewToken = true;
      return this.#open(`${why}; a new token is tried once`);
    }
    const policy = code === undefined ? 'backoff' : reconnectPolicy(code);
    if (code === 1000 && isUp) {
      this.#stop();
      return this.#enter('disconnected', why);
    }
    const details = { code: code ?? 1006, reason };
    if (policy === 'never' || !enabled) return this.#fail(fail('CONNECTION_FAILED', why, details));
    const seconds = policy === 'window' ? retryIn(reason) : retryAfter;
    this.#notBefore = seconds === undefined ? 0 : Date.now() + seconds;
    if (this.#attempts >= maxAttempts) {
      this.#isResting = true;
      return this.#fail(fail('CONNECTION_FAILED', `${maxAttempts} attempts failed; ${why}`, details));
    }
    if (!this.#error && !isUp) this.#report(fail('CONNECTION_FAILED', why, details));
    this.#plan(why);
  }

  /** Replaces a connection that works. The session follows, as after a drop. */
  #replace(why: string): void {
    this.#drop();
    this.#hooks.down(1000, why, true);
    this.#open(why);
  }

  #plan(why: string): void {
    const asleep = whyAsleep(this.#settings.reconnect);
    if (asleep) return this.#enter('offline', `${why}; ${asleep}`);
    const { reconnect } = this.#settings;
    const jitter = Math.random() * 1_000;
    const left = this.#notBefore - Date.now();
    const delay = left > 0 ? left + jitter : backoff(reconnect, this.#attempts);
    this.#attempts++;
    this.#wait(why, delay);
    this.#hooks.planned(this.#attempts, delay);
  }

  #wait(why: string, delay: number): void {
    this.#nextAttempt = Date.now() + delay;
    this.#phases.enter('waiting', why, delay, () => {
      const asleep = whyAsleep(this.#settings.reconnect);
      if (asleep) this.#enter('offline', asleep);
      else this.#open(`attempt ${this.#attempts}`);
    });
  }

  #wake(why: string): void {
    if (this.isUp) return this.#liveness.probe(why);
    const isResting = this.phase === 'failed' && this.#isResting;
    if (whyAsleep(this.#settings.reconnect) || !(isResting || ['waiting', 'offline'].includes(this.phase))) return;
    if (isResting) this.#startOver();
    const left = this.#notBefore - Date.now();
    if (left > 0) this.#wait(`${why}; the server wants to be left alone`, left + Math.random() * 1_000);
    else this.#open(why);
  }

  #offline(): void {
    // A working connection may outlive the event: it is checked.
    if (this.isUp) return this.#liveness.probe('the device is offline');
    if (!['connecting', 'authenticating', 'waiting'].includes(this.phase)) return;
    const wasOpening = this.phase !== 'waiting';
    this.#drop(true);
    if (wasOpening) this.#hooks.down(1006, '', false);
    this.#enter('offline', 'the device is offline');
  }

  #hide(): void {
    if (!this.#opening && this.phase !== 'connecting' && this.phase !== 'waiting') return;
    const { isUp } = this;
    this.#drop();
    this.#hooks.down(1000, 'the page was hidden', isUp);
    this.#enter('offline', 'the page was left');
  }

  #report(error: ClientError): void {
    this.#error = error;
    this.#hooks.failed(error, false);
  }

  #fail(error: ClientError): void {
    this.#drop();
    this.#error = error;
    this.#enter('failed', error.message);
    if (!this.#isResting) this.#stop();
    this.#hooks.failed(error, !this.#isResting);
  }
}
