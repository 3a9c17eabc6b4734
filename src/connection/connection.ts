import type { Connection, Metadata, RequestOptions, User } from '../contracts.ts';
import type { Core } from '../runtime/core.ts';
import { ModuleError } from '../errors.ts';
import { newId, newSessionId } from '../runtime/ids.ts';
import { Inbox, type InboxBudget } from './inbox.ts';
import type { Binary } from './frame.ts';
import { Outbox, type Flusher, type OutboxOwner } from './outbox.ts';
import { closeCodes, type Codec, type Message, type Outgoing } from '../protocol.ts';
import { clip, isCloseCode, type Sink, type Socket, type Transport } from './transport.ts';

/** Requests that may wait for one client's answer. */
const MAX_REQUESTS = 1_024;
/**
 * Pings and pongs that a client may send in so many milliseconds; each costs us as much as a message, and says nothing.
 */
const MAX_CONTROLS = 1_000;
const CONTROLS_WINDOW = 10_000;
/** Milliseconds a client has to take the close frame of a connection that is cut. */
const CUT_AFTER = 1_000;

/** What a connection needs of its hub. */
export interface ConnectionHost {
  readonly core: Core;
  readonly flusher: Flusher;
  readonly transport: Transport;
  readonly inboxes: InboxBudget;
  /** A frame came. */
  receive(connection: ClientConnection, data: Buffer, binary: boolean): void;
  /** What waits may be handled now. */
  proceed(connection: ClientConnection): void;
  /** @throws MESSAGE_INVALID, SEND_LAYER_DROPPED */
  transmit(connection: ClientConnection, message: Outgoing | Binary): boolean;
  dropped(connection: ClientConnection, code: string, count: number): void;
  remove(connection: ClientConnection, code: number, reason: string): void;
}

/** Which plugins hold it back from topics, and which one gave it its user and its session. */
export interface Claims {
  heldBy?: Set<string> | undefined;
  user?: string | undefined;
  session?: string | undefined;
}

interface Ending { readonly code: number; readonly reason: string }
interface Pending { readonly resolve: (reply: Message) => void; readonly reject: (error: ModuleError) => void }

/** One client. What is not in the contract `Connection` is the kernel's own. */
export class ClientConnection implements Connection, Sink, OutboxOwner {
  readonly id: string;
  readonly metadata: Metadata;
  readonly connectedAt = Date.now();
  readonly codec: Codec;
  readonly deflates: boolean;
  readonly socket: Socket;
  readonly outbox: Outbox;
  user: User | undefined = undefined;
  /** Topics it is subscribed to. */
  topics: Set<string> | undefined = undefined;
  /** What it sent that is not handled yet. Made when something has to wait. */
  inbox: Inbox | undefined = undefined;
  /** Whether the connection layers are through. */
  isAdmitted = false;
  /** Whether its messages wait, because it sent too many. */
  isMuted = false;
  /** Whether no topic reaches it. */
  isHeld = false;
  /** What plugins have said of it, to be undone when they are unloaded. */
  claims: Claims | undefined = undefined;
  /** Messages in a handler. */
  running = 0;
  /** Invalid messages since the last valid one. */
  invalid = 0;
  /** Where in the heartbeat's wheel it is. */
  slot = 0;
  /** Bytes of a message that is not whole yet, as the node's budget counts them. */
  unfinished = 0;
  /** Bytes that had come when it was pinged, while that ping is not judged. */
  readAtPing: number | undefined = undefined;
  readonly #host: ConnectionHost;
  readonly #core: Core;
  #pending: Map<string, Pending> | undefined = undefined;
  #sessionId: string | undefined = undefined;
  #controls = 0;
  #controlsSince = performance.now();
  #halted = false;
  /** Ids of the last settled requests. */
  #answered: Set<string> | undefined = undefined;
  #whenIdle: (() => void)[] | undefined = undefined;
  #ending: Ending | undefined = undefined;
  /** Why \`ws\` closed it. */
  #violation: Ending | undefined = undefined;

  constructor(id: string, metadata: Metadata, socket: Socket, host: ConnectionHost) {
    this.id = id;
    this.metadata = metadata;
    this.socket = socket;
    this.#host = host;
    this.#core = host.core;
    this.codec = host.transport.codec(socket.protocol);
    this.deflates = socket.deflates;
    this.outbox = new Outbox(this, host.flusher, host.core.settings.outbox);
    socket.sink = this;
  }

  // Drawn when first read: it costs as much as a message, and not every client has a session.
  get sessionId(): string { return (this.#sessionId ??= newSessionId()); }

  set sessionId(id: string) { this.#sessionId = id; }

  /** The next one asked for is a new one. */
  forgetSession(): void { this.#sessionId = undefined; }

  get ip(): string { return this.metadata.ip; }

  get protocol(): string { return this.socket.protocol; }

  get isOpen(): boolean { return this.socket.isOpen; }

  get waitingBytes(): number { return this.outbox.bytes; }

  /** Whether we parted with it, rather than it with us. */
  get isEnded(): boolean { return this.#ending !== undefined; }

  /** Whether we do not read from it, because too much of it waits. */
  get isPaused(): boolean { return this.socket.isPaused; }

  send(message: Outgoing | Binary): boolean {
    return this.#core.guard(() => this.#host.transmit(this, message), false);
  }

  async request(message: Outgoing, options: RequestOptions = {}): Promise<Message> {
    const { clock, settings: { message: defaults } } = this.#core;
    const { timeout = defaults.timeout, retries = defaults.maxRetries, signal } = options;
    const asked = { ack: true, ...message, id: message.id ?? newId() };
    const pending: Map<string, Pending> = (this.#pending ??= new Map());
    if (!this.isOpen) throw new ModuleError('CONNECTION_CLOSED', { connection: this.id });
    if (signal?.aborted) throw new ModuleError('REQUEST_ABORTED', { type: asked.type }, { cause: signal.reason });
    if (pending.size >= MAX_REQUESTS) throw new ModuleError('TOO_MANY_REQUESTS', { limit: MAX_REQUESTS });
    if (pending.has(asked.id)) throw new ModuleError('MESSAGE_INVALID', { reason: `a request with the id "${asked.id}" already waits` });
    const answer = new Promise<Message>((resolve, reject) => pending.set(asked.id, { resolve, reject }));
    const abort = (): void => pending.get(asked.id)?.reject(new ModuleError('REQUEST_ABORTED', { type: asked.type }, { cause: signal?.reason }));
    signal?.addEventListener('abort', abort);
    try {
      for (let attempts = 0; attempts <= retries; attempts++) {
        this.#host.transmit(this, asked);
        const reply = await clock.within<Message | undefined>(timeout, answer, () => undefined);
        if (reply) return reply;
      }
      throw new ModuleError('REQUEST_TIMEOUT', { type: asked.type, attempts: retries + 1 });
    } finally {
      this.#close(asked.id);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Gives a message to the request it answers: one that waits, or one that was answered before, or none. */
  settle(message: Message): 'settled' | 'again' | 'unknown' {
    const pending = this.#pending?.get(message.replyTo!);
    if (!pending) return this.#answered?.has(message.replyTo!) === true ? 'again' : 'unknown';
    pending.resolve(message);
    this.#close(message.replyTo!);
    return 'settled';
  }

  /**
   * Remembers a request that is over: an answer that comes again, since it was sent more than once or given up, is no
   * fault of the client.
   */
  #close(id: string): void {
    this.#pending?.delete(id);
    const answered = (this.#answered ??= new Set()).add(id);
    if (answered.size > 64) answered.delete(answered.values().next().value!);
  }

  close(code = 1000, reason = ''): void {
    if (!isCloseCode(code)) throw new ModuleError('OPTION_INVALID', { path: 'close code', given: String(code), expected: '1000, 1001 to 1014 but for 1004 to 1006, or 3000 to 4999' });
    const clipped = clip(reason);
    this.#ending ??= { code, reason: clipped };
    this.socket.close(code, clipped);
    // Its own close frame is the last thing to be read from it.
    if (this.isPaused) this.socket.resume();
  }

  /**
   * Parts with a client that may not be able to take a close frame: what waits for it is dropped, and soon its socket
   * too.
   */
  cut(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.#forget();
    this.close(code, reason);
    this.#core.clock.after(CUT_AFTER, () => this.socket.terminate());
  }

  /** Destroys the socket now. */
  terminate(code = 1006, reason = ''): void {
    this.#ending ??= { code, reason };
    this.socket.terminate();
  }

  /** The connection layers are through: what was held is handled, and from now on messages are as they come. */
  admit(): void {
    this.isAdmitted = true;
    if (this.inbox) this.#host.proceed(this);
  }

  /** Keeps a frame that may not be handled yet. */
  keep(data: Buffer, binary: boolean): void { this.#inbox.pushFrame(data, binary); }

  /** Keeps a frame before all others. */
  keepFirst(data: Buffer, binary: boolean): void { this.#inbox.unshiftFrame(data, binary); }

  /** Keeps a message that waits for those before it. */
  keepMessage(message: Message, bytes: number): void { this.#inbox.pushMessage(message, bytes); }

  get #inbox(): Inbox { return (this.inbox ??= new Inbox(this, this.#host.inboxes)); }

  ping(): void {
    this.readAtPing = this.socket.bytesRead;
    this.socket.ping();
  }

  pause(): void { this.socket.pause(); }

  resume(): void {
    // What came meanwhile is not read yet, perhaps its pong: the pending ping is ignored.
    if (this.readAtPing !== undefined) this.readAtPing = -1;
    if (!this.#halted) this.socket.resume();
  }

  /** Reads nothing more from it, until it is closed. */
  halt(): void {
    this.#halted = true;
    this.pause();
  }

  /** Resolves when nothing waits to be written, or it is closed. */
  async idle(): Promise<void> {
    if (!this.outbox.idle && this.isOpen) await new Promise<void>((resolve) => (this.#whenIdle ??= []).push(resolve));
  }

  // What the socket says

  received(data: Buffer, binary: boolean): void {
    // After our close frame no reply could be sent; what is not handled is not acknowledged, and the client sends it
    // again.
    if (this.isOpen) this.#host.receive(this, data, binary);
  }

  controlled(): void {
    if (++this.#controls < MAX_CONTROLS) return;
    const now = performance.now();
    if (now - this.#controlsSince < CONTROLS_WINDOW) return this.cut(1008, 'too many control frames');
    this.#controls = 0;
    this.#controlsSince = now;
  }

  flush(): void { this.outbox.flush(true); }

  // A peer that breaks the protocol, or whose link breaks, is no error of the server; `ws` closes the connection.
  failed(error: Error, phase: 'socket' | 'listener', code?: number): void {
    if (phase === 'listener') return this.#core.report(error, { phase, connection: this });
    const name = 'code' in error ? String(error.code) : error.name;
    // `ws` tells 1006 then, because no close frame of the client's is read any more.
    if (code !== undefined) this.#violation = { code, reason: `${name}: ${error.message}` };
    this.#core.statistics.error(name);
    this.#core.log.child('connection').debug('socket error', { connection: this.id, error: error.message });
  }

  closed(code: number, reason: string): void {
    this.#forget();
    if (this.unfinished > 0) this.#host.inboxes.countUnfinished(this, 0);
    // A client that left may have sent these before, and they are handled; those of one that was closed, or never let
    // in, are not.
    if (this.inbox && (this.#ending || !this.isAdmitted)) this.#host.dropped(this, 'CONNECTION_CLOSED', this.inbox.clear());
    const ending = this.#ending ?? this.#violation ?? { code, reason };
    for (const { reject } of this.#pending?.values() ?? []) reject(new ModuleError('CONNECTION_CLOSED', { connection: this.id }));
    this.emptied();
    this.#host.remove(this, ending.code, ending.reason);
  }

  // What the outbox says

  dropped(count: number): void { this.#host.dropped(this, 'OUTBOX_FULL', count); }

  compressed(saved: number): void { this.#core.statistics.bytesSent -= saved; }

  overflowed(): void { this.cut(closeCodes.slowConsumer, 'slow consumer'); }

  emptied(): void {
    const waiters = this.#whenIdle;
    this.#whenIdle = undefined;
    for (const resolve of waiters ?? []) resolve();
  }

  #forget(): void {
    const count = this.outbox.clear();
    if (count > 0) this.#host.dropped(this, 'CONNECTION_CLOSED', count);
  }

  toJSON(): Record<string, unknown> {
    const { id, ip, user, protocol, connectedAt, metadata } = this;
    return { id, ip, user, protocol, connectedAt, metadata };
  }
}
